package tokenizer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestTrainAsHuggingFace learns the very merges that Hugging Face's trainer does,
// ties and all, until no pair is left.
func TestTrainAsHuggingFace(t *testing.T) {
	text, err := os.ReadFile("testdata/train/text.txt")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile("testdata/train/merges.txt")
	if err != nil {
		t.Fatal(err)
	}
	want, err := parseMerges(theirs)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.Collect(strings.Lines(string(text)))
	v, err := corpusOf(t, nil, lines...).TrainBPE(t.Context(), BPEOptions{VocabSize: 30000})
	if err != nil {
		t.Fatal(err)
	}
	if len(want.pairs) < 1000 || !slices.Equal(v.Merges, want.pairs) {
		t.Errorf("merges differ from Hugging Face's (-want +got):\n%.2000s", cmp.Diff(want.pairs, v.Merges))
	}
}

// trainPlainly is the definition: encode all words with the merges so far, count
// all pairs, make a token of the most frequent one, and begin again.
func trainPlainly(t *testing.T, counts map[string]int64, size int, least int64) (tokens []string, merges [][2]string) {
	t.Helper()
	for b := range 256 {
		tokens = append(tokens, string(runeOf[b]))
	}
	slices.Sort(tokens)
	for len(tokens) < size {
		tok, err := New(Vocabulary{Tokens: tokens, Merges: merges})
		if err != nil {
			t.Fatal(err)
		}
		pairs := map[[2]int]int64{}
		for word, n := range counts {
			ids := mergePlainly(tok, word)
			for i := 1; i < len(ids); i++ {
				pairs[[2]int{ids[i-1], ids[i]}] += n
			}
		}
		var best [2]int
		var most int64
		for p, n := range pairs {
			if n > most || n == most && slices.Compare(p[:], best[:]) < 0 {
				best, most = p, n
			}
		}
		if most < max(least, 1) {
			break
		}
		left, right := tokens[best[0]], tokens[best[1]]
		merges = append(merges, [2]string{left, right})
		tokens = append(tokens, left+right)
	}
	return tokens, merges
}

// checkTraining holds training on texts to the definition.
func checkTraining(t *testing.T, special []string, size, least int, texts ...string) {
	t.Helper()
	c := corpusOf(t, special, texts...)
	v, err := c.TrainBPE(t.Context(), BPEOptions{VocabSize: size, MinFrequency: least})
	counts := c.words().asMap()
	if len(counts) == 0 {
		if !errors.Is(err, ErrNoText) {
			t.Errorf("without a word: error %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	tokens, merges := trainPlainly(t, counts, size-len(special), int64(least))
	if diff := cmp.Diff(merges, v.Merges, equateNoMerges); diff != "" {
		t.Fatalf("merges of %.300q, %d tokens, least %d (-want +got):\n%s", texts, size, least, diff)
	}
	if diff := cmp.Diff(append(tokens, special...), v.Tokens); diff != "" {
		t.Fatalf("tokens of %.300q (-want +got):\n%s", texts, diff)
	}
}

var equateNoMerges = cmp.Transformer("len0", func(s [][2]string) [][2]string {
	if len(s) == 0 {
		return nil
	}
	return s
})

// TestTrainPlainly trains on random words of few letters, where pairs overlap and
// counts are equal all the time, and on real text.
func TestTrainPlainly(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		letters := []string{"a", "b", " ", "c", "é", "世", "\n", "-"}[:1+r.IntN(8)]
		var texts []string
		for range 1 + r.IntN(3) {
			var text strings.Builder
			for range r.IntN(120) {
				text.WriteString(letters[r.IntN(len(letters))])
			}
			texts = append(texts, text.String())
		}
		checkTraining(t, nil, 256+r.IntN(80), r.IntN(4), texts...)
	}
	text, err := os.ReadFile("testdata/train/text.txt")
	if err != nil {
		t.Fatal(err)
	}
	checkTraining(t, []string{"<pad>", endOfText}, 400, 2, string(text[:6000]), string(text[len(text)-3000:]))
}

// TestTrainOrder reads the same texts in another order, and as several.
func TestTrainOrder(t *testing.T) {
	text, err := os.ReadFile("testdata/train/text.txt")
	if err != nil {
		t.Fatal(err)
	}
	texts := strings.SplitAfter(string(text), "\n\n")
	o := BPEOptions{VocabSize: 1000, MinFrequency: 2}
	want, err := corpusOf(t, []string{endOfText}, texts...).TrainBPE(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(texts)
	c := corpusOf(t, []string{endOfText}, strings.Join(texts, endOfText))
	for range 2 { // it can be asked twice
		got, err := c.TrainBPE(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("another order, another vocabulary (-want +got):\n%.1000s", diff)
		}
	}
}

// TestTrainAusten lays a vocabulary out as the embedded model has it.
func TestTrainAusten(t *testing.T) {
	theirs, err := Load("testdata/austen")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/train/text.txt")
	if err != nil {
		t.Fatal(err)
	}
	var last [2]int
	v, err := corpusOf(t, []string{endOfText}, string(text)).TrainBPE(t.Context(), BPEOptions{
		VocabSize: 1600, MinFrequency: 2, Progress: func(done, total int) {
			if done < last[0] || total != 1599 {
				t.Errorf("progress is %d of %d, before %v", done, total, last)
			}
			last = [2]int{done, total}
		}})
	if err != nil {
		t.Fatal(err)
	}
	if last[0] < 1500 {
		t.Errorf("the last progress is %v", last)
	}
	made, both, _ := bothFiles(t, v)
	if id, ok := made.SpecialID(endOfText); !ok || id != 1599 || len(v.Tokens) != 1600 {
		t.Errorf("%s is %d, %v, of %d tokens", endOfText, id, ok, len(v.Tokens))
	}
	if diff := cmp.Diff(theirs.Vocabulary().Tokens[:256], v.Tokens[:256]); diff != "" {
		t.Errorf("the bytes are in another order (-want +got):\n%s", diff)
	}
	for _, text := range append(hardCases, string(text)) {
		want := mustEncode(t, made, text, AllowSpecial)
		if got, err := made.DecodeBytes(want); err != nil || string(got) != text {
			t.Errorf("%q comes back as %q, %v", text, got, err)
		}
		if got := mustEncode(t, both, text, AllowSpecial); !slices.Equal(got, want) {
			t.Errorf("%q is %v, from vocab.json and merges.txt %v", text, want, got)
		}
	}
}

// bothFiles loads what BothFiles writes, by either layout.
func bothFiles(t *testing.T, v Vocabulary) (whole, parts *Tokenizer, names []string) {
	t.Helper()
	contents, err := v.BothFiles()
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{}
	for name, data := range contents {
		fsys[name] = &fstest.MapFile{Data: data}
		names = append(names, name)
	}
	if whole, err = LoadFS(fsys, "."); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v, whole.Vocabulary(), equateNoMerges); diff != "" {
		t.Errorf("tokenizer.json has another vocabulary (-want +got):\n%.1000s", diff)
	}
	delete(fsys, "tokenizer.json")
	if parts, err = LoadFS(fsys, "."); err != nil {
		t.Fatal(err)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"merges.txt", "tokenizer.json", "vocab.json"}) {
		t.Errorf("files %q", names)
	}
	return whole, parts, names
}

func TestTrainRejects(t *testing.T) {
	c := corpusOf(t, []string{endOfText, "<pad>"}, "some text")
	for _, size := range []int{-1, 0, 257, 1<<20 + 1} {
		if _, err := c.TrainBPE(t.Context(), BPEOptions{VocabSize: size}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d tokens: expected 258, ", size)) {
			t.Errorf("%d tokens: error %v", size, err)
		}
	}
	if v, err := c.TrainBPE(t.Context(), BPEOptions{VocabSize: 258}); err != nil || len(v.Tokens) != 258 || len(v.Merges) != 0 {
		t.Errorf("%d tokens, %d merges, %v", len(v.Tokens), len(v.Merges), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	long := corpusOf(t, nil, longText(3, 20000))
	if _, err := long.TrainBPE(ctx, BPEOptions{VocabSize: 5000}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: error %v", err)
	}
	for _, text := range []string{"", endOfText, endOfText + "<pad>"} {
		empty := corpusOf(t, []string{endOfText, "<pad>"}, text)
		if _, err := empty.TrainBPE(t.Context(), BPEOptions{VocabSize: 300}); !errors.Is(err, ErrNoText) {
			t.Errorf("%q: error %v", text, err)
		}
		if _, err := empty.Characters(); !errors.Is(err, ErrNoText) {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

// FuzzTrain trains on any bytes: only UTF-8 is taken, what is learned is what the
// definition says, and any bytes come back whole.
func FuzzTrain(f *testing.F) {
	for i, text := range hardCases {
		f.Add([]byte(text), []byte(hardCases[(i+1)%len(hardCases)]), uint8(3*i), uint8(i%4))
	}
	f.Add([]byte("aaabaaabcaabcbaaabaa bcabcaab"), []byte("aab<|endoftext|>abcaa"), uint8(90), uint8(0))
	f.Add([]byte("caf\xe9"), []byte("a"), uint8(9), uint8(0))
	f.Fuzz(func(t *testing.T, a, b []byte, merges, least uint8) {
		if len(a)+len(b) > 400 {
			return // the definition is slow
		}
		special := []string{endOfText}
		c := corpusOf(t, special)
		for _, text := range []string{string(a), string(b)} {
			if err := c.Read(t.Context(), strings.NewReader(text)); (err == nil) != utf8.ValidString(text) {
				t.Fatalf("reading %q: error %v", text, err)
			}
		}
		text := string(a) + string(b)
		if !utf8.Valid(a) || !utf8.Valid(b) || len(c.words().words) == 0 {
			return
		}
		checkTraining(t, special, 257+int(merges), int(least), string(a), string(b))
		v, err := c.TrainBPE(t.Context(), BPEOptions{VocabSize: 257 + int(merges), MinFrequency: int(least)})
		if err != nil {
			t.Fatal(err)
		}
		whole, parts, _ := bothFiles(t, v)
		for _, s := range []string{text, reversed(text)} {
			ids := mustEncode(t, whole, s, AllowSpecial)
			if got, err := whole.DecodeBytes(ids); err != nil || string(got) != s {
				t.Errorf("%q comes back as %q, %v", s, got, err)
			}
			if got := mustEncode(t, parts, s, AllowSpecial); !slices.Equal(got, ids) {
				t.Errorf("%q is %v, from vocab.json and merges.txt %v", s, ids, got)
			}
		}
		if !strings.Contains(text, endOfText) {
			checkCharacters(t, special, text)
		}
	})
}

// reversed has the bytes of s backwards: no UTF-8 any more.
func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}
