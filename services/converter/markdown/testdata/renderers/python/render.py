"""Renders the documents on standard input, a JSON list, with every renderer: {name: [html]}."""
import json
import sys

import markdown
import markdown2
import markdown_it
import marko
import mistune

# Raw HTML is let through wherever a renderer can be told to: that is the reader we have to fear.
plugins = ["table", "strikethrough", "task_lists", "url", "footnotes"]
renderers = {
    "Python-Markdown": lambda d: markdown.markdown(d),
    "Python-Markdown, extra": lambda d: markdown.markdown(d, extensions=["extra"]),
    "mistune": mistune.create_markdown(escape=False, plugins=plugins),
    "markdown2": lambda d: markdown2.markdown(d, extras=["tables", "fenced-code-blocks", "strike", "task_list"]),
    "markdown-it-py": markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render,
    "marko": marko.convert,
}


def guarded(render, document):
    """A renderer that fails shows nothing."""
    try:
        return str(render(document))
    except Exception:
        return ""


documents = json.load(sys.stdin)
json.dump({name: [guarded(r, d) for d in documents] for name, r in renderers.items()}, sys.stdout)
