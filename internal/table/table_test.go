package table

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// speeds is a table as bench writes it, 92 characters wide.
var speeds = Markdown([][]string{
	{"model", "size", "device", "dtype", "t/s", "of"},
	{"gpt2", "474.70 MiB", "cpu:0", "f32", "762.49 ± 64.58", "matrix products, 144.1 ± 5.6 GFLOP/s"},
	{"gpt2", "237.58 MiB", "cpu:0", "f16", "63.24 ± 2.99", ""},
	{"other", "237.58 MiB", "cpu:0", "f16", "7", "read bandwidth"},
}, []bool{4: true})

const theNote = "tables were fitted"

func TestMarkdown(t *testing.T) {
	want := `| a | größe |
|---|------:|
| x |     1 |
`
	if got := Markdown([][]string{{"a", "größe"}, {"x", "1"}}, []bool{1: true}); got != want {
		t.Errorf("found\n%sexpected\n%s", got, want)
	}
}

// TestFit has parts that begin with model and dtype, for these tell the rows
// apart and the device does not.
func TestFit(t *testing.T) {
	text := "about it | a line\n\n" + speeds + "\nbelow\n"
	for _, width := range []int{0, 97, 200} {
		if got := Fit(text, width, theNote); got != text {
			t.Errorf("%d columns suffice, and it became\n%s", width, got)
		}
	}
	want := `about it | a line

| model | size       | device | dtype |            t/s |
|-------|------------|--------|-------|---------------:|
| gpt2  | 474.70 MiB | cpu:0  | f32   | 762.49 ± 64.58 |
| gpt2  | 237.58 MiB | cpu:0  | f16   |   63.24 ± 2.99 |
| other | 237.58 MiB | cpu:0  | f16   |              7 |

| model | dtype | of                                   |
|-------|-------|--------------------------------------|
| gpt2  | f32   | matrix products, 144.1 ± 5.6 GFLOP/s |
| gpt2  | f16   |                                      |
| other | f16   | read bandwidth                       |

below

` + theNote + "\n"
	if diff := cmp.Diff(want, Fit(text, 60, theNote)); diff != "" {
		t.Errorf("in 60 columns (- want, + have):\n%s", diff)
	}
	for _, other := range []string{"", "| no table\n", "|---|\n|---|\n", "| a |\n|---|\n| b | c |\n", "|" + strings.Repeat("x", 200) + "\n"} {
		if got := Fit(other, 100, theNote); got != other {
			t.Errorf("%q became %q", other, got)
		}
	}
}

// TestFitAlways has tables of all kinds in any width: each line fits, no column
// and no row is lost, and where nothing is cut no cell either.
func TestFitAlways(t *testing.T) {
	long := strings.Repeat("a long name ", 12)
	for name, rows := range map[string][][]string{
		"speeds":          {{"model", "t/s"}, {"gpt2", "1"}},
		"one long cell":   {{"op", "shape", "ms"}, {"linear", long, "3"}, {"add", "x", "2"}},
		"long keys":       {{"op", "shape", "ms", "shaders"}, {"linear", long + "1", "3", long}, {"linear", long + "2", "2", long}},
		"no words":        {{"n", "a", "b"}, {"1", "2", "3"}, {"2", strings.Repeat("9", 150), "3"}},
		"no rows":         {{"one head", "another head", long}},
		"rows alike":      {{"model", long}, {"a", "b"}, {"a", "b"}},
		"empty heads":     {{"", "", long, "×", "×"}, {"a", "t/s", "1", "2", "3"}},
		"a column of 200": {{strings.Repeat("ä", 200)}, {"b"}},
	} {
		text := Markdown(rows, nil)
		for _, width := range []int{40, 60, 80, 100, 120, 1000} {
			got := Fit(text, width, theNote)
			body, note, changed := strings.Cut(got, "\n"+theNote)
			if fits := longest(text) <= width; fits == changed || fits && body != text || changed && note != "\n" {
				t.Errorf("%s in %d columns: changed is %v:\n%s", name, width, changed, got)
			}
			if longest(body) > width {
				t.Errorf("%s in %d columns has a line of %d:\n%s", name, width, longest(body), body)
			}
			if strings.Contains(body, "…") {
				continue
			}
			for _, row := range rows {
				for _, cell := range row {
					if !strings.Contains(body, strings.TrimSpace(cell)) {
						t.Errorf("%s in %d columns lacks %q:\n%s", name, width, cell, body)
					}
				}
			}
		}
	}
}

func longest(text string) int {
	n := 0
	for line := range strings.Lines(text) {
		n = max(n, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")))
	}
	return n
}
