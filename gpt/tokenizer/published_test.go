package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// manyTexts are n texts of many scripts, of code, numbers, emoji, white space and
// control characters, and mixtures of these, the same in each run.
func manyTexts(n int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	var scripts []*unicode.RangeTable
	for _, name := range []string{"Latin", "Greek", "Cyrillic", "Han", "Hiragana", "Katakana", "Hangul", "Arabic", "Hebrew", "Devanagari", "Bengali", "Tamil", "Thai", "Lao", "Khmer", "Georgian", "Armenian", "Ethiopic", "Cherokee", "Mongolian", "Tibetan", "Common", "Inherited"} {
		scripts = append(scripts, unicode.Scripts[name])
	}
	fixed := slices.Concat(hardCases, []string{
		"DON'T You'LL they'Re I'M 'S 'ſ x'ſ", "HTTPServer parseJSONFile iOS iPhoneX McDonald's USA's ABCdef ABC中def 中ABC Ǆǅǆ ʰA Aʰb",
		"12345678 1,234,567.89 1234abc 12 345 6789 ٠١٢٣٤٥ ½¾ ²³¹", "a/b//c///\n/\n\r\n//\n", "  \n\n  \t\n x", "\r\r\n\n\r", "x \n", "x  \n  y   ", "\u3000\u3000a\u3000\n",
		"func main() {\n\tfmt.Println(\"hi\")\n}\n", "if (x<=3 && y!=4) { return x->y; } // ok", "#include <stdio.h>\n#define A(x) ((x)+1)\n", "def f(x):\n    return x**2\n\n\n", "SELECT * FROM t WHERE a='b';", "<div class=\"x\">&nbsp;</div>", "$\\frac{1}{2}$", "user@example.com https://a.b/c?d=e#f",
		"<|begin_of_text|>x<|eot_id|>", "<|im_start|>user\nhi<|im_end|>\n", "<bos>hi<eos><start_of_turn>user\n", "<s>[INST] hi [/INST]</s>", "<think>a</think>", "▁▁ ▁a▁", "<0x0A><0xFF>", "[PAD] <unk> <pad>", "<unused5>", "<table></table>", "\n\n\n\n\n\t\t\t\t",
		"e\u0301\u0327 q\u0307\u0323 \u1e9b\u0323 \u1112\u1161\u11ab \u212b \ufb01 \uff21", strings.Repeat("a\u0301", 40), "a" + strings.Repeat("\u0301", 40), "q\u0323" + strings.Repeat("\u0307", 35) + "\u0327", "  " + strings.Repeat(" ", 300), strings.Repeat("🦙", 50), strings.Repeat("ab", 200) + strings.Repeat("क्षि", 60),
	})
	one := func() string {
		switch r.IntN(10) {
		case 0:
			return fixed[r.IntN(len(fixed))]
		case 1:
			return []string{" ", "  ", "   ", "\n", "\r\n", "\t", "\u00a0", "\u2003", "\u3000", "\u200b", "\u200d", " \n ", "\n\n"}[r.IntN(13)]
		case 2:
			return []string{"'s", "'T", "'ll", "'RE", "'d", "’s", "'", "\"", "...", "!!!", "?!", "->", "==", "::", "//", "/*", "*/", "();", "{}", "_", "__", "--", "$", "€", "©", "°", "%"}[r.IntN(27)]
		case 3:
			return string(rune(r.IntN(0x20))) + string(rune(0x7f+r.IntN(0x21)))
		case 4:
			return string(rune(0x1f300 + r.IntN(0x400)))
		case 5:
			const digits = "0123456789"
			var b []byte
			for range 1 + r.IntN(9) {
				b = append(b, digits[r.IntN(10)])
			}
			return string(b)
		}
		table := scripts[r.IntN(len(scripts))]
		var b strings.Builder
		for range 1 + r.IntN(9) {
			b.WriteRune(anyOf(r, table))
		}
		return b.String()
	}
	texts := slices.DeleteFunc(fixed, func(s string) bool { return !utf8.ValidString(s) })
	for len(texts) < n {
		var b strings.Builder
		for range 1 + r.IntN(12) {
			b.WriteString(one())
			if r.IntN(3) == 0 {
				b.WriteByte(' ')
			}
		}
		texts = append(texts, strings.ToValidUTF8(b.String(), ""))
	}
	return texts
}

// recentMarks are marks that Unicode 12 and later versions have added, or given another order.
var recentMarks = &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x0890, Hi: 0x089f, Stride: 1}, {Lo: 0x08c8, Hi: 0x08d3, Stride: 1}, {Lo: 0x0eba, Hi: 0x0eba, Stride: 1}, {Lo: 0x0ece, Hi: 0x0ece, Stride: 1}, {Lo: 0x1abf, Hi: 0x1aff, Stride: 1}, {Lo: 0x1df6, Hi: 0x1dfa, Stride: 1}}}

// anyOf is a character of a table that Unicode has had for long, so that libraries of
// other versions know it too.
func anyOf(r *rand.Rand, table *unicode.RangeTable) rune {
	for {
		var first, last rune
		if i := r.IntN(len(table.R16) + len(table.R32)); i < len(table.R16) {
			first, last = rune(table.R16[i].Lo), rune(table.R16[i].Hi)
		} else {
			first, last = rune(table.R32[i-len(table.R16)].Lo), rune(table.R32[i-len(table.R16)].Hi)
		}
		if c := first + r.Int32N(last-first+1); unicode.Is(table, c) && !unicode.Is(recentMarks, c) && (c < 0x10000 || 0x20000 <= c && c < 0x2a6d0 || 0x1f300 <= c && c < 0x1f600) {
			return c
		}
	}
}

// theirs is what Hugging Face's tokenizers make of a text.
type theirs struct {
	IDs  []int
	Text string
}

// huggingFaceIDs asks Hugging Face's tokenizers, which make test-peers installs.
func huggingFaceIDs(t *testing.T, library, tokenizer string, texts []string) []theirs {
	t.Helper()
	data, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "texts.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("node", "testdata/huggingface/ids.mjs", library, tokenizer, file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []theirs
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Buffer(nil, 1<<24); lines.Scan(); {
		var one theirs
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if len(all) != len(texts) {
		t.Fatalf("%d answers to %d texts", len(all), len(texts))
	}
	return all
}

// publishedNames are the tokenizers that scripts/peers.sh vocabularies installs.
var publishedNames = []string{"llama3_1", "qwen3", "gemma3", "gptoss"}

func publishedDir(published, name string) string {
	return filepath.Join(published, "tokenizer-"+name, "models")
}

// TestPeersPublished holds the tokenizers of published models to Hugging Face's library.
func TestPeersPublished(t *testing.T) {
	library, published := os.Getenv("CALDERA_TOKENIZERS"), os.Getenv("CALDERA_VOCABULARIES")
	if library == "" || published == "" {
		t.Skip("CALDERA_TOKENIZERS and CALDERA_VOCABULARIES are not set: make test-peers installs Hugging Face's tokenizers and tokenizers of models, and runs this")
	}
	texts := manyTexts(2000)
	for _, name := range publishedNames {
		t.Run(name, func(t *testing.T) {
			dir := publishedDir(published, name)
			tok, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			bad := 0
			for i, want := range huggingFaceIDs(t, library, filepath.Join(dir, "tokenizer.json"), texts) {
				ids := mustEncode(t, tok, texts[i], AllowSpecial)
				if !slices.Equal(ids, want.IDs) {
					if bad++; bad < 10 {
						t.Errorf("%+q:\nours   %v\ntheirs %v", texts[i], ids, want.IDs)
					}
				}
				if text, err := tok.Decode(want.IDs); err != nil || text != want.Text {
					if bad++; bad < 10 {
						t.Errorf("%+q is decoded to %+q, %v, theirs is %+q", texts[i], text, err, want.Text)
					}
				}
				if s := streamed(t, tok, want.IDs); s != want.Text {
					t.Errorf("%+q streams as %+q", want.Text, s)
				}
			}
			if bad > 0 {
				t.Errorf("%d differences", bad)
			}
		})
	}
}
