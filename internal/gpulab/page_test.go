package gpulab_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"caldera/internal/gpulab"
)

//go:generate go test . -run TestPage -write
var write = flag.Bool("write", false, "write what TestPage expects")

// TestPage sees that docs/results/gpus.md is what the JSON beside it says.
func TestPage(t *testing.T) {
	const base = "../../docs/results/gpus"
	reports, err := gpulab.ReadReports(base + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	if err := gpulab.WritePage(&page, reports); err != nil {
		t.Fatal(err)
	}
	if *write {
		if err := os.WriteFile(base+".md", []byte(page.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(base + ".md"); err != nil || string(got) != page.String() {
		t.Errorf("docs/results/gpus.md is not what its JSON says (%v): run go generate ./internal/gpulab", err)
	}
}
