package page_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/internal/serve/page"
	"caldera/internal/serve/page/internal/api"
	"caldera/internal/serve/page/internal/bundle"
)

// files reads what the program has in it.
func files(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := fs.WalkDir(page.Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[name], err = fs.ReadFile(page.Files(), name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// modules is the folder with the npm packages. Where the tests must not leave anything out (CALDERA_REQUIRE_DRIVERS, which
// make test sets), a machine without them fails.
func modules(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("../../../scripts/page.sh")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	switch {
	case err == nil:
		return strings.TrimSpace(string(out))
	case os.Getenv("CALDERA_REQUIRE_DRIVERS") != "":
		t.Fatalf("scripts/page.sh: %v\n%s", err, &errs)
	}
	t.Skipf("scripts/page.sh: %v\n%s", err, &errs)
	return ""
}

// TestManifest shows, without npm, that the bundle belongs to its sources.
func TestManifest(t *testing.T) {
	have, err := os.ReadFile("MANIFEST")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := bundle.Sources(".")
	if err != nil {
		t.Fatal(err)
	}
	want := bundle.Manifest(bundle.MadeBy(string(have)), sources, files(t))
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(have), "\n")); diff != "" {
		t.Errorf("MANIFEST does not belong to the sources and the bundle: run go generate ./internal/serve/page (- want, + have)\n%s", diff)
	}
}

// TestBundle shows that the bundle is what the sources give.
func TestBundle(t *testing.T) {
	want, err := bundle.Build(".", modules(t))
	if err != nil {
		t.Fatal(err)
	}
	have := files(t)
	for name, text := range want {
		if !bytes.Equal(text, have[name]) {
			t.Errorf("static/%s is not what %s makes of the sources: run go generate ./internal/serve/page", name, bundle.Compiler())
		}
		delete(have, name)
	}
	for name := range have {
		t.Errorf("static/%s comes from no source", name)
	}
}

// TestAPI holds the page's types to the Go structs.
func TestAPI(t *testing.T) {
	want, err := api.Types()
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("src/api.ts")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(have)); diff != "" {
		t.Errorf("src/api.ts is not what the Go structs give: run go generate ./internal/serve/page (- want, + have)\n%s", diff)
	}
}

// TestTypes has the compiler check all types, strictly.
func TestTypes(t *testing.T) {
	npm := modules(t)
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "src"), os.DirFS("src")); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("tsconfig.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tsconfig.json"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(npm, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join(npm, "typescript", "bin", "tsc"), "--noEmit")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("tsc: %v\n%s", err, out)
	}
}

// TestSize bounds what a browser must load.
func TestSize(t *testing.T) {
	total := 0
	for _, text := range files(t) {
		total += len(text)
	}
	if total == 0 || total > 300_000 {
		t.Errorf("the bundle has %d bytes, expected 1 to 300000", total)
	}
}

// address is one of another host. Namespaces of SVG and the notice of a licence load nothing.
var address = regexp.MustCompile(`(?:https?:)?//[a-zA-Z0-9-]+\.[a-zA-Z0-9./-]*`)

// TestPolicy sees that the page keeps to its own policy: nothing inline, and no other host is named.
func TestPolicy(t *testing.T) {
	all := files(t)
	html := string(all["index.html"])
	for _, never := range []string{"<style", " style=", "javascript:", " onclick", " onload"} {
		if strings.Contains(html, never) {
			t.Errorf("index.html has %q, which the policy does not allow", never)
		}
	}
	if got := regexp.MustCompile(`<script[^>]*>`).FindAllString(html, -1); len(got) != 1 || got[0] != `<script src="app.js" defer>` {
		t.Errorf("index.html has scripts %q, expected app.js alone", got)
	}
	for name, text := range all {
		for _, found := range address.FindAllString(string(text), -1) {
			if found != "http://www.w3.org/2000/svg" && found != "http://www.w3.org/1998/Math/MathML" && found != "http://www.w3.org/1999/xhtml" {
				t.Errorf("static/%s names %s: the page loads nothing from elsewhere", name, found)
			}
		}
	}
}

// TestChapters sees that the chapters that docs/inspect.md names are there.
func TestChapters(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/inspect.md")
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile("src/chapters/index.tsx")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("\\| `#([a-z]+)` \\|").FindAllSubmatch(doc, -1)
	if len(named) < 30 {
		t.Errorf("docs/inspect.md names %d chapters: its table is not where this test expects it", len(named))
	}
	for _, chapter := range named {
		if !bytes.Contains(index, []byte("{ id: '"+string(chapter[1])+"',")) {
			t.Errorf("docs/inspect.md names the chapter #%s, which the page does not have", chapter[1])
		}
	}
}

// TestLines keeps the sources short, as internal/arch does it for Go.
func TestLines(t *testing.T) {
	sources, err := bundle.Sources(".")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range sources {
		generated := name == "src/api.ts" || name == "package-lock.json"
		if n := bytes.Count(text, []byte("\n")); n > 500 && !generated {
			t.Errorf("%s has %d lines, at most 500 can be read at one sitting: split it by subject", name, n)
		}
	}
}
