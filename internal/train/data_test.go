package train

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/gpt/tokenizer"
)

// ids16 spells ids as nanoGPT does.
func ids16(ids ...int) (data []byte) {
	for _, id := range ids {
		data = binary.LittleEndian.AppendUint16(data, uint16(id))
	}
	return data
}

// llmc spells ids as llm.c does, with a header of these numbers.
func llmc(data []byte, header ...int32) []byte {
	out := make([]byte, llmcHeader, llmcHeader+len(data))
	for i, v := range header {
		binary.LittleEndian.PutUint32(out[4*i:], uint32(v))
	}
	return append(out, data...)
}

func all(t Tokens) []int {
	ids := make([]int, t.Len())
	t.Read(ids, 0)
	return ids
}

// tokens are ids in parts of the lengths given, by turns of 2 and 4 bytes.
func tokens(lengths ...int) (t Tokens) {
	id := 0
	for i, n := range lengths {
		p := &packer{width: 2 + 2*(i%2)}
		for range n {
			p.add(id)
			id++
		}
		t.add(part{name: "part", data: p.data, width: p.width})
	}
	return t
}

func TestTokens(t *testing.T) {
	x := tokens(3, 1, 4, 2)
	for from := range x.Len() {
		for n := range x.Len() - from + 1 {
			got := make([]int, n)
			x.Read(got, from)
			for i, id := range got {
				if id != from+i {
					t.Fatalf("%d ids from %d: %v", n, from, got)
				}
			}
		}
		first, rest := x.split(from)
		if first.Len() != from || !slices.Equal(append(all(first), all(rest)...), all(x)) {
			t.Errorf("cut at %d: %v and %v", from, all(first), all(rest))
		}
	}
}

func TestParseBin(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		want []int  // ids
		bad  string // or what the error says
	}{
		{"nanoGPT", ids16(0, 50256, 65535), []int{0, 50256, 65535}, ""},
		{"llm.c", llmc(ids16(7, 50256), llmcGPT2, 1, 2), []int{7, 50256}, ""},
		{"llm.c for Llama", llmc([]byte{1, 0, 1, 0, 2, 0, 0, 0}, llmcLlama, 7, 2), []int{65537, 2}, ""},
		{"empty", nil, nil, "has no tokens"},
		{"odd", []byte{1, 2, 3}, nil, "found 3 bytes, expected an even number"},
		{"header only", llmc(nil, llmcGPT2, 1, 0), nil, "has no tokens"},
		{"cut in the header", llmc(nil, llmcGPT2, 1, 2)[:100], nil, "found 100 bytes, expected a header of 1024"},
		{"version", llmc(ids16(1), llmcGPT2, 2, 1), nil, "version 2, expected 1"},
		{"cut", llmc(ids16(1), llmcGPT2, 1, 2), nil, "tells of 2 tokens, found 2 bytes, expected 4"},
		{"too long", llmc(ids16(1, 2, 3), llmcGPT2, 1, 2), nil, "tells of 2 tokens, found 6 bytes"},
		{"odd behind a header", append(llmc(ids16(1), llmcGPT2, 1, 1), 0), nil, "tells of 1 tokens, found 3 bytes"},
		{"negative", llmc(ids16(1), llmcGPT2, 1, -1), nil, "tells of -1 tokens"},
	} {
		p, err := parseBin("x.bin", c.data)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) || !strings.Contains(err.Error(), "x.bin") {
				t.Errorf("%s: error %v, expected %s", c.name, err, c.bad)
			}
			continue
		}
		var x Tokens
		x.add(p)
		if err != nil || !slices.Equal(all(x), c.want) {
			t.Errorf("%s: ids %v, %v; expected %v", c.name, all(x), err, c.want)
		}
	}
}

// FuzzParseBin reads every id of whatever is let through.
func FuzzParseBin(f *testing.F) {
	f.Add(ids16(1, 2, 3))
	f.Add(llmc(ids16(1, 2), llmcGPT2, 1, 2))
	f.Add(llmc([]byte{1, 2, 3, 4}, llmcLlama, 7, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parseBin("x.bin", data)
		if err != nil {
			return
		}
		var x Tokens
		x.add(p)
		if n := len(all(x)); n == 0 || n > len(data)/2 {
			t.Errorf("%d ids of %d bytes", n, len(data))
		}
	})
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// named are files that the user named.
func named(paths ...string) (files []File) {
	for _, path := range paths {
		files = append(files, File{Path: path, Named: true})
	}
	return files
}

func TestFindBins(t *testing.T) {
	dir := t.TempDir()
	nano, shards, texts, odd := filepath.Join(dir, "nano"), filepath.Join(dir, "shards"), filepath.Join(dir, "texts"), filepath.Join(dir, "odd")
	for _, name := range []string{"nano/train.bin", "nano/val.bin", "nano/meta.pkl", "nano/other.bin", "shards/fineweb_train_000002.bin",
		"shards/fineweb_train_000001.bin", "shards/fineweb_val_000000.bin", "texts/a.txt", "odd/val.bin"} {
		write(t, filepath.Join(dir, name), ids16(1, 2))
	}
	for _, c := range []struct {
		paths, train, val, rest []string
		bad                     string
	}{
		{[]string{nano}, []string{nano + "/train.bin"}, []string{nano + "/val.bin"}, nil, ""},
		{[]string{shards}, []string{shards + "/fineweb_train_000001.bin", shards + "/fineweb_train_000002.bin"}, []string{shards + "/fineweb_val_000000.bin"}, nil, ""},
		{[]string{nano + "/other.bin"}, []string{nano + "/other.bin"}, nil, nil, ""},
		{[]string{texts, texts + "/a.txt", "-"}, nil, nil, []string{texts, texts + "/a.txt", "-"}, ""},
		{[]string{odd}, nil, nil, nil, "has val.bin and no train.bin"},
		{[]string{nano, texts}, nil, nil, nil, "expected one kind"},
		{[]string{dir + "/none"}, nil, nil, nil, "none: no such file"},
	} {
		train, val, rest, err := FindBins(c.paths)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%v: error %v, expected %s", c.paths, err, c.bad)
			}
			continue
		}
		if err != nil || !slices.Equal(train, c.train) || !slices.Equal(val, c.val) || !slices.Equal(rest, c.rest) {
			t.Errorf("%v: %v, %v, %v, %v", c.paths, train, val, rest, err)
		}
	}
}

func TestOpenBins(t *testing.T) {
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "a.bin"), ids16(1, 2, 3))
	b := write(t, filepath.Join(dir, "b.bin"), llmc(ids16(4, 5, 6, 7, 8, 9, 10), llmcGPT2, 1, 7))
	d, err := OpenBins(t.Context(), []string{a, b}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Split(0.2, 4); err != nil {
		t.Fatal(err)
	}
	if got, want := [2][]int{all(d.Train), all(d.Val)}, [2][]int{{1, 2, 3, 4, 5, 6, 7, 8}, {9, 10}}; !slices.Equal(got[0], want[0]) || !slices.Equal(got[1], want[1]) {
		t.Errorf("split %v", got)
	}
	nothing := func(int64, int64) {}
	if err := d.Scan(t.Context(), 11, nothing); err != nil || d.Largest != 10 {
		t.Errorf("largest %d, %v", d.Largest, err)
	}
	err = d.Scan(t.Context(), 9, nothing)
	if err == nil || !strings.Contains(err.Error(), "b.bin: token 5 is 9, and the vocabulary has ids 0 to 8") {
		t.Errorf("an id outside the vocabulary: %v", err)
	}
	// Without a vocabulary the largest id would make one, of any size.
	huge, err := OpenBins(t.Context(), []string{write(t, filepath.Join(dir, "c.bin"), llmc([]byte{1, 0, 0, 0, 0, 0, 16, 0}, llmcLlama, llmcLlamaIs, 2))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer huge.Close()
	if err := huge.Scan(t.Context(), 0, nothing); err == nil || !strings.Contains(err.Error(), "c.bin: token 1 is 1048576, expected ids below 1048576") {
		t.Errorf("a huge id: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Scan(ctx, 11, nothing); err != context.Canceled {
		t.Errorf("after Ctrl-C: %v", err)
	}

	whole, err := OpenBins(t.Context(), []string{b}, []string{a})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if err := whole.Split(0.5, 4); err != nil || whole.Train.Len() != 7 || !slices.Equal(all(whole.Val), []int{1, 2, 3}) {
		t.Errorf("with a file of its own %v is held out, %v", all(whole.Val), err)
	}
	if err := whole.Split(0.5, 7); err == nil || !strings.Contains(err.Error(), "has 7 tokens: expected more than block_size, 7") {
		t.Errorf("too little: %v", err)
	}
	if _, err := OpenBins(t.Context(), []string{a, filepath.Join(dir, "none.bin")}, nil); err == nil || !strings.Contains(err.Error(), "none.bin") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestFingerprint changes with every id, and with the place of the split.
func TestFingerprint(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range []*Data{NewData(tokens(9), tokens(2)), NewData(tokens(9), tokens(3)), NewData(tokens(8), tokens(3)), NewData(tokens(10), tokens(2))} {
		if err := d.Scan(t.Context(), 0, func(int64, int64) {}); err != nil || seen[d.Fingerprint] || len(d.Fingerprint) != 64 {
			t.Errorf("fingerprint %s, %v", d.Fingerprint, err)
		}
		seen[d.Fingerprint] = true
	}
}

// TestEncode encodes a text of several blocks as if it were one.
func TestEncode(t *testing.T) {
	sample, err := os.ReadFile("../../gpt/tokenizer/testdata/train/text.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	long := bytes.Repeat(sample, 3*blockSize/len(sample)+1)
	a, b := write(t, filepath.Join(dir, "a"), long), write(t, filepath.Join(dir, "b"), []byte("un<|endoftext|>deux"))
	texts, err := OpenTexts(t.Context(), named(a, b))
	if err != nil {
		t.Fatal(err)
	}
	defer texts.Close()
	corpus, err := texts.Corpus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := corpus.TrainBPE(t.Context(), tokenizer.BPEOptions{VocabSize: 600})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	done := int64(0)
	got, err := texts.Encode(t.Context(), tok, func(n int64) { done = n })
	if err != nil || done != texts.Size {
		t.Fatalf("%d of %d bytes, %v", done, texts.Size, err)
	}
	var want []int
	for _, text := range []string{string(long), "un<|endoftext|>deux"} {
		ids, err := tok.Encode(text+EndOfText, tokenizer.AllowSpecial)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, ids...)
	}
	if !slices.Equal(all(got), want) {
		t.Errorf("%d ids, expected %d", got.Len(), len(want))
	}

	for name, c := range map[string]struct{ text, bad string }{
		"Latin-1": {"un caf\xe9", "byte 6 is 0xe9, expected UTF-8"},
		"empty":   {"", "it is empty"},
	} {
		texts, err := OpenTexts(t.Context(), named(write(t, filepath.Join(dir, name), []byte(c.text))))
		if err == nil {
			_, err = texts.Encode(t.Context(), tok, func(int64) {})
			texts.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.bad) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
