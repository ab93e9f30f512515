// judge.mjs has Hugging Face's tokenizers encode and decode texts with the files that train writes, and train on a text
// itself. peers_test.go has the request that it reads on standard input and the answer that it writes on standard output.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const request = JSON.parse(readFileSync(0, "utf8"));
const hf = createRequire(import.meta.url)(request.library);

// byteLevel makes a tokenizer of GPT-2's kind of a model.
function byteLevel(model) {
  const t = new hf.Tokenizer(model);
  t.setPreTokenizer(hf.byteLevelPreTokenizer(false, true));
  return t;
}

async function encode(t) {
  const out = { ids: [], texts: [] };
  for (const text of request.texts) {
    const ids = (await t.encode(text)).getIds();
    out.ids.push(ids);
    out.texts.push(await t.decode(ids, false));
  }
  return out;
}

const answer = { whole: await encode(hf.Tokenizer.fromFile(`${request.dir}/tokenizer.json`)) };
const parts = byteLevel(await hf.BPE.fromFile(`${request.dir}/vocab.json`, `${request.dir}/merges.txt`));
parts.setDecoder(hf.Tokenizer.fromFile(`${request.dir}/tokenizer.json`).getDecoder());
parts.addSpecialTokens(request.special);
answer.parts = await encode(parts);
if (request.train) {
  const t = byteLevel(hf.BPE.empty());
  t.train([request.train]);
  t.save(`${request.dir}/theirs.json`, false);
  answer.merges = JSON.parse(readFileSync(`${request.dir}/theirs.json`, "utf8")).model.merges;
}
process.stdout.write(JSON.stringify(answer));
