package scripts_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// registry matches the hosts of package registries and of distributions' mirrors.
var registry = regexp.MustCompile(`(?i)\b[\w.-]*(debian\.(org|net)|ubuntu\.com|npmjs\.(org|com)|yarnpkg\.com|pypi\.org|pythonhosted\.org|` +
	`proxy\.golang\.org|sum\.golang\.org|goproxy\.(io|cn)|crates\.io|rubygems\.org|anaconda\.org|fedoraproject\.org|alpinelinux\.org|ghcr\.io|docker\.io)\b`)

// address matches any address. Scripts have none: where packages come from is
// what the machine is set to.
var address = regexp.MustCompile(`(?i)\b(https?|ftp)://[^\s"']+`)

// TestNoRegistryIsNamed sees that packages come from where the machine is set to
// take them from: behind a company's mirror, a host that a script names is one
// that cannot be reached.
func TestNoRegistryIsNamed(t *testing.T) {
	files := 0
	for _, from := range []string{"../Makefile", "../README.md", "../.ci", "../docs", "../scripts", "../internal/serve/page/package.json", "../internal/serve/page/package-lock.json", "../internal/serve/page/.npmrc"} {
		err := filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(name, ".go") {
				return err
			}
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			files++
			checkHosts(t, name, string(text))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 10 {
		t.Errorf("%d files were looked at: the tree is not where this test expects it", files)
	}
}

func checkHosts(t *testing.T, name, text string) {
	t.Helper()
	for _, host := range hosts(name, text) {
		t.Errorf("%s names %s: take packages from the mirror that the machine is set to (scripts/debian.sh shows how)", name, host)
	}
}

func hosts(name, text string) []string {
	found := registry.FindAllString(text, -1)
	if !strings.HasSuffix(name, ".md") && !strings.HasSuffix(name, ".json") {
		found = append(found, address.FindAllString(text, -1)...)
	}
	return found
}

// TestHostsAreFound sees that the test above can fail.
func TestHostsAreFound(t *testing.T) {
	for _, c := range []struct {
		name, text string
		found      bool
	}{
		// In two parts: no file of the project has such a name.
		{"x.sh", "curl https://registry." + "npmjs.org/x", true},
		{"x.sh", "for pool in http://deb." + "debian.org/debian/pool none", true},
		{"x.sh", "# What is replaced stays at snapshot." + "debian.org.", true},
		{"x.md", "export GOPROXY=proxy." + "golang.org", true},
		{"x.sh", "wget ftp://mirror.example/x", true},
		{"x.md", "see https://github.com/karpathy/nanoGPT", false},
		{"x.sh", "github.com/karpathy/llm.c, npm, Debian 12, deb822", false},
	} {
		if got := hosts(c.name, c.text); (len(got) > 0) != c.found {
			t.Errorf("%s: %q: found %q", c.name, c.text, got)
		}
	}
}
