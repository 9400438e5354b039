// Renders the documents on standard input, a JSON list, with every renderer: {name: [html]}.
import { readFileSync } from "node:fs";
import * as commonmark from "commonmark";
import MarkdownIt from "markdown-it";
import { marked } from "marked";
import showdown from "showdown";
import snarkdown from "snarkdown";

// Raw HTML is let through wherever a renderer can be told to: that is the reader we have to fear.
const reader = new commonmark.Parser();
const writer = new commonmark.HtmlRenderer({ safe: false });
const it = new MarkdownIt({ html: true, linkify: true });
const plain = new showdown.Converter();
const github = new showdown.Converter();
github.setFlavor("github");

const renderers = {
  commonmark: (d) => writer.render(reader.parse(d)),
  "markdown-it": (d) => it.render(d),
  marked: (d) => marked.parse(d, { gfm: true }),
  showdown: (d) => plain.makeHtml(d),
  "showdown, as GitHub": (d) => github.makeHtml(d),
  snarkdown: (d) => snarkdown(d),
};

// A renderer that fails shows nothing.
function guarded(render, document) {
  try {
    return String(render(document));
  } catch {
    return "";
  }
}

const documents = JSON.parse(readFileSync(0, "utf8"));
const rendered = {};
for (const [name, render] of Object.entries(renderers)) {
  rendered[name] = documents.map((d) => guarded(render, d));
}
process.stdout.write(JSON.stringify(rendered));
