package gpulab_test

import (
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"caldera/internal/gpulab"
)

//go:generate go test . -run TestPage -write
var write = flag.Bool("write", false, "write what TestPage expects")

// TestPage sees that docs/results/gpus.md and gpus-change.md are what the JSON beside them says.
func TestPage(t *testing.T) {
	const base = "../../docs/results/gpus"
	read := func(path string) []gpulab.Report {
		reports, err := gpulab.ReadReports(path)
		if err != nil {
			t.Fatal(err)
		}
		return reports
	}
	before, after := read(base+"-before.json"), read(base+".json")
	for path, page := range map[string]func(io.Writer) error{
		base + ".md":        func(w io.Writer) error { return gpulab.WritePage(w, after) },
		base + "-change.md": func(w io.Writer) error { return gpulab.WriteChanges(w, before, after) },
	} {
		var want strings.Builder
		if err := page(&want); err != nil {
			t.Fatal(err)
		}
		if *write {
			if err := os.WriteFile(path, []byte(want.String()), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want.String() {
			t.Errorf("%s is not what its JSON says (%v): run go generate ./internal/gpulab", path, err)
		}
	}
}

// TestWriteChanges: kernels of one name are one row, with what is on one side alone.
func TestWriteChanges(t *testing.T) {
	uses := []string{"gpt2 f16 decode"}
	report := func(card string, kernels ...gpulab.Kernel) gpulab.Report {
		return gpulab.Report{Card: card, Kernels: kernels}
	}
	before := []gpulab.Report{report("navi31",
		gpulab.Kernel{Name: "vec", Spec: "a", Uses: uses, Instructions: 290, InFlight: 48},
		gpulab.Kernel{Name: "vec", Spec: "b", Uses: uses, Instructions: 400, InFlight: 48, Spilled: 3},
		gpulab.Kernel{Name: "norm", Uses: uses, Instructions: 372, InFlight: 12})}
	after := []gpulab.Report{report("navi31",
		gpulab.Kernel{Name: "one", Uses: uses, Instructions: 230, InFlight: 196},
		gpulab.Kernel{Name: "vec", Spec: "a", Uses: uses, Instructions: 280, InFlight: 64},
		gpulab.Kernel{Name: "elsewhere", Uses: []string{"gpt2 f16 train"}, Instructions: 1}), report("ampere")}
	var page strings.Builder
	if err := gpulab.WriteChanges(&page, before, after); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| kernel | navi31 before       | navi31 after  |\n",
		"| norm   | 1 × 372 / 12        | –             |\n",
		"| one    | –                   | 1 × 230 / 196 |\n",
		"| vec    | 2 × 290–400 / 48 !3 | 1 × 280 / 64  |\n",
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("%q is not in\n%s", want, page.String())
		}
	}
	if strings.Contains(page.String(), "elsewhere") || strings.Contains(page.String(), "ampere") || strings.Count(page.String(), "## ") != 1 {
		t.Errorf("other programs or cards are there:\n%s", page.String())
	}
}
