"""One session with the official Python client, as session.mjs has it."""
import asyncio
import json
import os
import sys

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


async def session(target):
    revision = os.environ["REVISION"]
    mode = revision if revision >= "2026" else "legacy"
    async with Client(target, mode=mode) as client:
        async def call(name, arguments):
            result = await client.call_tool(name, arguments)
            return {
                "error": bool(result.is_error), "text": result.content[0].text, "facts": result.structured_content,
                "bytes": len(result.model_dump_json(by_alias=True, exclude_none=True)),
            }

        report = {"revision": client.protocol_version}
        report["tools"] = [tool.name for tool in (await client.list_tools()).tools]
        report["search"] = await call("search", {"query": "how do we rotate the signing keys", "limit": 3})
        ref = report["search"]["facts"]["hits"][0]["ref"]
        report["read"] = await call("read", {"page": ref, "bytes": 8000})
        report["related"] = await call("related", {"page": ref})
        report["outline"] = await call("outline", {"page": ref, "levels": 0})
        report["sources"] = await call("sources", {})
        report["wrong"] = await call("read", {"page": "sluice://elsewhere/1"})
        report["resource"] = len((await client.read_resource(report["read"]["facts"]["page"])).contents[0].text)
        report["prompts"] = [prompt.name for prompt in (await client.list_prompts()).prompts]
        report["prompt"] = (await client.get_prompt("answer_with_citations", {"question": "why?"})).messages[0].content.text
    print(json.dumps(report))


async def main():
    if url := os.environ.get("URL"):
        async with httpx2.AsyncClient(headers={"Authorization": "Bearer " + os.environ["KEY"]}) as http:
            await session(streamable_http_client(url, http_client=http))
    else:
        await session(StdioServerParameters(command=sys.argv[1], args=sys.argv[2:], env=dict(os.environ)))


asyncio.run(main())
