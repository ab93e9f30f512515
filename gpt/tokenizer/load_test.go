package tokenizer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const (
	goodVocab     = `{"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "<|endoftext|>": 5}`
	goodMerges    = "#version: 0.2\na b\nab c\n"
	goodTokenizer = `{"version": "1.0", "added_tokens": [{"id": 5, "content": "<|endoftext|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": true}],
 "normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}, "post_processor": {"type": "ByteLevel", "add_prefix_space": true},
 "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
 "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4}, "merges": ["a b", ["ab", "c"]]}}`
	head      = `{"pre_tokenizer": {"type": "ByteLevel"}, ` // of a tokenizer.json
	modelHead = `{"model": {"vocab": {"a": 0}, "merges": []}, `
)

// badFiles are files with one fault each; a file not given is a good one.
var badFiles = []struct {
	name                            string
	vocab, merges, tokenizer, added string
	want                            []string // parts of the error
}{
	{name: "vocab empty", vocab: " ", want: []string{"vocab.json", "truncated"}},
	{name: "vocab truncated", vocab: `{"a": 0, "b"`, want: []string{"vocab.json: line 1, byte 13", "truncated"}},
	{name: "vocab truncated in string", vocab: "{\"a\": 0,\n\"b", want: []string{"vocab.json: line 2, byte 3", "truncated"}},
	{name: "vocab syntax", vocab: "{\"a\": 0,\n\"b\" 1}", want: []string{"vocab.json: line 2", "invalid character '1'"}},
	{name: "vocab trailing comma", vocab: `{"a": 0,}`, want: []string{"vocab.json: line 1", "invalid character ','"}},
	{name: "vocab array", vocab: `["a", "b"]`, want: []string{"found an array, expected an object"}},
	{name: "vocab null", vocab: `null`, want: []string{"found null, expected an object"}},
	{name: "vocab no tokens", vocab: `{}`, want: []string{"no tokens"}},
	{name: "vocab more after", vocab: `{"a": 0} {"b": 1}`, want: []string{`{\"b\": 1}`, "expected the end of the file"}},
	{name: "vocab id string", vocab: `{"a": "0"}`, want: []string{`token "a"`, `the string "0"`, "expected an integer"}},
	{name: "vocab id nested", vocab: `{"a": {"b": 0}}`, want: []string{`token "a"`, "an object", "expected an integer"}},
	{name: "vocab id fraction", vocab: `{"a": 0.5}`, want: []string{`token "a" is 0.5`, "expected an integer"}},
	{name: "vocab id bool", vocab: `{"a": true}`, want: []string{`token "a" is true`, "expected an integer"}},
	{name: "vocab id negative", vocab: `{"a": 0, "b": -1}`, want: []string{`token "b" is -1`, "expected an integer from 0"}},
	{name: "vocab id huge", vocab: `{"a": 0, "b": 99999999999999999999}`, want: []string{`token "b" is 99999999999999999999`}},
	{name: "vocab id large", vocab: `{"a": 0, "b": 2000000000}`, want: []string{`token "b" is 2000000000`}},
	{name: "vocab id twice", vocab: `{"a": 0, "b": 0}`, want: []string{`tokens "a" and "b" have the same id 0`}},
	{name: "vocab token twice", vocab: `{"a": 0, "b": 1, "a": 2}`, want: []string{`token "a" is listed twice, with ids 0 and 2`}},
	{name: "vocab token empty", vocab: `{"": 0}`, want: []string{"token of id 0 is empty"}},
	{name: "vocab deep", vocab: `{"a": ` + strings.Repeat("[", 20000), want: []string{`token "a" is an array`}},
	{name: "vocab long name", vocab: `{"` + strings.Repeat("x", 5000) + `": -1}`, want: []string{`... (5000 bytes) is -1`}},
	{name: "vocab not UTF-8", vocab: "{\"a\": 0,\n \"\xff\": 1}", want: []string{"vocab.json: line 2, byte 3: found byte 0xff, expected UTF-8"}},

	{name: "merge of one", merges: "a b\nab\n", want: []string{`merges.txt: line 2: found "ab", expected two tokens`}},
	{name: "merge of three", merges: "#version: 0.2\na b c\n", want: []string{`merges.txt: line 2: found "a b c", expected two tokens`}},
	{name: "merge with two spaces", merges: "a  b\n", want: []string{`merges.txt: line 1: found "a  b"`}},
	{name: "merge line empty", merges: "a b\n\nab c\n", want: []string{`merges.txt: line 2: found "", expected two tokens`}},
	{name: "merge with tab", merges: "a\tb\n", want: []string{`merges.txt: line 1: found "a\tb"`}},
	{name: "merge left unknown", merges: "x b\n", want: []string{`merges.txt: line 1: merges "x", which is not in the vocabulary`}},
	{name: "merge right unknown", merges: "#version: 0.2\na b\na x\n", want: []string{`merges.txt: line 3: merges "x", which is not in the vocabulary`}},
	{name: "merge result unknown", merges: "b c\n", want: []string{`merges.txt: line 1: merges "b" and "c" into "bc", which is not in the vocabulary`}},
	{name: "merges not UTF-8", merges: "a b\nab \xc3", want: []string{"merges.txt: line 2, byte 4: found byte 0xc3"}},
	{name: "merges are JSON", merges: `{"a": 0}`, want: []string{`merges.txt: line 1: merges "{\"a\":", which is not`}},

	{name: "tokenizer empty", tokenizer: " ", want: []string{"tokenizer.json", "truncated"}},
	{name: "tokenizer truncated", tokenizer: goodTokenizer[:200], want: []string{"tokenizer.json: line 2", "truncated"}},
	{name: "tokenizer array", tokenizer: `[]`, want: []string{"tokenizer.json: found an array, expected an object"}},
	{name: "tokenizer deep", tokenizer: `{"x": ` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, want: []string{"tokenizer.json: line 1", "exceeded max depth"}},
	{name: "steps deep", tokenizer: `{"normalizer": ` + strings.Repeat(`{"type":"Sequence","normalizers":[`, 3000) + strings.Repeat("]}", 3000) + `}`, want: []string{"tokenizer.json: "}},
	{name: "no pre_tokenizer", tokenizer: `{"model": {"vocab": {"a": 0}, "merges": []}}`, want: []string{`pre_tokenizer: missing, expected "ByteLevel"`}},
	{name: "pre_tokenizer type", tokenizer: `{"pre_tokenizer": {"type": "UnicodeScripts"}}`, want: []string{`pre_tokenizer: found "UnicodeScripts"`}},
	{name: "pre_tokenizer mark", tokenizer: `{"pre_tokenizer": {"type": "Metaspace", "replacement": "ab"}}`, want: []string{`replacement of "Metaspace": found "ab", expected one character`}},
	{name: "pre_tokenizer scheme", tokenizer: `{"pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "x"}}`, want: []string{`prepend_scheme of "Metaspace": found "x"`}},
	{name: "pre_tokenizer pattern", tokenizer: modelHead + `"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated"}, {"type": "ByteLevel"}]}}`, want: []string{`pre_tokenizer: step Split: pattern "(a": error parsing regexp`}},
	{name: "pre_tokenizer long pattern", tokenizer: modelHead + `"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "` + strings.Repeat("a", 10000) + `"}, "behavior": "Isolated"}, {"type": "ByteLevel"}]}}`, want: []string{`step "Split" has a content of 0 bytes and a pattern of 10000, expected at most 256 and 8192`}},
	{name: "pre_tokenizer no pattern", tokenizer: `{"pre_tokenizer": {"type": "Split", "behavior": "Isolated"}}`, want: []string{`pattern of "Split": missing`}},
	{name: "pre_tokenizer behavior", tokenizer: modelHead + `"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"String": "a"}, "behavior": "Odd"}, {"type": "ByteLevel"}]}}`, want: []string{`step Split: behavior: found "Odd"`}},
	{name: "pre_tokenizer delimiter", tokenizer: `{"pre_tokenizer": {"type": "CharDelimiterSplit", "delimiter": ""}}`, want: []string{`delimiter of "CharDelimiterSplit"`}},
	{name: "pre_tokenizer after", tokenizer: modelHead + `"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "WhitespaceSplit"}]}}`, want: []string{`found "WhitespaceSplit" after "ByteLevel"`}},
	{name: "pre_tokenizer twice", tokenizer: modelHead + `"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "ByteLevel"}]}}`, want: []string{"found ByteLevel twice"}},
	{name: "pre_tokenizer of nothing", tokenizer: modelHead + `"pre_tokenizer": {"type": "Sequence", "pretokenizers": []}}`, want: []string{`pre_tokenizer: missing, expected "ByteLevel"`}},
	{name: "many steps", tokenizer: modelHead + `"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}` + strings.Repeat(`, {"type": "Digits"}`, 100) + `]}}`, want: []string{"101 of a pre-tokenizer", "at most 64"}},
	{name: "pre_tokenizer wrong", tokenizer: `{"pre_tokenizer": 5}`, want: []string{"pre_tokenizer is number, expected object"}},
	{name: "normalizer", tokenizer: head + `"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Nmt"}]}}`, want: []string{`normalizer: found "Nmt", which is not known`}},
	{name: "normalizer Bert", tokenizer: head + `"normalizer": {"type": "BertNormalizer", "clean_text": true}}`, want: []string{`normalizer: found "BertNormalizer"`}},
	{name: "normalizer pattern", tokenizer: head + modelHead[1:] + `"normalizer": {"type": "Replace", "pattern": {"Regex": "a("}, "content": "b"}}`, want: []string{`normalizer: pattern "a(": error parsing regexp`}},
	{name: "normalizer Replace of nothing", tokenizer: head + `"normalizer": {"type": "Replace", "pattern": {"String": ""}, "content": "b"}}`, want: []string{`normalizer: pattern of "Replace": missing`}},
	{name: "charsmap", tokenizer: head + modelHead[1:] + `"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}`, want: []string{"normalizer: precompiled_charsmap: expected"}},
	{name: "charsmap not base64", tokenizer: head + `"normalizer": {"type": "Precompiled", "precompiled_charsmap": "!"}}`, want: []string{"normalizer: illegal base64 data"}},
	{name: "post_processor", tokenizer: head + `"post_processor": {"type": "Other"}}`, want: []string{`post_processor: found "Other"`}},
	{name: "template without text", tokenizer: head + `"post_processor": {"type": "TemplateProcessing"}}`, want: []string{`post_processor: the template`, "leaves the text A out"}},
	{name: "template of two texts", tokenizer: head + `"post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}, {"Sequence": {"id": "A"}}]}}`, want: []string{"more than the text A, once"}},
	{name: "template without its token", tokenizer: head + `"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}]}}`, want: []string{`token "x", which special_tokens does not list`}},
	{name: "template with many tokens", tokenizer: head + `"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"x": {"ids": [0` + strings.Repeat(",0", 70) + `]}}}}`, want: []string{"more than 64 tokens around a text"}},
	{name: "template with no such token", tokenizer: head + `"post_processor": {"type": "RobertaProcessing", "cls": ["a", 0], "sep": ["b", 7]}, "model": {"vocab": {"a": 0}, "merges": []}}`, want: []string{"has id 7, which is of no token"}},
	{name: "Roberta without ids", tokenizer: head + `"post_processor": {"type": "RobertaProcessing"}}`, want: []string{`cls or sep of "RobertaProcessing"`}},
	{name: "decoder", tokenizer: head + `"decoder": {"type": "WordPiece"}}`, want: []string{`decoder: found "WordPiece"`}},
	{name: "decoder of bytes", tokenizer: head + modelHead[1:] + `"decoder": {"type": "ByteFallback"}}`, want: []string{`decoder: found "ByteFallback", expected "ByteLevel"`}},
	{name: "decoder Strip", tokenizer: `{"decoder": {"type": "Strip", "content": " ", "start": -1, "stop": 0}}`, want: []string{`decoder: "Strip": found content " ", start -1`}},
	{name: "decoder Replace late", tokenizer: modelHead + `"decoder": {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Replace", "pattern": {"String": "ab"}, "content": " "}]}}`, want: []string{`decoder: found "Replace" with settings, or in a place`}},
	{name: "no model", tokenizer: head + `"x": 1}`, want: []string{"model: missing"}},
	{name: "model null", tokenizer: head + `"model": null}`, want: []string{"model: found null, expected an object"}},
	{name: "model wrong", tokenizer: head + `"model": []}`, want: []string{"model: found an array, expected an object"}},
	{name: "model type", tokenizer: head + `"model": {"type": "WordPiece", "vocab": {"a": 0}}}`, want: []string{`model.type: found "WordPiece", expected "BPE" or "Unigram"`}},
	{name: "Unigram without vocab", tokenizer: head + `"model": {"type": "Unigram"}}`, want: []string{"model.vocab: missing"}},
	{name: "Unigram with ids", tokenizer: head + `"model": {"type": "Unigram", "vocab": {"a": 0}}}`, want: []string{"model.vocab: found it in another form"}},
	{name: "BPE with scores", tokenizer: head + `"model": {"type": "BPE", "vocab": [["a", 0]], "merges": []}}`, want: []string{"model.vocab: found it in another form"}},
	{name: "Unigram score", tokenizer: head + `"model": {"type": "Unigram", "vocab": [["a", 0], ["b", "0"]]}}`, want: []string{`model.vocab[1]: found the string "0", expected ["token", score]`}},
	{name: "Unigram score infinite", tokenizer: head + `"model": {"type": "Unigram", "vocab": [["a", 1e999]]}}`, want: []string{`model.vocab[0]: found the number 1e999`}},
	{name: "Unigram unknown", tokenizer: head + `"model": {"type": "Unigram", "unk_id": 3, "vocab": [["a", 0]]}}`, want: []string{`model.unk_id: found 3, expected 0 to 0`}},
	{name: "Unigram twice", tokenizer: head + `"model": {"type": "Unigram", "vocab": [["a", 0], ["a", 0]]}}`, want: []string{`model.vocab[1]: token "a" is listed twice`}},
	{name: "Unigram without decoder", tokenizer: `{"model": {"type": "Unigram", "vocab": [["a", 0]]}}`, want: []string{"decoder: missing"}},
	{name: "no vocab", tokenizer: head + `"model": {"merges": []}}`, want: []string{"model.vocab: missing"}},
	{name: "vocab null in model", tokenizer: head + `"model": {"vocab": null, "merges": []}}`, want: []string{"model.vocab", "found null, expected an object"}},
	{name: "no merges", tokenizer: head + `"model": {"vocab": {}}}`, want: []string{"model.merges: missing"}},
	{name: "merges wrong", tokenizer: head + `"model": {"vocab": {"a": 0}, "merges": "a b"}}`, want: []string{"model.merges", `the string "a b", expected an array`}},
	{name: "merge wrong", tokenizer: head + `"model": {"vocab": {"a": 0}, "merges": [5]}}`, want: []string{"model.merges[0]: found the number 5"}},
	{name: "merge string of one", tokenizer: head + `"model": {"vocab": {"a": 0}, "merges": ["a"]}}`, want: []string{`model.merges[0]: found "a", expected two tokens`}},
	{name: "merge pair of one", tokenizer: head + `"model": {"vocab": {"a": 0}, "merges": [["a"]]}}`, want: []string{"model.merges[0]: entry 1 is an array, expected a token"}},
	{name: "merge pair of three", tokenizer: head + `"model": {"vocab": {"a": 0}, "merges": [["a", "a", "a"]]}}`, want: []string{"model.merges[0]: has more than two entries"}},
	{name: "merge pair of numbers", tokenizer: head + `"model": {"vocab": {"a": 0}, "merges": [["a", 1]]}}`, want: []string{"model.merges[0]: entry 1 is the number 1"}},
	{name: "merge unknown in model", tokenizer: head + `"model": {"vocab": {"a": 0}, "merges": ["a x"]}}`, want: []string{`model.merges[0]: merges "x", which is not in the vocabulary`}},
	{name: "dropout", tokenizer: head + `"model": {"dropout": 0.1, "vocab": {"a": 0}, "merges": []}}`, want: []string{"model.dropout: found 0.1"}},
	{name: "dropout wrong", tokenizer: head + `"model": {"dropout": "x"}}`, want: []string{"dropout is string, expected number"}},
	{name: "prefix", tokenizer: head + `"model": {"continuing_subword_prefix": "##", "vocab": {"a": 0}, "merges": []}}`, want: []string{`continuing_subword_prefix: found "##"`}},
	{name: "suffix", tokenizer: head + `"model": {"end_of_word_suffix": "</w>", "vocab": {"a": 0}, "merges": []}}`, want: []string{`end_of_word_suffix: found "</w>"`}},
	{name: "byte_fallback", tokenizer: head + `"model": {"byte_fallback": true, "vocab": {"a": 0}, "merges": []}}`, want: []string{"byte_fallback is true and the vocabulary has no token for byte 0x00"}},
	{name: "added empty", tokenizer: head + `"added_tokens": [{"id": 1}], "model": {"vocab": {"a": 0}, "merges": []}}`, want: []string{"added_tokens[0]: content"}},
	{name: "added long", tokenizer: head + `"added_tokens": [{"id": 1, "content": "` + strings.Repeat("x", 513) + `"}], "model": {"vocab": {"a": 0}, "merges": []}}`, want: []string{"added_tokens[0]: content", "(513 bytes), expected at most 512"}},
	{name: "added without id", tokenizer: head + `"added_tokens": [{"content": "x"}], "model": {"vocab": {"a": 0}, "merges": []}}`, want: []string{`added_tokens[0]: id: missing for token "x"`}},
	{name: "added negative", tokenizer: head + `"added_tokens": [{"content": "x", "id": -1}], "model": {"vocab": {"a": 0}, "merges": []}}`, want: []string{`added_tokens[0]: id: found -1`}},
	{name: "added id string", tokenizer: head + `"added_tokens": [{"content": "x", "id": "1"}], "model": {"vocab": {"a": 0}, "merges": []}}`, want: []string{"added_tokens.id is string, expected integer"}},
	{name: "added id taken", tokenizer: head + `"added_tokens": [{"content": "x", "id": 0}], "model": {"vocab": {"a": 0}, "merges": []}}`, want: []string{`tokens "a" and "x" have the same id 0`}},
	{name: "added id differs", tokenizer: head + `"added_tokens": [{"content": "a", "id": 1}], "model": {"vocab": {"a": 0}, "merges": []}}`, want: []string{`token "a" has id 1, expected 0`}},
	{name: "added_tokens truncated", added: `{"x": 6`, want: []string{"added_tokens.json: line 1, byte 8", "truncated"}},
	{name: "added_tokens array", added: `[{"x": 6}]`, want: []string{"added_tokens.json", "found an array, expected an object"}},
	{name: "added_tokens id object", added: `{"x": {"id": 6}}`, want: []string{"added_tokens.json", `token "x" is an object, expected an integer`}},
	{name: "added_tokens id huge", added: `{"x": 1048576}`, want: []string{"added_tokens.json", `token "x" is 1048576, expected an integer from 0 to 1048575`}},
	{name: "added_tokens id taken", added: `{"x": 4}`, want: []string{"merges.txt and the files of added tokens", `tokens "abc" and "x" have the same id 4`}},
	{name: "added_tokens id differs", added: `{"a": 6}`, want: []string{"added_tokens.json", `token "a" has id 6, expected 0`}},
	{name: "added_tokens twice", added: `{"x": 6, "x": 6}`, want: []string{"added_tokens.json", `token "x" is listed twice`}},
	{name: "added_tokens empty", added: `{"": 6}`, want: []string{"added_tokens.json", "token of id 6 is empty"}},
	{name: "added_tokens long", added: `{"` + strings.Repeat("x", 513) + `": 6}`, want: []string{"added_tokens.json", "(513 bytes), expected at most 512"}},
	{name: "added_tokens not UTF-8", added: "{\"\xff\": 6}", want: []string{"added_tokens.json: line 1, byte 3: found byte 0xff"}},

	{name: "tokenizer not UTF-8", tokenizer: "{\"\x80\": 0}", want: []string{"tokenizer.json: line 1, byte 3: found byte 0x80"}},
}

func TestBadFiles(t *testing.T) {
	for _, c := range badFiles {
		t.Run(c.name, func(t *testing.T) {
			fsys := files("vocab.json", goodVocab, "merges.txt", goodMerges)
			for name, text := range map[string]string{"vocab.json": c.vocab, "merges.txt": c.merges, "tokenizer.json": c.tokenizer, "added_tokens.json": c.added} {
				if text != "" {
					fsys[name] = &fstest.MapFile{Data: []byte(text)}
				}
			}
			_, err := LoadFS(fsys, ".")
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is %q, want one with %q", err, want)
				}
			}
			if errors.Is(err, ErrNone) {
				t.Errorf("error %q is ErrNone", err)
			}
			checkLoaded(t, nil, err)
		})
	}
}

// TestAddedTokensFile reads added_tokens.json, whose tokens are ordinary ones.
func TestAddedTokensFile(t *testing.T) {
	with := func(added string) *Tokenizer {
		tok, err := LoadFS(files("vocab.json", goodVocab, "merges.txt", goodMerges, "added_tokens.json", added), ".")
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	tok := with(`{"<|endoftext|>": 5, "<b ä>": 7, "[ab]": 6}`)
	if tok.VocabSize() != 8 || tok.Longest() != len(endOfText) {
		t.Errorf("%d tokens of at most %d bytes, want 8 of at most %d", tok.VocabSize(), tok.Longest(), len(endOfText))
	}
	for id, want := range []string{5: endOfText, 6: "[ab]", 7: "<b ä>"} {
		if got, _ := tok.Token(id); want != "" && got != want {
			t.Errorf("token %d is %q, want %q", id, got, want)
		}
	}
	const text = "ab[ab]<b ä>abc<|endoftext|>"
	if diff := cmp.Diff([]int{3, 6, 7, 4, 5}, mustEncode(t, tok, text, AllowSpecial)); diff != "" {
		t.Errorf("%q, -want +got:\n%s", text, diff)
	}
	if ids, err := tok.Encode(text); err == nil {
		t.Errorf("%q became %v where special tokens are letters, which this vocabulary lacks", text, ids)
	}
	if diff := cmp.Diff([]int{3, 6, 7, 4}, mustEncode(t, tok, "ab[ab]<b ä>abc")); diff != "" {
		t.Errorf("without AllowSpecial, -want +got:\n%s", diff)
	}
	if n := with(`{}`).VocabSize(); n != 6 {
		t.Errorf("with no tokens added there are %d, want 6", n)
	}
	// The longest token may come from any file.
	if n := with(`{"` + strings.Repeat("x", 100) + `": 6}`).Longest(); n != 100 {
		t.Errorf("the longest token has %d bytes, want 100", n)
	}
	// tokenizer.json has its own, which say more.
	tok, err := LoadFS(files("tokenizer.json", goodTokenizer, "added_tokens.json", `{"x": 8, "<|endoftext|>": 5}`), ".")
	if err != nil {
		t.Fatal(err)
	}
	if _, special := tok.SpecialID(endOfText); !special || tok.VocabSize() != 9 || !cmp.Equal(tok.Holes(), []int{6, 7}) {
		t.Errorf("beside tokenizer.json: %d tokens, holes %v, %s special: %v", tok.VocabSize(), tok.Holes(), endOfText, special)
	}
}

// TestFirstDifference compares vocabularies by the ids that both have.
func TestFirstDifference(t *testing.T) {
	with := func(added string) *Tokenizer {
		tok, err := LoadFS(files("vocab.json", goodVocab, "merges.txt", goodMerges, "added_tokens.json", added), ".")
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	plain, x, y := with(`{}`), with(`{"x": 6, "z": 7}`), with(`{"y": 6, "z": 7}`)
	for _, c := range []struct {
		a, b   *Tokenizer
		id     int
		differ bool
	}{
		{plain, plain, 0, false},
		{x, x, 0, false},
		{plain, x, 0, false}, // of which one has more
		{x, plain, 0, false},
		{x, y, 6, true},
		{y, x, 6, true},
		{x, with(`{"z": 7}`), 0, false}, // of which one has a hole
		{x, with(`{"x": 7}`), 7, true},
	} {
		if id, differ := c.a.FirstDifference(c.b); id != c.id || differ != c.differ {
			t.Errorf("of %q and %q: token %d, %v, expected %d, %v", c.a.tokens, c.b.tokens, id, differ, c.id, c.differ)
		}
	}
}

// TestLayouts loads GPT-2 in each layout and compares all that was read.
func TestLayouts(t *testing.T) {
	vocab, merges := gpt2Files()
	eot := map[string]any{"id": 50256, "content": endOfText, "special": true, "lstrip": false, "rstrip": false, "single_word": false, "normalized": true}
	for name, fsys := range map[string]fstest.MapFS{
		"strings": files("tokenizer.json", tokenizerJSONOf(t, vocab, merges, false, eot)),
		"pairs":   files("tokenizer.json", tokenizerJSONOf(t, vocab, merges, true, eot), "vocab.json", "unread"),
		"CRLF":    files("vocab.json", string(vocab), "merges.txt", strings.ReplaceAll(string(merges), "\n", "\r\n")),
		"bare":    files("vocab.json", string(vocab), "merges.txt", strings.TrimSpace(strings.TrimPrefix(string(merges), "#version: 0.2\n"))),
	} {
		got, err := LoadFS(fsys, ".")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// The place of a merge in its table is random.
		merges := cmp.Transformer("merges", func(m mergeTable) map[merge]bool {
			set := map[merge]bool{}
			for _, s := range m.slots {
				if s.rank != noMerge {
					set[s] = true
				}
			}
			return set
		})
		if diff := cmp.Diff(gpt2(), got, merges, cmp.AllowUnexported(Tokenizer{}, addedTokens{}, addedToken{}, matcher{}, decoder{}, trie{})); diff != "" {
			t.Errorf("%s, -vocab.json and merges.txt +got:\n%.2000s", name, diff)
		}
	}
}

func TestLoadFromDirectory(t *testing.T) {
	write := func(nameAndText ...string) string {
		dir := t.TempDir()
		for i := 0; i < len(nameAndText); i += 2 {
			if err := os.WriteFile(filepath.Join(dir, nameAndText[i]), []byte(nameAndText[i+1]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	tok, err := Load(write("tokenizer.json", goodTokenizer))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{4, 5, 3}, mustEncode(t, tok, "abc<|endoftext|>ab", AllowSpecial)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	fsys := fstest.MapFS{"m/x/vocab.json": {Data: []byte(goodVocab)}, "m/x/merges.txt": {Data: []byte(goodMerges)}}
	if _, err := LoadFS(fsys, "m/x"); err != nil {
		t.Error(err)
	}

	empty := write("config.json", "{}")
	if _, err := Load(empty); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), empty) {
		t.Errorf("a directory without tokenizer: error is %v, want ErrNone with the directory", err)
	}
	directory := write("merges.txt", goodMerges)
	if err := os.Mkdir(filepath.Join(directory, "vocab.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	huge := write("merges.txt", goodMerges, "vocab.json", "")
	if err := os.Truncate(filepath.Join(huge, "vocab.json"), maxFileSize+1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, dir, want string }{
		{"no directory", filepath.Join(empty, "absent"), "absent: no such file"},
		{"a file", filepath.Join(empty, "config.json"), "not a directory"},
		{"no merges", write("vocab.json", goodVocab), "has vocab.json but no merges.txt"},
		{"no vocab", write("merges.txt", goodMerges), "has merges.txt but no vocab.json"},
		{"vocab is a directory", directory, "vocab.json: found a directory, expected a regular file"},
		{"vocab is huge", huge, "vocab.json: found more than 67108864 bytes"},
	} {
		_, err := Load(c.dir)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrNone) {
			t.Errorf("%s: error is %v, want one with %q that is not ErrNone", c.name, err, c.want)
		}
	}
	if _, err := Load(filepath.Join(empty, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error of an absent directory is %v, want fs.ErrNotExist", err)
	}
}
