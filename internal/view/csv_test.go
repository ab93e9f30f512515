package view

import (
	"strings"
	"testing"
)

type cells [][]string

func (c cells) Table() [][]string { return c }

// TestCSVHasNoFormulas writes tokens that a spreadsheet would compute with.
func TestCSVHasNoFormulas(t *testing.T) {
	table := cells{{"id", "text"}, {"-1.5e-3", "=1+1"}, {"+2", "@SUM(A1)"}, {"-Inf", "-2+3|cmd"}, {"", "\t=1"}, {"NaN", " =1"}, {"3", "a,\"b\"\n"}, {"-", "+"}, {"\r", "'="}}
	var got strings.Builder
	if err := WriteCSV(&got, table); err != nil {
		t.Fatal(err)
	}
	want := "id,text\n-1.5e-3,'=1+1\n+2,'@SUM(A1)\n'-Inf,'-2+3|cmd\n,'\t=1\nNaN,\" =1\"\n3,\"a,\"\"b\"\"\n\"\n'-,'+\n\"'\r\",'=\n"
	if got.String() != want {
		t.Errorf("found\n%q, expected\n%q", got.String(), want)
	}
	if table[1][1] != "=1+1" {
		t.Error("the table itself was changed")
	}
}
