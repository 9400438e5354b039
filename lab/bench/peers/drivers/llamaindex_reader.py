"""LlamaIndex's ConfluenceReader."""

import os

from llama_index.readers.confluence import ConfluenceReader

import turns

WHICH = {
    # Without a number its client compares None with one, and fails.
    "space": {"space_key": turns.SPACE, "page_status": "current", "max_num_results": 10_000},
    "plain": {"space_key": turns.SPACE},
    "cql": {"cql": f'space = "{turns.SPACE}" and type = page'},
}


def read(which):
    reader = ConfluenceReader(base_url=turns.SITE, user_name=turns.EMAIL, password=turns.TOKEN, cloud=True, client_args={"backoff_and_retry": True})
    return reader.load_data(**WHICH[which])


def work():
    for doc in read(os.environ["MODE"]):
        turns.keep(doc.metadata["page_id"], doc.text)


if __name__ == "__main__":
    turns.run(work)
