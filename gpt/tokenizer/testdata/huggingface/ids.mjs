// ids.mjs LIBRARY TOKENIZER TEXTS writes what Hugging Face's tokenizers make of texts with a tokenizer.json: a line for each
// text of the JSON array TEXTS, with its ids and the text that they are decoded to. LIBRARY is where scripts/peers.sh
// tokenizers installs them.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [library, tokenizer, texts] = process.argv.slice(2);
const hf = createRequire(import.meta.url)(library);
const t = hf.Tokenizer.fromFile(tokenizer);
for (const text of JSON.parse(readFileSync(texts, "utf8"))) {
  const ids = (await t.encode(text, null, { addSpecialTokens: false })).getIds();
  process.stdout.write(JSON.stringify({ ids, text: await t.decode(ids, false) }) + "\n");
}
