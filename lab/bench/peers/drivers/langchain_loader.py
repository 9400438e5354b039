"""LangChain's ConfluenceLoader, page by page with lazy_load."""

import os

from langchain_community.document_loaders import ConfluenceLoader
from langchain_community.document_loaders.confluence import ContentFormat

import turns

WHICH = {
    "space": {"space_key": turns.SPACE},
    "cql": {"cql": f'space = "{turns.SPACE}" and type = page'},
}


def loader(which):
    return ConfluenceLoader(
        url=turns.SITE,
        username=turns.EMAIL,
        api_key=turns.TOKEN,
        cloud=True,
        confluence_kwargs={"backoff_and_retry": True},  # its client's own way with 429
        limit=50,  # more than the site gives in one answer with bodies, so this is the best
        max_pages=1_000_000,  # the default stops after 1,000 without a word
        include_restricted_content=True,  # else it asks for every page's restrictions
        content_format=ContentFormat.VIEW,  # of its formats the one with code and macros in it
        keep_markdown_format=True,
        **WHICH[which],
    )


def work():
    for doc in loader(os.environ["MODE"]).lazy_load():
        turns.keep(doc.metadata["id"], doc.page_content)


if __name__ == "__main__":
    turns.run(work)
