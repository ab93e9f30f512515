package tokenizer

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hfCases is testdata/huggingface/cases.json: what Hugging Face's tokenizers make
// of texts with variants of a tokenizer.json. make.mjs beside it wrote it.
type hfCases struct {
	Base  map[string]any
	Texts []string
	Cases []hfCase
}

type hfCase struct {
	Name   string
	Change map[string]any
	Plain  [][]int // ids by text
	Added  [][]int // with those that are put around a text; nil for the same
	Error  string

	Decoded []string // what ids become, of tokenizers whose tokens are texts
	base    map[string]any
}

func huggingFace(tb testing.TB) hfCases {
	tb.Helper()
	data, err := os.ReadFile("testdata/huggingface/cases.json")
	if err != nil {
		tb.Fatal(err)
	}
	var all hfCases
	if err := json.Unmarshal(data, &all); err != nil {
		tb.Fatal(err)
	}
	for i := range all.Cases {
		all.Cases[i].base = all.Base
	}
	return all
}

// tokenizerJSON is the tokenizer.json of the case.
func (c hfCase) tokenizerJSON(tb testing.TB) string {
	tb.Helper()
	file := maps.Clone(c.base)
	maps.Copy(file, c.Change)
	model := maps.Clone(c.base["model"].(map[string]any))
	if change, ok := c.Change["model"].(map[string]any); ok {
		maps.Copy(model, change)
	}
	file["model"] = model
	text, err := json.Marshal(file)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// hfRefused are the cases that are refused here, with what the error says.
var hfRefused = map[string]string{
	"added token, other id than the vocabulary's": `token "end" has id 7, expected 262`,
	"BertNormalizer, no accents":                  `found "BertNormalizer"`,
	"two templates":                               "two steps that put tokens around a text", // theirs go to unexpected places
}

// hfIDs are ids that the file has and Hugging Face's Rust library does not: it
// counts the ids of added tokens anew. The model's rows are those of the file,
// which transformers.js takes as well.
var hfIDs = map[string]map[int]int{ // by theirs: the file's
	"hole before an added token":    {265: 270},
	"added token twice, other id":   {266: 267},
	"added tokens in another order": {264: 265, 265: 264},
}

// hfLost are spaces at the start of texts that theirs loses in decoding: all that are in
// the first token, in place of the one that was put there.
var hfLost = map[string]string{"Metaspace at the first": " "}

func TestHuggingFace(t *testing.T) {
	all := huggingFace(t)
	if len(all.Cases) < 50 || len(all.Texts) < 12 {
		t.Fatalf("%d cases of %d texts", len(all.Cases), len(all.Texts))
	}
	for _, c := range all.Cases {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := LoadFS(files("tokenizer.json", c.tokenizerJSON(t)), ".")
			if want, ok := hfRefused[c.Name]; ok {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Fatalf("error %v, want one with %q", err, want)
				}
				return
			}
			if err != nil || c.Error != "" {
				t.Fatalf("%v, where they say %q", err, c.Error)
			}
			// What is written and read again makes the same ids.
			written, err := tok.Vocabulary().Files()
			if err != nil {
				t.Fatal(err)
			}
			again, err := LoadFS(mapFS(written), ".")
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(again.Vocabulary(), tok.Vocabulary()) {
				t.Errorf("written and read, -want +got:\n%.2000s", cmp.Diff(tok.Vocabulary(), again.Vocabulary()))
			}
			ours := func(theirs []int) []int {
				theirs = slices.Clone(theirs)
				for i, id := range theirs {
					if file, ok := hfIDs[c.Name][id]; ok {
						theirs[i] = file
					}
				}
				return theirs
			}
			for i, text := range all.Texts {
				if diff := cmp.Diff(ours(c.Plain[i]), mustEncode(t, tok, text, AllowSpecial), equateEmpty); diff != "" {
					t.Errorf("%q, -theirs +ours:\n%s", text, diff)
				}
				if len(c.Decoded) > 0 {
					if got, err := tok.Decode(c.Plain[i]); err != nil || got != c.Decoded[i] && got != hfLost[c.Name]+c.Decoded[i] {
						t.Errorf("%q is decoded to %q, %v, theirs is %q", text, got, err, c.Decoded[i])
					}
				}
				if c.Added == nil {
					continue
				}
				if ids, err := tok.EncodePrompt(text, AllowSpecial); err != nil || !slices.Equal(append(ids, tok.Suffix()...), c.Added[i]) {
					t.Errorf("%q as a document: %v, %v, want %v", text, ids, err, c.Added[i])
				}
			}
		})
	}
}

// TestPeers makes the cases anew. make test-peers installs the library.
func TestPeers(t *testing.T) {
	library := os.Getenv("CALDERA_TOKENIZERS")
	if library == "" {
		t.Skip("CALDERA_TOKENIZERS is not set: make test-peers installs Hugging Face's tokenizers and runs this")
	}
	out, err := exec.Command("node", "testdata/huggingface/make.mjs", library).Output()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/huggingface/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(out)); diff != "" {
		t.Errorf("cases.json is not what make.mjs writes, -file +new:\n%.3000s", diff)
	}
}
