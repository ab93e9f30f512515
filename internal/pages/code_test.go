package pages_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// goFiles are the texts of all Go files of the module, by name.
var goFiles = sync.OnceValues(func() (map[string]string, error) {
	all := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := d.Name(); d.IsDir() && name != root && (strings.HasPrefix(base, ".") || base == "testdata" || base == "pages") {
			return fs.SkipDir
		}
		if filepath.Ext(name) == ".go" && !d.IsDir() {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			all[name] = string(text)
		}
		return nil
	})
	return all, err
})

// quotes is whether a text has the code, line by line. A line of … stands for
// lines that are left out.
func quotes(text, code string) bool {
	text = "\n" + text
	for _, part := range strings.Split("\n"+code, "\n…") {
		part = strings.TrimRight(part, "\n") + "\n"
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part)-1:]
	}
	return true
}

// compiles is whether code is Go that compiles, in a package that imports what
// it uses, or why not. mybackend stands for the reader's own package.
func compiles(t *testing.T, code string) error {
	t.Helper()
	const prelude = `package quoted

import (
	"testing"

	"caldera/backend"
	"caldera/conformance"
)

var (
	_         testing.TB
	_         = conformance.Test
	mybackend struct{ Open func() backend.Backend }
)

`
	// A package that is nowhere on the disk, so that it is of this module.
	dir, err := filepath.Abs(filepath.Join(root, "internal/pages/quoted"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "quoted.go")
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(dir, "quoted.go"): file}})
	if err == nil {
		err = errors.Join(os.WriteFile(file, []byte(prelude+code), 0o666), os.WriteFile(overlay, list, 0o666))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-overlay", overlay, "./internal/pages/quoted")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// goBlocks are blocks of Go that are neither in a file nor compile.
func goBlocks(t *testing.T, p page) (wrong []string) {
	t.Helper()
	all, err := goFiles()
	if err != nil {
		t.Fatal(err)
	}
block:
	for _, b := range p.blocks {
		if b.language != "go" {
			continue
		}
		for _, text := range all {
			if quotes(text, b.code) {
				continue block
			}
		}
		if err := compiles(t, b.code); err != nil {
			wrong = append(wrong, fmt.Sprintf("line %d: the Go code there stands so in no file, nor does it compile (%v): quote it anew", b.line, err))
		}
	}
	return wrong
}

// TestGo holds quoted Go to the code.
func TestGo(t *testing.T) {
	blocks := 0
	each(t, func(p page) []string {
		blocks += strings.Count(p.text, "\n```go\n")
		return goBlocks(t, p)
	})
	if blocks < 2 {
		t.Errorf("%d blocks of Go were found", blocks)
	}
}

// TestGoIsFound sees that the check can fail.
func TestGoIsFound(t *testing.T) {
	const fence = "```"
	for code, wrong := range map[string]int{
		"type Add struct {\n": 0,
		"type Add struct {\n…\nfunc (*Add) Name() string { return \"add\" }\n": 0,
		"type Addd struct {\n": 1,
		"func (*Add) Name() string { return \"add\" }\n…\ntype Add struct {\n": 1, // in another order
		"func mine() backend.Backend { return mybackend.Open() }\n":            0,
		"func mine() backend.Backends { return mybackend.Open() }\n":           1,
	} {
		if got := goBlocks(t, read("x.md", fence+"go\n"+code+fence+"\n")); len(got) != wrong {
			t.Errorf("%q: found %q, expected %d", code, got, wrong)
		}
	}
}
