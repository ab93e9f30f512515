// make.mjs LIBRARY writes cases.json: variants of a small tokenizer.json, and what Hugging Face's tokenizers make of texts
// with them. LIBRARY is where scripts/peers.sh tokenizers installs those. A case has the members of tokenizer.json that
// differ from the base, those of model likewise, and by text the ids with what its post-processor adds, and the ids without.
// A case that the library refuses has an error in place of them.
import { createRequire } from "node:module";

const hf = createRequire(import.meta.url)(process.argv[2]);

// The 256 bytes, as GPT-2 names them, and what few merges make.
const names = [];
for (let b = 0, next = 256; b < 256; b++) {
  const prints = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  names.push(String.fromCodePoint(prints ? b : next++));
}
const merges = [["t", "h"], ["th", "e"], ["Ġ", "the"], ["Ġ", "t"], ["Ġ", "Ġ"], ["e", "n"], ["en", "d"], ["Ċ", "Ċ"]];
const vocab = {};
for (const name of [...names, ...merges.map((m) => m.join(""))]) vocab[name] = Object.keys(vocab).length;
const next = Object.keys(vocab).length; // 264
const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
const base = {
  version: "1.0", truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: bytes, post_processor: null, decoder: bytes,
  model: { type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: "", end_of_word_suffix: "", fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab, merges },
};

const token = (id, content, o = {}) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: false, ...o });
const eot = token(next, "<|endoftext|>", { special: true });
const pattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const split = { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
const noRegex = { ...bytes, use_regex: false };
const sequence = (id = "A") => ({ Sequence: { id, type_id: 0 } });
const special = (id) => ({ SpecialToken: { id, type_id: 0 } });
const template = (single, special_tokens) => ({ type: "TemplateProcessing", single, pair: [...single, sequence("B")], special_tokens });
const eotOf = { "<|endoftext|>": { id: "<|endoftext|>", ids: [next], tokens: ["<|endoftext|>"] } };
const without = (...gone) => Object.fromEntries(Object.entries(vocab).filter(([name]) => !gone.includes(name)));

// Patterns of published tokenizers, and a model whose tokens are texts.
const blanks = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const llama3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" + blanks;
const gpt4o = "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" + blanks;
const steps = (...pretokenizers) => ({ pre_tokenizer: { type: "Sequence", pretokenizers } });
const by = (Regex, behavior = "Isolated", invert = false) => ({ type: "Split", pattern: { Regex }, behavior, invert });
const byText = (String, behavior, invert = false) => ({ type: "Split", pattern: { String }, behavior, invert });
const normal = (...normalizers) => ({ normalizer: { type: "Sequence", normalizers } });
const replaced = (pattern, content) => ({ type: "Replace", pattern, content });
const pieces = ["<unk>", "▁", "t", "h", "e", "n", "d", "a", "b", ",", "\n", "x", "'", "s", "世", "界", "th", "▁th", "▁the", "en", "end", "▁end", "▁▁", "世界", "the", "\u0301", "é"];
const pieceMerges = [["▁", "▁"], ["t", "h"], ["▁", "th"], ["▁th", "e"], ["th", "e"], ["e", "n"], ["en", "d"], ["▁", "end"], ["世", "界"]];
const fallbacks = Array.from({ length: 256 }, (_, b) => "<0x" + b.toString(16).toUpperCase().padStart(2, "0") + ">");
const ids = (names) => Object.fromEntries(names.map((name, id) => [name, id]));
const toSpace = { type: "Replace", pattern: { String: "▁" }, content: " " };
const joined = { type: "Sequence", decoders: [toSpace, { type: "ByteFallback" }, { type: "Fuse" }] };
const stripped = { type: "Sequence", decoders: [...joined.decoders, { type: "Strip", content: " ", start: 1, stop: 0 }] };
const marks = replaced({ String: " " }, "▁");
const text = (o = {}, model = {}) => ({ normalizer: marks, pre_tokenizer: null, decoder: joined, added_tokens: [token(0, "<unk>", { special: true })], ...o, model: { unk_token: "<unk>", fuse_unk: true, byte_fallback: true, vocab: ids([...pieces, ...fallbacks]), merges: pieceMerges, ...model } });
const meta = (prepend_scheme, split) => ({ type: "Metaspace", replacement: "▁", prepend_scheme, split });
const unigram = (o = {}, model = {}) => ({ normalizer: null, pre_tokenizer: meta("always", true), decoder: meta("always", true), added_tokens: [token(0, "<unk>", { special: true })], ...o, model: { type: "Unigram", unk_id: 0, vocab: pieces.map((name, id) => [name, id === 0 ? 0 : -id / 4 - (name.length === 1 ? 4 : 0)]), merges: undefined, ...model } });

const cases = {
  base: {},
  "ordinary added token": { added_tokens: [eot, token(next + 1, "[SEP]", { normalized: true })] },
  "added token with newline": { added_tokens: [eot, token(next + 1, "end\n", { normalized: true })] },
  "longest added token": { added_tokens: [eot, token(vocab["en"], "en"), token(next + 1, "end\n"), token(next + 2, "end t"), token(vocab["end"], "end")] },
  "normalized after others": { added_tokens: [token(next, "then", { normalized: true }), token(next + 1, "hend")] },
  "not normalized first, both": { added_tokens: [token(next, "nd t", { normalized: true }), token(next + 1, "d th", { normalized: false }), token(next + 2, "the e", { normalized: true })] },
  lstrip: { added_tokens: [eot, token(next + 1, "<mask>", { lstrip: true, special: true })] },
  rstrip: { added_tokens: [eot, token(next + 1, "<mask>", { rstrip: true })] },
  "lstrip and rstrip": { added_tokens: [eot, token(next + 1, "<mask>", { lstrip: true, rstrip: true, normalized: true })] },
  "single word": { added_tokens: [eot, token(vocab["the"], "the", { single_word: true })] },
  "single word, stripped": { added_tokens: [eot, token(vocab["the"], "the", { single_word: true, lstrip: true, rstrip: true })] },
  "added token of the vocabulary": { added_tokens: [token(vocab["end"], "end")] },
  "added token twice": { added_tokens: [eot, eot] },
  "added token twice, other id": { added_tokens: [eot, token(next + 1, "[SEP]"), token(next + 2, "<|endoftext|>", { special: true }), token(next + 3, "[CLS]")] },
  "added token twice, other match": { added_tokens: [eot, token(next + 1, "[SEP]"), token(next + 1, "[SEP]", { rstrip: true })] },
  "added token, other id than the vocabulary's": { added_tokens: [token(7, "end"), eot] },
  "added tokens in another order": { added_tokens: [token(next + 1, "[SEP]"), eot] },
  "hole before an added token": { added_tokens: [eot, token(next + 6, "[SEP]")] },
  "hole in the vocabulary": { added_tokens: [], model: { vocab: { ...vocab, xyz: next + 4 } } },
  "normalizer of nothing": { normalizer: { type: "Sequence", normalizers: [] } },
  "normalizers of nothing, nested": { normalizer: { type: "Sequence", normalizers: [{ type: "Sequence", normalizers: [] }] } },
  "Replace by the same": { normalizer: { type: "Replace", pattern: { String: " " }, content: " " } },
  "Strip of neither side": { normalizer: { type: "Strip", strip_left: false, strip_right: false } },
  "BertNormalizer of nothing": { normalizer: { type: "BertNormalizer", clean_text: false, handle_chinese_chars: false, strip_accents: null, lowercase: false } },
  "BertNormalizer, lower case": { normalizer: { type: "BertNormalizer", clean_text: false, handle_chinese_chars: false, strip_accents: false, lowercase: true } },
  "BertNormalizer, no accents": { normalizer: { type: "BertNormalizer", clean_text: false, handle_chinese_chars: false, strip_accents: null, lowercase: true } },
  NFC: { normalizer: { type: "NFC" } },
  NFD: { normalizer: { type: "NFD" } },
  NFKC: { normalizer: { type: "NFKC" }, added_tokens: [eot, token(next + 1, "ﬁn", { normalized: true }), token(next + 2, "ﬁx", { normalized: false })] },
  NFKD: { normalizer: { type: "NFKD" } },
  Lowercase: { normalizer: { type: "Lowercase" }, added_tokens: [eot, token(next + 1, "[SEP]", { normalized: true }), token(next + 2, "[CLS]", { normalized: false })] },
  "NFC and Lowercase": { normalizer: { type: "Sequence", normalizers: [{ type: "NFC" }, { type: "Lowercase" }] } },
  "prefix space": { pre_tokenizer: { ...bytes, add_prefix_space: true }, added_tokens: [eot, token(next + 1, "[SEP]")] },
  "Sequence of one": { pre_tokenizer: { type: "Sequence", pretokenizers: [bytes] } },
  "Sequence of two, nested": { pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "Sequence", pretokenizers: [split] }, noRegex] } },
  "Split and prefix space": { pre_tokenizer: { type: "Sequence", pretokenizers: [split, { ...noRegex, add_prefix_space: true }] } },
  "no pre-tokenizing pattern": { pre_tokenizer: noRegex },
  "Split twice": { pre_tokenizer: { type: "Sequence", pretokenizers: [split, bytes] } },
  "Split, the rest removed": { pre_tokenizer: { type: "Sequence", pretokenizers: [{ ...split, behavior: "Removed", invert: true }, noRegex] } },
  "Split as tiktoken spells it": { pre_tokenizer: { type: "Sequence", pretokenizers: [{ ...split, pattern: { Regex: "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+" } }, noRegex] } },
  "prefix space and strip": { pre_tokenizer: { ...bytes, add_prefix_space: true }, added_tokens: [eot, token(next + 1, "<mask>", { lstrip: true, rstrip: true }), token(next + 2, "_end", { normalized: true })] },
  "template of nothing": { post_processor: template([sequence()], {}) },
  "template with bos": { added_tokens: [eot], post_processor: template([special("<|endoftext|>"), sequence()], eotOf) },
  "template with bos and eos": { added_tokens: [eot], post_processor: template([special("<|endoftext|>"), sequence(), special("<|endoftext|>")], eotOf) },
  "template in a Sequence": { added_tokens: [eot], post_processor: { type: "Sequence", processors: [{ ...bytes, add_prefix_space: true }, template([special("<|endoftext|>"), sequence()], eotOf)] } },
  "two templates": { added_tokens: [eot], post_processor: { type: "Sequence", processors: [template([special("<|endoftext|>"), sequence()], eotOf), template([special("a"), sequence(), special("b"), special("a")], { a: { id: "a", ids: [vocab.a], tokens: ["a"] }, b: { id: "b", ids: [vocab.b, vocab.b], tokens: ["b", "b"] } })] } },
  "as RoBERTa has it": { added_tokens: [eot], post_processor: { type: "RobertaProcessing", cls: ["a", vocab.a], sep: ["<|endoftext|>", next], trim_offsets: true, add_prefix_space: true } },
  "as BERT has it": { added_tokens: [eot], post_processor: { type: "BertProcessing", cls: ["a", vocab.a], sep: ["<|endoftext|>", next] } },
  "post-processors of nothing": { post_processor: { type: "Sequence", processors: [] } },
  "ByteLevel after": { post_processor: { ...bytes, add_prefix_space: true, trim_offsets: false } },
  "merges as strings": { model: { merges: merges.map((m) => m.join(" ")) } },
  "merges listed twice": { model: { merges: [["t", "h"], ...merges.slice(1), ["t", "h"], ["Ġ", "t"]] } },
  "prefixes null": { model: { continuing_subword_prefix: null, end_of_word_suffix: null } },
  "dropout 0": { model: { dropout: 0 } },
  "ignore merges": { model: { ignore_merges: true, vocab: { ...vocab, Ġend: next, thx: next + 1 } } },
  "byte fallback": { model: { byte_fallback: true } },
  "unknown token": { added_tokens: [token(next, "<unk>", { special: true })], model: { unk_token: "<unk>", vocab: { ...without("x", "Ã", "Ċ"), "<unk>": next }, merges: merges.slice(0, 7) } },
  "unknown token, fused": { added_tokens: [token(next, "<unk>", { special: true })], model: { unk_token: "<unk>", fuse_unk: true, vocab: { ...without("x", "Ã", "Ċ"), "<unk>": next }, merges: merges.slice(0, 7) } },
  "decoder in a Sequence": { decoder: { type: "Sequence", decoders: [bytes] } },
  "Llama 3's pattern": steps(by(llama3), noRegex),
  "GPT-4o's pattern": steps(by(gpt4o), noRegex),
  "a pattern of its own": steps(by("[aeiou]+|th"), noRegex),
  "possessive quantifiers": steps(by("[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s"), noRegex),
  "ends of lines": steps(by("e$|^t"), noRegex),
  "Split, removed": steps(by("[aeiou]", "Removed"), noRegex),
  "Split, contiguous": steps(by("[aeiou]", "Contiguous"), noRegex),
  "Split, merged with the previous": steps(byText("e", "MergedWithPrevious"), noRegex),
  "Split, merged with the next": steps(byText("e", "MergedWithNext"), noRegex),
  "Split, inverted": steps(byText("th", "MergedWithNext", true), noRegex),
  "digits one by one": steps({ type: "Digits", individual_digits: true }, bytes),
  "digits": steps({ type: "Digits", individual_digits: false }, bytes),
  punctuation: steps({ type: "Punctuation", behavior: "Contiguous" }, bytes),
  "punctuation alone": steps({ type: "Punctuation" }, noRegex),
  whitespace: steps({ type: "Whitespace" }, noRegex),
  "whitespace alone": steps({ type: "WhitespaceSplit" }, noRegex),
  "a character": steps({ type: "CharDelimiterSplit", delimiter: "e" }, noRegex),
  "as BERT splits": steps({ type: "BertPreTokenizer" }, noRegex),
  "digits after bytes": steps(bytes, { type: "Digits", individual_digits: false }, by("[0-9][0-9][0-9]")),
  "Replace": normal(replaced({ String: "th" }, "T"), replaced({ Regex: "e+" }, "ee")),
  "Prepend": normal({ type: "Prepend", prepend: "the" }),
  "Strip": normal({ type: "Strip", strip_left: true, strip_right: true }),
  "StripAccents": normal({ type: "NFD" }, { type: "StripAccents" }),
  "Gemma's": text(),
  "Gemma's, with a Split of nothing": text({ pre_tokenizer: byText(" ", "MergedWithPrevious") }),
  "Llama 2's": text(normal({ type: "Prepend", prepend: "▁" }, marks)),
  "Llama 2's, decoded": text({ ...normal({ type: "Prepend", prepend: "▁" }, marks), decoder: stripped }),
  "Metaspace at the first": text({ normalizer: null, pre_tokenizer: meta("first", false), decoder: meta("first", false), added_tokens: [token(0, "<unk>", { special: true }), token(pieces.indexOf("世"), "世")] }),
  "Metaspace always": text({ normalizer: null, pre_tokenizer: meta("always", true), decoder: meta("always", true), added_tokens: [token(0, "<unk>", { special: true }), token(pieces.indexOf("世"), "世")] }),
  "Metaspace never": text({ normalizer: null, pre_tokenizer: meta("never", true), decoder: meta("never", true) }),
  "Metaspace of early files": text({ normalizer: null, pre_tokenizer: { type: "Metaspace", replacement: "▁", add_prefix_space: true }, decoder: { type: "Metaspace", replacement: "▁", add_prefix_space: true } }),
  "texts without bytes": text({}, { byte_fallback: false, vocab: ids(pieces) }),
  "texts without bytes, unknown apart": text({}, { byte_fallback: false, fuse_unk: false, vocab: ids(pieces) }),
  "texts, merges ignored": text({}, { ignore_merges: true, merges: pieceMerges.slice(0, 3) }),
  Unigram: unigram(),
  "Unigram, bytes": unigram({}, { byte_fallback: true, vocab: [...pieces, ...fallbacks].map((name, id) => [name, id === 0 ? 0 : -id / 4]) }),
  "Unigram, unsplit": unigram({ pre_tokenizer: meta("never", false), decoder: meta("never", false) }),
  "Unigram, an added word": unigram({ added_tokens: [token(0, "<unk>", { special: true }), token(pieces.length, "hen", { single_word: true })] }),
  "characters of words": steps(by("\\w+"), noRegex),
  "other characters": steps(by("\\W"), by("[^\\w\\s]"), noRegex),
  "bounds of words": steps(by("\\b"), by("t\\B"), noRegex),
  "truncation and padding": { truncation: null, padding: null },
};

const texts = [
  "", " ", "the end", "the\nend\nend\n\nthe", "then  the end of it's  ", "a [SEP] b[SEP]c [CLS]", "  <mask>  <mask>x <mask>\n\n<mask>", "the_end the,the 1the theé the", "<|endoftext|>the<|endoftext|> the",
  "É E\u0301 İSTANBUL ﬁx ﬁn ＦＵＬＬ Σς K [sep] [cls]", "xxé\n\nx é thx end", "世界 안녕 \u1112\u1161\u11ab\u3000\u00a0ok", "\n the\t<|endoftext|>\r\n the", "thend thend then end then", "½ x²  \u2166t the\u0903 t  \u24d0 the\u{1f130} the\u203fthe\u{1f600}  the _ the\u20dd",
];

const out = { version: hf.VERSION ?? createRequire(import.meta.url)(process.argv[2] + "/package.json").version, base, texts, cases: [] };
for (const [name, change] of Object.entries(cases)) {
  const json = { ...base, ...change, model: { ...base.model, ...change.model } };
  const c = { name, change };
  try {
    const t = hf.Tokenizer.fromString(JSON.stringify(json));
    c.added = [];
    c.plain = [];
    for (const text of texts) {
      c.added.push((await t.encode(text)).getIds());
      c.plain.push((await t.encode(text, null, { addSpecialTokens: false })).getIds());
    }
    if (json.decoder && json.decoder.type !== "ByteLevel") c.decoded = await Promise.all(c.plain.map((ids) => t.decode(ids, false)));
    if (JSON.stringify(c.added) === JSON.stringify(c.plain)) delete c.added;
  } catch (e) {
    c.error = String(e.message ?? e);
    delete c.added;
    delete c.plain;
    delete c.decoded;
  }
  out.cases.push(c);
}
const lines = out.cases.map((c) => JSON.stringify(c));
process.stdout.write(`{"version": ${JSON.stringify(out.version)},\n"base": ${JSON.stringify(base)},\n"texts": ${JSON.stringify(texts)},\n"cases": [\n${lines.join(",\n")}\n]}\n`);
