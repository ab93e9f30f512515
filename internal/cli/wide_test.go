package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"caldera/backend"
	"caldera/internal/table"
)

func longest(text string) int {
	n := 0
	for line := range strings.Lines(text) {
		n = max(n, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")))
	}
	return n
}

// TestListFits lists a device whose line is too long: it fits, the UUID is whole,
// and --wide has it in one line.
func TestListFits(t *testing.T) {
	device := backend.Device{Backend: "listed", Name: "NVIDIA GeForce RTX 4090 Laptop GPU", Kind: backend.Discrete, Driver: "NVIDIA 550.54.14 for Linux, x86-64",
		Memory: 24 << 30, UUID: "0123456789abcdef0123456789abcdef"}
	backend.Register("listed", func() ([]backend.Device, error) { return []backend.Device{device}, nil })
	list := func() string {
		var out strings.Builder
		if err := List(&out, false); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	got := list()
	if longest(got) > 100 || !strings.HasSuffix(got, "\n"+wideNote+"\n") {
		t.Errorf("a line has %d characters, or it does not say how to see all:\n%s", longest(got), got)
	}
	for _, part := range []string{"listed:0", "discrete GPU", device.Name, device.Driver, "24.0 GiB", device.UUID} {
		if !strings.Contains(got, part) {
			t.Errorf("the list lacks %q:\n%s", part, got)
		}
	}
	Wide(true).AfterApply()
	defer Wide(false).AfterApply()
	got = list()
	if line := "discrete GPU"; strings.Count(got, "listed:0") != 1 || !strings.Contains(got, line) || strings.Contains(got, wideNote) {
		t.Errorf("--wide has not a line a device:\n%s", got)
	}
}

// TestWriteTables writes what there is before an error, too.
func TestWriteTables(t *testing.T) {
	failed := errors.New("failed")
	text := table.Markdown([][]string{{"a", strings.Repeat("b", 60), strings.Repeat("c", 60)}, {"x", "y", "z"}}, nil)
	var out strings.Builder
	err := WriteTables(&out, func(w io.Writer) error { fmt.Fprint(w, text); return failed })
	if !errors.Is(err, failed) || longest(out.String()) > 100 || !strings.Contains(out.String(), "z") || !strings.HasSuffix(out.String(), wideNote+"\n") {
		t.Errorf("%v:\n%s", err, out.String())
	}
}
