package table

import (
	"slices"
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

// TestWide has characters that take two cells of a terminal, and marks that take none.
func TestWide(t *testing.T) {
	rows := [][]string{{"token", "n"}, {"日本語", "1"}, {"e\u0301", "2"}, {"😀", "3"}}
	want := "token   n\n日本語  1\ne\u0301       2\n😀      3\n"
	if got := Plain(rows, 2); got != want {
		t.Errorf("found\n%sexpected\n%s", got, want)
	}
	want = "| a      |   b |\n|--------|----:|\n| 日本語 | 日x |\n"
	if got := Markdown([][]string{{"a", "b"}, {"日本語", "日x"}}, []bool{1: true}); got != want {
		t.Errorf("found\n%sexpected\n%s", got, want)
	}
	for width, want := range map[int]string{6: "日本語", 5: "日本…", 4: "日…", 3: "日…", 2: "…"} {
		if got := cut("日本語", width); got != want {
			t.Errorf("in %d cells it is cut to %q, expected %q", width, got, want)
		}
	}
}

// TestPartsByFirst keeps the numbers beside each part that tell its rows apart.
func TestPartsByFirst(t *testing.T) {
	long := strings.Repeat("x ", 12)
	rows := [][]string{{"layer", "neuron", "raises", "lowers"}, {"0", "7", long + "1", long + "2"}, {"0", "9", long + "3", long + "4"}, {"1", "7", long + "5", long + "6"}}
	parts, changed := PartsByFirst(rows, 2, 50)
	var columns [][]int
	for _, p := range parts {
		columns = append(columns, p.Columns)
	}
	if diff := cmp.Diff([][]int{{0, 1, 2}, {0, 1, 3}}, columns); diff != "" || !changed {
		t.Errorf("columns (- want, + have):\n%s", diff)
	}
}

// TestPartsKeyOnce has a key column that begins a part: it stands there once.
func TestPartsKeyOnce(t *testing.T) {
	long := strings.Repeat("text ", 8)
	parts, _ := Parts([][]string{{"n", "text", "hex", "to"}, {"1", "\"" + long, "e" + long, "3"}, {"2", "\"" + long, "f" + long, "9"}}, 2, 60)
	for _, p := range parts {
		if len(p.Columns) != len(slices.Compact(slices.Sorted(slices.Values(p.Columns)))) {
			t.Errorf("columns %v", p.Columns)
		}
	}
}
