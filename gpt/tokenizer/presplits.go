package tokenizer

// This file has the names that GGUF files give to ways to cut text into words
// (tokenizer.ggml.pre), as of llama.cpp v0.5.0. Where llama.cpp follows a pattern about,
// the one of the model's own tokenizer.json is here.

import (
	"context"
	"reflect"
	"slices"
)

// A PreSplit is what a name of tokenizer.ggml.pre stands for.
type PreSplit struct {
	Steps        []Step // of a pre-tokenizer; nil for GPT-2's
	IgnoreMerges bool   // see Vocabulary
	AddBOS       bool   // a text begins with the token for that, if the file does not say
}

// regexes are steps that cut by patterns, one after the other, for bytes.
func regexes(patterns ...string) []Step {
	var steps []Step
	for _, p := range patterns {
		steps = append(steps, Step{Type: split, Pattern: p, Regex: true, Behavior: isolated})
	}
	return append(steps, Step{Type: byteLevel})
}

// Steps that several names stand for.
var (
	singleDigits   = []Step{{Type: digits, Split: true}, {Type: byteLevel, Split: true}}
	deepSeekV3     = regexes(threeDigits, eastAsian, deepSeekPattern)
	bloom          = " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"
	latinWords     = "\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943]+"
	cjkPunctuation = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"
	deepSeekCJK    = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
	youtuScripts   = "[\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+|[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
	afmoeScripts   = "[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf\u0e40-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff]+"
	gpt2Isolated   = Step{Type: split, Pattern: gpt2Pattern, Regex: true, Behavior: isolated}
)

// preSplits are the names. Of those that stand for the same, the first is written.
var preSplits = []struct {
	names []string
	PreSplit
}{
	{[]string{"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum", "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4"}, PreSplit{}},
	{[]string{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"}, PreSplit{regexes(llama3Pattern), true, true}},
	{[]string{"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"}, PreSplit{Steps: regexes(llama3Pattern)}},
	{[]string{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2"}, PreSplit{Steps: regexes(qwen2Pattern)}},
	{[]string{"qwen35"}, PreSplit{Steps: regexes(qwen35Pattern)}},
	{[]string{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, PreSplit{Steps: regexes(gpt4oPattern)}},
	{[]string{"granite-embed-multi-97m"}, PreSplit{Steps: regexes(gpt4oPattern), IgnoreMerges: true}},
	{[]string{"tekken"}, PreSplit{regexes(tekkenPattern), true, true}},
	{[]string{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"}, PreSplit{Steps: singleDigits}},
	{[]string{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"}, PreSplit{Steps: deepSeekV3}},
	{[]string{"deepseek-llm"}, PreSplit{Steps: regexes(`[\r\n]`, latinWords, cjkPunctuation, endSpaces, deepSeekCJK, `\p{N}`)}},
	{[]string{"deepseek-coder"}, PreSplit{Steps: regexes(`[\r\n]`, lettersPattern, marksPattern, deepSeekCJK, `\p{N}`)}},
	{[]string{"falcon"}, PreSplit{Steps: []Step{{Type: punctuation, Behavior: contiguous}, gpt2Isolated, {Type: split, Pattern: threeASCIIDigit, Regex: true, Behavior: isolated}, {Type: byteLevel}}}},
	{[]string{"default"}, PreSplit{Steps: regexes(`[\p{P}\$\+<=>\^~\|]+`, gpt2Pattern, `\p{N}+`, threeASCIIDigit)}},
	{[]string{"poro-chat", "bloom", "gpt3-finnish"}, PreSplit{Steps: regexes(bloom)}},
	{[]string{"viking"}, PreSplit{Steps: regexes(bloom, `\p{N}`)}},
	{[]string{"seed-coder"}, PreSplit{Steps: regexes(seedPattern)}},
	{[]string{"bailingmoe", "bailingmoe2", "llada-moe"}, PreSplit{Steps: regexes(bailingPattern)}},
	{[]string{"ufakzeka"}, PreSplit{Steps: regexes(plainPattern)}},
	{[]string{"minicpm5"}, PreSplit{Steps: regexes(threeDigits, numbersPattern), IgnoreMerges: true}},
	{[]string{"laguna"}, PreSplit{Steps: regexes(`[^\n]+|[\n]+`, qwen2Pattern)}},
	{[]string{"youtu"}, PreSplit{Steps: regexes(youtuScripts, youtuPattern), IgnoreMerges: true}},
	{[]string{"jais-2"}, PreSplit{Steps: regexes(anyContraction + `|` + letterRun + `|` + threeDigits + `|` + symbolRun + `[\r\n]*|` + lines + `|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}`)}},
	{[]string{"spark2_5"}, PreSplit{Steps: regexes(threeDigits, eastAsian, "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+|[\\r\\n]|\\s+(?!\\S)|\\s+", `\p{N}`)}},
	{[]string{"chameleon"}, PreSplit{Steps: regexes(`<sentinel:[0-9]+>`, `(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z`, `([\t\n]|    |  )`, `\p{N}`, `[\p{P}!-/:-@\[-`+"`"+`{-~]`, gpt2Pattern), AddBOS: true}},
	{[]string{"tiny_aya", "cohere2moe"}, PreSplit{Steps: regexes(digitsOfRight, gpt4oPattern)}},
	{[]string{"superbpe"}, PreSplit{Steps: regexes(`\p{N}+`, `(?=(\d{3})+(?!\d))`)}},
	{[]string{"kimi-k2"}, PreSplit{Steps: regexes(`[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}-[\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}-[\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}-[\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}-[\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`)}},
	{[]string{"afmoe"}, PreSplit{Steps: regexes(numbersOfRight, afmoeScripts, deepSeekPattern)}},
	{[]string{"exaone-moe"}, PreSplit{Steps: regexes(anyContraction + `|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}|` + symbolRun + `[\r\n/]?|\s*[\r\n]|` + blanks)}},
}

// PreSplitOf returns what a name of tokenizer.ggml.pre stands for.
func PreSplitOf(name string) (PreSplit, bool) {
	for _, p := range preSplits {
		if slices.Contains(p.names, name) {
			return p.PreSplit, true
		}
	}
	return PreSplit{}, false
}

// PreSplitName returns the name of tokenizer.ggml.pre that says how v cuts text into
// words, and false if no name does. Names also say whether merges are ignored, as
// IgnoreMerges has it: of the names for the steps it is one that says the same, or any
// where merges make every token anyway.
func (v Vocabulary) PreSplitName() (string, bool) {
	for _, p := range preSplits {
		same := len(p.Steps) == len(v.PreTokenizer) && (len(p.Steps) == 0 || reflect.DeepEqual(p.Steps, v.PreTokenizer))
		if same && (p.IgnoreMerges == v.IgnoreMerges || v.mergesMakeAll()) {
			return p.names[0], true
		}
	}
	return "", false
}

// mergesMakeAll reports whether each token of bytes is what merges make of it, so that
// it does not matter whether they are ignored.
func (v Vocabulary) mergesMakeAll() bool {
	v.IgnoreMerges, v.Normalizer = false, nil
	t, err := New(v)
	if err != nil {
		return false
	}
	e := encoder{t: t, ctx: context.Background()}
	for id, text := range t.tokens {
		if text == "" || t.literal[id] {
			continue
		}
		e.ids = e.ids[:0]
		if err := e.word(text, 0); err != nil || len(e.ids) != 1 || e.ids[0] != id {
			return false
		}
	}
	return true
}
