"""LangChain's ConfluenceLoader, splitter, indexing API and vector store: a space into Postgres, and later into step again."""

import os

from langchain_classic.indexes import SQLRecordManager
from langchain_core.indexing import index
from langchain_openai import OpenAIEmbeddings
from langchain_postgres import Column, PGEngine, PGVectorStore
from langchain_postgres.v2.hybrid_search_config import HybridSearchConfig
from langchain_postgres.v2.indexes import HNSWIndex
from langchain_text_splitters import RecursiveCharacterTextSplitter

import langchain_loader
import turns

TABLE = "pages"
FIRST = os.environ["MODE"] == "first"
DATABASE = os.environ["DATABASE"].replace("postgres://", "postgresql+psycopg://", 1)

words = HybridSearchConfig(tsv_column="words", tsv_lang="pg_catalog.english")
engine = PGEngine.from_connection_string(DATABASE)
records = SQLRecordManager(f"pgvector/{TABLE}", db_url=DATABASE)  # what it has indexed, in the same database
if FIRST:
    engine.init_vectorstore_table(
        table_name=TABLE,
        vector_size=int(os.environ["DIMENSIONS"]),
        id_column=Column("langchain_id", "VARCHAR"),  # of the indexing API, which are no UUIDs
        hybrid_search_config=words,
    )
    records.create_schema()
store = PGVectorStore.create_sync(
    engine=engine,
    table_name=TABLE,
    hybrid_search_config=words,
    embedding_service=OpenAIEmbeddings(
        base_url=os.environ["EMBEDDINGS"],
        api_key="none",
        model="bench",
        chunk_size=int(os.environ["BATCH"]),
        check_embedding_ctx_length=False,  # its own advice for servers that are not OpenAI's
    ),
)
splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)  # as its own guides have it


def chunks():
    for doc in langchain_loader.loader("space").lazy_load():
        yield from splitter.split_documents([doc])


def work():
    index(chunks(), records, store, cleanup="full", source_id_key="source", batch_size=1000, key_encoder="sha256")
    if FIRST:
        store.apply_hybrid_search_index()
        store.apply_vector_index(HNSWIndex())


turns.run(work)
