package tokenizer

import (
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzEncode holds Encode against tiktoken-go for any valid text; any other
// keeps its bytes.
func FuzzEncode(f *testing.F) {
	for _, text := range hardCases {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids := mustEncode(t, gpt2(), text)
		if utf8.ValidString(text) {
			if diff := diffTiktoken(t, text, ids); diff != "" {
				t.Errorf("Encode(%q), -tiktoken +got:\n%s", text, diff)
			}
		}
		checkCache(t, gpt2(), text+" "+text)
		b, err := gpt2().DecodeBytes(ids)
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != text {
			t.Errorf("DecodeBytes(Encode(%q)) is %q", text, b)
		}
		want := strings.ToValidUTF8(text, "")
		if got := streamed(t, gpt2(), ids); strings.ReplaceAll(got, "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
			t.Errorf("%q streams as %q", text, got)
		}
		special := mustEncode(t, gpt2(), text, AllowSpecial)
		if !strings.Contains(text, endOfText) && !cmp.Equal(ids, special, equateEmpty) {
			t.Errorf("AllowSpecial changes the ids of %q, which has no special token", text)
		}
		if b, err := gpt2().DecodeBytes(special); string(b) != text || err != nil {
			t.Errorf("DecodeBytes(Encode(%q, AllowSpecial)) is %q, %v", text, b, err)
		}
	})
}

// FuzzMerges holds both ways of merging against the definition, for any merges.
func FuzzMerges(f *testing.F) {
	f.Add("a b\nab ab\nb a\n", "abababba")
	f.Add("ab c\na b\nb c\na bc\n", "abcbcab")
	f.Add("aa aa\na a\naa a\n", "aaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, merges, word string) {
		// A vocabulary that has what the merges name, and the bytes of word.
		m, err := parseMerges([]byte(merges))
		if err != nil || len(word) > 500 {
			return
		}
		v := &vocab{ids: map[string]int{}}
		add := func(name string) {
			if _, ok := v.ids[name]; !ok {
				if err := v.add(name, len(v.names)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for r := range byteOf {
			add(string(r))
		}
		for _, p := range m.pairs {
			add(p[0])
			add(p[1])
			add(p[0] + p[1])
		}
		tok, err := (&draft{vocab: v, merges: m}).build()
		if err != nil {
			t.Fatal(err)
		}
		checkMerges(t, tok, word)
	})
}

// checkLoaded uses a tokenizer from an arbitrary file: whatever was accepted
// must work.
func checkLoaded(t *testing.T, tok *Tokenizer, err error) {
	t.Helper()
	if err != nil {
		if !strings.HasPrefix(err.Error(), "tokenizer: ") || strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000 {
			t.Errorf("the error is not one short line with its source: %q", err)
		}
		return
	}
	if tok.VocabSize() < 1 || tok.VocabSize() > MaxTokens {
		t.Errorf("VocabSize is %d", tok.VocabSize())
	}
	var all strings.Builder
	for id := range tok.VocabSize() {
		text, ok := tok.Token(id)
		if ok != (text != "") && tok.model == ByteBPE {
			t.Errorf("token %d is %q, %v", id, text, ok)
		}
		all.WriteString(text)
	}
	v := tok.Vocabulary()
	if again, err := New(v); err != nil || !reflect.DeepEqual(again.Vocabulary(), v) {
		t.Errorf("New of its vocabulary: %v", err)
	}
	if files, err := v.Files(); err != nil {
		t.Error(err)
	} else if again, err := LoadFS(mapFS(files), "."); err != nil || !reflect.DeepEqual(again.Vocabulary(), v) {
		t.Errorf("loaded from its files, %v, -want +got:\n%.2000s", err, cmp.Diff(v, again.Vocabulary()))
	}
	exact := v.Model == ByteBPE && v.Normalizer == nil && !v.PrefixSpace && v.Unknown == "" && tok.added.plain && !dropsText(v.PreTokenizer)
	for _, opts := range [][]Option{nil, {AllowSpecial}} {
		ids, err := tok.Encode(all.String(), opts...)
		if err != nil {
			if !strings.Contains(err.Error(), "the vocabulary has no token for it") && !strings.Contains(err.Error(), "takes more than") {
				t.Error(err)
			}
			continue
		}
		if whole, err := tok.Decode(ids); err != nil || streamed(t, tok, ids) != whole {
			t.Errorf("%v are decoded to %q, %v, and stream as %q", ids, whole, err, streamed(t, tok, ids))
		}
		if b, err := tok.DecodeBytes(ids); exact && string(b) != all.String() || err != nil {
			t.Errorf("DecodeBytes(Encode(%q)) is %q, %v", all.String(), b, err)
		}
	}
}

func mapFS(files map[string][]byte) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, data := range files {
		fsys[name] = &fstest.MapFile{Data: data}
	}
	return fsys
}

func FuzzVocab(f *testing.F) {
	for _, c := range badFiles {
		if c.vocab != "" {
			f.Add([]byte(c.vocab))
		}
	}
	f.Add([]byte(goodVocab))
	f.Fuzz(func(t *testing.T, vocab []byte) {
		tok, err := LoadFS(files("vocab.json", string(vocab), "merges.txt", ""), ".")
		checkLoaded(t, tok, err)
	})
}

func FuzzAddedTokens(f *testing.F) {
	for _, c := range badFiles {
		if c.added != "" {
			f.Add([]byte(c.added))
		}
	}
	f.Add([]byte(`{"<|endoftext|>": 5, "<b ä>": 7, "[ab]": 6}`))
	f.Fuzz(func(t *testing.T, added []byte) {
		tok, err := LoadFS(files("vocab.json", goodVocab, "merges.txt", goodMerges, "added_tokens.json", string(added)), ".")
		checkLoaded(t, tok, err)
	})
}

func FuzzMergesFile(f *testing.F) {
	for _, c := range badFiles {
		if c.merges != "" {
			f.Add([]byte(c.merges))
		}
	}
	f.Add([]byte(goodMerges))
	f.Add([]byte("a b\r\nab c\r\n\r\n"))
	f.Fuzz(func(t *testing.T, merges []byte) {
		tok, err := LoadFS(files("vocab.json", goodVocab, "merges.txt", string(merges)), ".")
		checkLoaded(t, tok, err)
	})
}

func FuzzTokenizerJSON(f *testing.F) {
	for _, c := range badFiles {
		if c.tokenizer != "" {
			f.Add([]byte(c.tokenizer))
		}
	}
	f.Add([]byte(goodTokenizer))
	for _, c := range huggingFace(f).Cases {
		f.Add([]byte(c.tokenizerJSON(f)))
	}
	f.Fuzz(func(t *testing.T, tokenizer []byte) {
		tok, err := LoadFS(files("tokenizer.json", string(tokenizer)), ".")
		checkLoaded(t, tok, err)
	})
}

func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"add_bos_token": true, "add_eos_token": null, "add_prefix_space": true, "bos_token": {"content": "a", "lstrip": true}, "eos_token": "b"}`), []byte(`{"unk_token": null}`))
	f.Add([]byte(`{"added_tokens_decoder": {"7": {"content": "[x]", "special": false, "rstrip": true}, "5": {"content": "<|endoftext|>"}}}`), []byte(`{"pad_token": "[x]", "additional_special_tokens": ["a", {"content": "c"}]}`))
	f.Add([]byte(`{"added_tokens_decoder": {"x": {}}, "extra_special_tokens": {"image_token": "ab"}}`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, config, special []byte) {
		for _, fsys := range []fstest.MapFS{files("vocab.json", goodVocab, "merges.txt", goodMerges), files("tokenizer.json", goodTokenizer)} {
			fsys["tokenizer_config.json"] = &fstest.MapFile{Data: config}
			fsys["special_tokens_map.json"] = &fstest.MapFile{Data: special}
			tok, err := LoadFS(fsys, ".")
			checkLoaded(t, tok, err)
		}
	})
}

// FuzzVocabulary makes tokenizers whose tokens are texts, as a GGUF file may have them:
// the model, names, one a line, scores, and texts that are encoded and decoded. What is
// decoded at once must be what streams, and encoding what was encoded in parts.
func FuzzVocabulary(f *testing.F) {
	f.Add(byte(TextBPE), "<unk>\na\nb\n▁\nab\n▁ab\n<0x0A>", []byte{9, 8, 7, 6, 5, 4, 3}, "ab ab\nc<unk>")
	f.Add(byte(ScoredBPE), "<unk>\na\nb\n▁\nab\n▁ab\n<0x61>\n▁▁", []byte{0, 0, 0, 0, 5, 4, 3, 3}, "  abab\xff")
	f.Add(byte(Unigram), "<unk>\na\n▁a\nb▁\nab\n世", []byte{1, 2, 3}, "世a b a")
	f.Fuzz(func(t *testing.T, model byte, names string, scores []byte, text string) {
		m := Model(model%3) + TextBPE
		if len(names) > 5000 || len(text) > 5000 {
			return
		}
		v := pieceVocabulary(m, nil)
		v.Tokens, v.Added, v.Merges, v.ByteFallback = strings.Split(names, "\n"), map[int]bool{0: true}, nil, model&64 != 0
		v.Unknown, v.IgnoreMerges = v.Tokens[0], model&32 != 0 && m != Unigram
		v.Scores = nil
		ids := map[string]int{}
		for id, name := range v.Tokens {
			ids[name] = id
			v.Scores = append(v.Scores, 0)
			if id < len(scores) {
				v.Scores[id] = -float64(scores[id])
			}
		}
		if m == TextBPE {
			v.Scores = nil
			for _, name := range v.Tokens {
				for i := range name {
					if _, ok := ids[name[:i]]; ok && i > 0 {
						if _, ok := ids[name[i:]]; ok {
							v.Merges = append(v.Merges, [2]string{name[:i], name[i:]})
						}
					}
				}
			}
		}
		tok, err := New(v)
		if err != nil {
			checkLoaded(t, nil, err)
			return
		}
		if files, err := tok.Vocabulary().Files(); err == nil {
			if _, err := LoadFS(mapFS(files), "."); err != nil {
				t.Error(err)
			}
		}
		all, err := tok.Encode(text)
		if err != nil {
			if !strings.Contains(err.Error(), "the vocabulary has no token for it") {
				t.Error(err)
			}
			return
		}
		whole, err := tok.Decode(all)
		if err != nil {
			t.Fatal(err)
		}
		if s := streamed(t, tok, all); s != whole {
			t.Errorf("%v are decoded to %q and stream as %q", all, whole, s)
		}
		checkCut(t, tok, text, 1)
		checkCache(t, tok, text)
	})
}
