"""markdownify and html2text over a folder of bodies, for conversion alone."""

import os
from pathlib import Path

import html2text
from markdownify import markdownify

import turns


def with_html2text():
    maker = html2text.HTML2Text()
    maker.body_width = 0  # its own advice where lines must not be wrapped
    maker.unicode_snob = True
    maker.mark_code = False
    maker.pad_tables = False
    maker.bypass_tables = False
    return maker.handle


CONVERTERS = {
    "markdownify": lambda: lambda html: markdownify(html, heading_style="ATX"),
    "html2text": with_html2text,
}


def work():
    convert = CONVERTERS[os.environ["MODE"]]()
    for path in sorted(Path(os.environ["IN"]).glob("*.html")):
        turns.keep(path.stem, convert(path.read_text(encoding="utf-8")))


turns.run(work)
