package tokenizer

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

// message appends fields: a number for int and bool, bytes for string, 32 bits for float32.
func message(pairs ...any) (m []byte) {
	for i := 0; i < len(pairs); i += 2 {
		number := protowire.Number(pairs[i].(int))
		switch value := pairs[i+1].(type) {
		case int:
			m = protowire.AppendVarint(protowire.AppendTag(m, number, protowire.VarintType), uint64(value))
		case bool:
			m = protowire.AppendVarint(protowire.AppendTag(m, number, protowire.VarintType), protowire.EncodeBool(value))
		case string:
			m = protowire.AppendString(protowire.AppendTag(m, number, protowire.BytesType), value)
		case []byte:
			m = protowire.AppendBytes(protowire.AppendTag(m, number, protowire.BytesType), value)
		case float32:
			m = protowire.AppendFixed32(protowire.AppendTag(m, number, protowire.Fixed32Type), math.Float32bits(value))
		}
	}
	return m
}

// sentencePieces are the fields of pieces with falling scores, the first of which are those that each model has. A name
// that begins with a digit and a colon has that type.
func sentencePieces(names ...string) (m []byte) {
	for i, name := range append([]string{"2:<unk>", "3:<s>", "3:</s>"}, names...) {
		p := message()
		if len(name) > 2 && name[1] == ':' {
			p = message(3, int(name[0]-'0'))
			name = name[2:]
		}
		m = append(m, message(1, append(message(1, name, 2, -float32(i)), p...))...)
	}
	return m
}

func loadPieces(data []byte, files ...string) (*Tokenizer, error) {
	fsys := fstest.MapFS{"tokenizer.model": {Data: data}}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return LoadFS(fsys, ".")
}

// TestSentencePiece expects of tokenizer.model the ids that the definitions of both models give.
func TestSentencePiece(t *testing.T) {
	var bytes []string
	for b := range 256 {
		bytes = append(bytes, "6:"+byteName(b))
	}
	bpe := append(sentencePieces(append(bytes, "ab", "▁ab", "▁", "a", "b", "4:<user>", "5:<unused>", "5:abb")...), message(2, message(3, bpePieces, 35, true, 40, 0, 41, 1, 42, 2), 3, message(1, "identity", 4, false))...)
	unigram := append(sentencePieces("▁ab", "a", "b", "▁", "5:b▁", "ba"), message(3, message(3, true), 4, []byte("ignored"), 9, 1)...)
	for _, c := range []struct {
		name, text     string
		model          []byte
		files          []string
		prefix, suffix []int
		ids            []int
	}{
		{"BPE", "ab  b<user>", bpe, nil, []int{1}, nil, []int{260, 261, 261, 263, 264}},
		{"bytes", "é", bpe, nil, []int{1}, nil, []int{261, 3 + 0xc3, 3 + 0xa9}},
		{"special tokens are text", "</s>", bpe, nil, []int{1}, nil, []int{261, 3 + '<', 3 + '/', 3 + 's', 3 + '>'}},
		{"no piece is unused", "abb", bpe, nil, []int{1}, nil, []int{260, 263}},
		{"no prefix", "ab", slices.Concat(bpe, message(3, message(3, false))), nil, []int{1}, nil, []int{259}},
		{"no token before a text", "ab", bpe, []string{"tokenizer_config.json", `{"add_bos_token":false}`}, nil, nil, []int{260}},
		{"tokens around a text", "ab", bpe, []string{"tokenizer_config.json", `{"add_bos_token":true,"add_eos_token":true}`}, []int{1}, []int{2}, []int{260}},
		{"no such id", "ab", slices.Concat(bpe, message(2, message(41, -1))), nil, nil, nil, []int{260}},
		{"added tokens", "ab<x><y>", bpe, []string{"added_tokens.json", `{"<x>":267,"<y>":265}`}, []int{1}, nil, []int{260, 267, 265}},
		{"unigram", "ab  bab ", unigram, nil, nil, []int{2}, []int{3, 6, 8, 5}},
		{"unknown characters are one token", "aéøb", unigram, nil, nil, []int{2}, []int{6, 4, 0, 5}},
	} {
		tok, err := loadPieces(c.model, c.files...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		ids, err := tok.Encode(c.text)
		if err != nil || !cmp.Equal(ids, c.ids) || !cmp.Equal(tok.Prefix(), c.prefix, equateEmpty) || !cmp.Equal(tok.Suffix(), c.suffix, equateEmpty) {
			t.Errorf("%s: %q is %v, %v, around it %v and %v, want %v, around it %v and %v", c.name, c.text, ids, err, tok.Prefix(), tok.Suffix(), c.ids, c.prefix, c.suffix)
		}
		files, err := tok.Vocabulary().Files()
		if err != nil {
			t.Fatal(err)
		}
		again, err := LoadFS(mapFS(files), ".")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.Encode(c.text); err != nil || !cmp.Equal(got, c.ids) {
			t.Errorf("%s: as tokenizer.json %q is %v, %v, want %v", c.name, c.text, got, err, c.ids)
		}
	}

	both := fstest.MapFS{"tokenizer.model": {Data: []byte("no")}, "vocab.json": {Data: []byte(goodVocab)}, "merges.txt": {Data: []byte(goodMerges)}}
	if _, err := LoadFS(both, "."); err != nil {
		t.Errorf("beside files that are read first: %v", err)
	}
	if tok, err := LoadFS(fstest.MapFS{"spiece.model": {Data: unigram}}, "."); err != nil || tok.VocabSize() != 9 {
		t.Errorf("spiece.model: %v", err)
	}
}

// badPieces are files that are refused, and what the error says.
var badPieces = []struct {
	name, want string
	data       []byte
}{
	{"nothing", "found no pieces: expected a model of SentencePiece", nil},
	{"a text", "expected a model of SentencePiece", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")},
	{"tiktoken's list", "expected a model of SentencePiece", []byte("IQ== 0\nIg== 1\n")},
	{"cut off", "unexpected EOF", sentencePieces("a", "b")[:20]},
	{"a length beyond the file", "unexpected EOF", []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}},
	{"a piece without text", `piece 3 is "", expected a text`, append(sentencePieces(), message(1, message(2, float32(1)))...)},
	{"a piece that is no UTF-8", "expected a text in UTF-8", append(sentencePieces(), message(1, message(1, "\xff"))...)},
	{"a type", "found type 7, expected 1 to 6", sentencePieces("7:a")},
	{"a byte of no name", "piece 3, \"a\", is of type 6", sentencePieces("6:a")},
	{"a piece twice", `token "a" is listed twice`, sentencePieces("a", "b", "a")},
	{"a score", "score of token 3 is NaN", append(sentencePieces(), message(1, message(1, "a", 2, float32(math.NaN())))...)},
	{"words", "model_type: found 3 (words)", append(sentencePieces("a"), message(2, message(3, 3))...)},
	{"spaces behind words", "treat_whitespace_as_suffix", append(sentencePieces("a"), message(2, message(24, true))...)},
	{"spaces that are no marks", "escape_whitespaces", append(sentencePieces("a"), message(3, message(5, false))...)},
	{"a table for decoded text", "denormalizer_spec", append(sentencePieces("a"), message(5, message(2, "x"))...)},
	{"a table that is none", "precompiled_charsmap", append(sentencePieces("a"), message(3, message(2, "x"))...)},
	{"an end that is in no vocabulary", "is not in the vocabulary", append(sentencePieces("a"), message(2, message(41, 1<<20))...)},
}

func TestSentencePieceErrors(t *testing.T) {
	for _, c := range badPieces {
		_, err := loadPieces(c.data, "tokenizer_config.json", `{"add_bos_token":true}`)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tokenizer: tokenizer") || errors.Is(err, ErrNone) {
			t.Errorf("%s: error %v, want one with %q and the file", c.name, err, c.want)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.model"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "tokenizer.model"), maxFileSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "tokenizer.model: found more than 67108864 bytes") {
		t.Errorf("a huge file: %v", err)
	}
}

// FuzzSentencePiece has arbitrary files be refused in a line, or work.
func FuzzSentencePiece(f *testing.F) {
	for _, c := range badPieces {
		f.Add(c.data)
	}
	f.Add(append(sentencePieces("6:<0x61>", "ab", "▁ab", "▁", "a", "b", "4:<user>", "5:x"), message(2, message(3, bpePieces))...))
	f.Add(append(sentencePieces("▁ab", "a", "b", "▁", "b▁"), message(3, message(4, false))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := loadPieces(data)
		if err != nil {
			checkLoaded(t, nil, err)
			return
		}
		v := tok.Vocabulary()
		if again, err := New(v); err != nil || !reflect.DeepEqual(again.Vocabulary(), v) {
			t.Errorf("New of its vocabulary: %v", err)
		}
		if files, err := v.Files(); err == nil {
			if _, err := LoadFS(mapFS(files), "."); err != nil {
				t.Error(err)
			}
		} else if !strings.Contains(err.Error(), "which tokenizer.json cannot merge") {
			t.Error(err)
		}
		text := strings.Join(v.Tokens, " ")
		if ids, err := tok.Encode(text[:min(len(text), 4096)]); err == nil {
			if _, err := tok.DecodeBytes(ids); err != nil {
				t.Error(err)
			}
		} else if !strings.Contains(err.Error(), "the vocabulary has no token for it") && !strings.Contains(err.Error(), "takes more than") {
			t.Error(err)
		}
	})
}
