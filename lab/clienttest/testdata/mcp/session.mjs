// One session with the official TypeScript client: what an assistant would do, as a report in JSON.
// REVISION is a revision of the protocol. URL and KEY name a gateway; else the arguments are a program.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { encode } from 'gpt-tokenizer/encoding/o200k_base'

const { URL: url, KEY: key, REVISION: revision } = process.env
const modern = revision >= '2026'
const client = new Client({ name: 'foreign', version: '1' }, modern
  ? { versionNegotiation: { mode: { pin: revision } } }
  : { supportedProtocolVersions: [revision] })
await client.connect(url
  ? new StreamableHTTPClientTransport(new globalThis.URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } })
  : new StdioClientTransport({ command: process.argv[2], args: process.argv.slice(3), env: process.env, stderr: 'inherit' }))

const call = async (name, args) => {
  const result = await client.callTool({ name, arguments: args })
  return { error: !!result.isError, text: result.content[0].text, facts: result.structuredContent, bytes: JSON.stringify(result).length }
}
const report = { revision: client.getNegotiatedProtocolVersion?.() ?? revision, server: client.getServerVersion()?.name }
const { tools } = await client.listTools()
report.tools = tools.map((tool) => tool.name)
report.tokens = encode(JSON.stringify(tools)).length
report.search = await call('search', { query: 'how do we rotate the signing keys', limit: 3 })
const best = report.search.facts.hits[0]
report.read = await call('read', { page: best.ref, bytes: 8000 })
report.related = await call('related', { page: best.ref })
report.outline = await call('outline', { page: best.ref, levels: 0 })
report.sources = await call('sources', {})
report.wrong = await call('read', { page: 'sluice://elsewhere/1' })
report.resource = (await client.readResource({ uri: report.read.facts.page })).contents[0].text.length
report.prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name)
report.prompt = (await client.getPrompt({ name: 'answer_with_citations', arguments: { question: 'why?' } })).messages[0].content.text
await client.close()
console.log(JSON.stringify(report))
