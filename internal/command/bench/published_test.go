package bench

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

//go:generate go test . -run TestPublished -write

var writePublished = flag.Bool("write", false, "write what TestPublished expects")

// root is the module, from which published commands run.
const root = "../../.."

// block is a part of a page that a command made: its arguments, then the output.
var block = regexp.MustCompile(`(?s)(<!-- bench ((?:show|compare) [^\n]*) -->\n)(.*?)(<!-- end -->)`)

// shown is what bench writes of results, run from the module as a user does.
func shown(t *testing.T, args ...string) string {
	t.Helper()
	for _, arg := range args {
		if strings.HasPrefix(arg, "docs/") {
			if _, err := os.ReadFile(filepath.Join(root, arg)); err != nil { // here too, so that Go's cache knows
				t.Fatal(err)
			}
		}
	}
	stdout, stderr, code := commandIn(t, root, args...)
	if code != 0 {
		t.Fatalf("bench %s: exit %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// gpus begin pages of what nobody measured: package gpulab holds these to their JSON.
const gpus = "docs/results/gpus"

// TestPublished sees that published tables are what the results' JSON says:
// docs/results/X.md is bench show --wide docs/results/X.json, and pages hold tables
// between <!-- bench show … --> or compare, and <!-- end -->. go generate writes them.
func TestPublished(t *testing.T) {
	want := map[string]string{}
	results, err := filepath.Glob(root + "/docs/results/*.json")
	if err != nil || len(results) == 0 {
		t.Fatalf("no results: %v", err)
	}
	for _, path := range results {
		name := "docs/results/" + filepath.Base(path)
		if strings.HasPrefix(name, gpus) {
			continue
		}
		want[strings.TrimSuffix(name, ".json")+".md"] = shown(t, "show", "--wide", name)
	}
	blocks := 0
	for _, page := range []string{"README.md", "docs/bench.md", "docs/results/README.md"} {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		want[page] = block.ReplaceAllStringFunc(string(text), func(b string) string {
			blocks++
			part := block.FindStringSubmatch(b)
			return part[1] + shown(t, strings.Fields(part[2])...) + part[4]
		})
	}
	if blocks == 0 {
		t.Error("no page has a table of results")
	}
	for page, text := range want {
		path := filepath.Join(root, page)
		if *writePublished {
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%s is not what its results' JSON says (%v): run go generate ./cmd/bench", page, err)
		}
	}
	pages, err := filepath.Glob(root + "/docs/results/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range pages {
		_, err := os.Stat(strings.TrimSuffix(path, ".md") + ".txt") // what Go's benchmarks printed
		if name := "docs/results/" + filepath.Base(path); want[name] == "" && err != nil && !strings.HasPrefix(name, gpus) {
			t.Errorf("%s: there is neither JSON nor output of Go's benchmarks that it is made of", name)
		}
	}
}
