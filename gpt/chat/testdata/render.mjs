// render.mjs JINJA CONVERSATIONS TEMPLATES writes what @huggingface/jinja, whose module is at JINJA, makes of each
// template in the folder TEMPLATES, with each of the conversations in a file: JSON, a line each. The time that
// templates are told stands still.
import fs from "node:fs";
import path from "node:path";

const [jinja, conversations, templates] = process.argv.slice(2);
const { Template } = await import(path.resolve(jinja, "dist/index.js"));
process.env.TZ = "UTC";
const Clock = Date;
globalThis.Date = class extends Clock {
  constructor(...args) { args.length ? super(...args) : super("2026-01-05T13:04:09Z"); }
};

for (const file of fs.readdirSync(templates).filter((name) => name.endsWith(".jinja")).sort()) {
  const source = fs.readFileSync(path.join(templates, file), "utf8");
  for (const { name, ...values } of JSON.parse(fs.readFileSync(conversations, "utf8"))) {
    const result = { template: file, conversation: name };
    try {
      result.text = new Template(source).render({ tools: null, documents: null, bos_token: "<s>", eos_token: "</s>", ...values });
    } catch (error) {
      result.error = String(error.message ?? error).slice(0, 1000);
    }
    console.log(JSON.stringify(result));
  }
}
