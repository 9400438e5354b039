"""LlamaIndex's ConfluenceReader, splitter, ingestion pipeline and vector store: a space into Postgres, and later into step again."""

import asyncio
import os

from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.vector_stores.postgres import PGVectorStore

import llamaindex_reader
import turns

FIRST = os.environ["MODE"] == "first"
DATABASE = os.environ["DATABASE"].split("?")[0]
KNOWN = os.path.join(turns.OUT, "docstore.json")  # what it has ingested

pipeline = IngestionPipeline(
    transformations=[
        SentenceSplitter(),  # 1,024 tokens, 200 of them again
        OpenAILikeEmbedding(
            model_name="bench",
            api_base=os.environ["EMBEDDINGS"],
            embed_batch_size=int(os.environ["BATCH"]),
            num_workers=int(os.environ["PARALLEL"]),
        ),
    ],
    docstore=SimpleDocumentStore() if FIRST else SimpleDocumentStore.from_persist_path(KNOWN),
    docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
    disable_cache=True,
    vector_store=PGVectorStore.from_params(
        connection_string=DATABASE.replace("postgres://", "postgresql+psycopg2://", 1),
        async_connection_string=DATABASE.replace("postgres://", "postgresql+asyncpg://", 1),
        table_name="pages",
        embed_dim=int(os.environ["DIMENSIONS"]),
        hybrid_search=True,
        text_search_config="english",
        hnsw_kwargs={"hnsw_m": 16, "hnsw_ef_construction": 64, "hnsw_ef_search": 40, "hnsw_dist_method": "vector_cosine_ops"},
    ),
)


def work():
    asyncio.run(pipeline.arun(documents=llamaindex_reader.read("space")))
    pipeline.docstore.persist(KNOWN)


turns.run(work)
