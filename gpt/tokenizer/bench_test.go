package tokenizer

import (
	"fmt"
	"math/rand"
	"os"
	"strings"
	"testing"

	"github.com/dlclark/regexp2"
)

// prose is 1 MB of text with words as frequent as in English: GPT-2's own
// tokens, by Zipf's law.
func prose() string {
	var b strings.Builder
	zipf := rand.NewZipf(rand.New(rand.NewSource(1)), 1.1, 5, 50000)
	for b.Len() < 1<<20 {
		s, _ := gpt2().Token(200 + int(zipf.Uint64())) // the first 200 are single bytes
		b.WriteString(strings.ToValidUTF8(s, "."))
	}
	return b.String()
}

func BenchmarkEncode(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"prose", prose()},
		{"sentence", "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife."},
		{"cases", strings.Join(hardCases, "\n")},
		{"chinese", strings.Repeat("凡是公认的真理，有钱的单身汉总要娶位太太。", 5000)},
		{"run", strings.Repeat("a", 1<<20)},
		{"letters", strings.Repeat("qzxjkvbwpfyg", 1<<20/12)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				mustEncode(b, gpt2(), c.text)
			}
		})
		b.Run(c.name+"/tiktoken-go", func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				tiktoken(b, c.text)
			}
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	text := prose()
	b.Run("hand", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			for i := 0; i < len(text); {
				i += wordLen(text[i:])
			}
		}
	})
	b.Run("regexp2", func(b *testing.B) {
		re := regexp2.MustCompile(gpt2Pattern, regexp2.None)
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			m, err := re.FindStringMatch(text)
			for m != nil && err == nil {
				m, err = re.FindNextMatch(m)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkWord shows from which length on a heap is faster: shortWord.
func BenchmarkWord(b *testing.B) {
	text := strings.Repeat("internationalizationofantidisestablishment", 2)
	for _, n := range []int{4, 8, 16, 32, shortWord} {
		b.Run(fmt.Sprintf("short/%d", n), func(b *testing.B) {
			e := encoder{t: gpt2(), ctx: b.Context()}
			for b.Loop() {
				e.ids = e.ids[:0]
				e.mergeBytes(text[:n])
			}
		})
		b.Run(fmt.Sprintf("long/%d", n), func(b *testing.B) {
			e := encoder{t: gpt2(), ctx: b.Context()}
			for b.Loop() {
				e.ids = e.ids[:0]
				e.symbols = e.symbols[:0]
				for i := range n {
					e.symbols = append(e.symbols, e.t.bytes[text[i]])
				}
				e.mergeLong()
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	text := prose()
	ids := mustEncode(b, gpt2(), text)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := gpt2().Decode(ids); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	vocab, merges := gpt2Files()
	for name, fsys := range map[string]map[string]string{
		"vocab+merges":   {"vocab.json": string(vocab), "merges.txt": string(merges)},
		"tokenizer.json": {"tokenizer.json": tokenizerJSONOf(b, vocab, merges, true)},
	} {
		var list []string
		for name, text := range fsys {
			list = append(list, name, text)
		}
		mapFS := files(list...)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := LoadFS(mapFS, "."); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTrain counts words and learns merges of prose, one after the other.
func BenchmarkTrain(b *testing.B) {
	text := strings.Repeat(prose(), 8)
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			corpusOf(b, []string{endOfText}, text)
		}
	})
	for _, size := range []int{2048, 32768} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := corpusOf(b, []string{endOfText}, text)
			for b.Loop() {
				if _, err := c.TrainBPE(b.Context(), BPEOptions{VocabSize: size, MinFrequency: 2}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPublished loads the tokenizers of published models and encodes a text, both
// named by variables: see TestPeersPublished.
func BenchmarkPublished(b *testing.B) {
	published, name := os.Getenv("CALDERA_VOCABULARIES"), os.Getenv("CALDERA_TEXT")
	if published == "" || name == "" {
		b.Skip("CALDERA_VOCABULARIES and CALDERA_TEXT are not set")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range publishedNames {
		var tok *Tokenizer
		b.Run(name+"/load", func(b *testing.B) {
			for b.Loop() {
				var err error
				if tok, err = Load(publishedDir(published, name)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/encode", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				mustEncode(b, tok, string(text))
			}
		})
	}
}
