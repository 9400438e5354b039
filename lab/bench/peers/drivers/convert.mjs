// turndown with a GFM plugin over a folder of bodies, for conversion alone.
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import TurndownService from "turndown";
import gfmPlugin from "turndown-plugin-gfm";

const { IN, OUT } = process.env;
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function work() {
  const service = new TurndownService({ headingStyle: "atx", codeBlockStyle: "fenced" });
  service.use(gfmPlugin.gfm);
  for (const name of fs.readdirSync(IN).sort()) {
    const text = service.turndown(fs.readFileSync(path.join(IN, name), "utf8"));
    fs.writeFileSync(path.join(OUT, path.basename(name, ".html") + ".md"), text);
  }
}

console.log("ready");
await lines.next();
const began = performance.now();
let error = "";
try {
  work();
} catch (e) {
  error = String(e);
}
console.log("done " + JSON.stringify({ seconds: (performance.now() - began) / 1000, error }));
await lines.next();
process.exit(0);
