// Package pages_test holds README and the other pages to the code: what they
// quote, and what they name (files, links, headings, commands, flags, tasks of
// make, environment variables), is there. page_test.go reads pages and has the
// checks of names, code_test.go checks quoted Go, command_test.go what is typed.
//
// Tables between <!-- bench … --> and <!-- end --> are held to the results by
// bench's TestPublished.
package pages_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"
)

// root is the module's directory, seen from here.
const root = "../.."

// page is a file in Markdown.
type page struct {
	path   string // from the module's directory, with slashes
	text   string
	blocks []block
	prose  string // text without blocks, as many lines
}

// block is fenced or indented code.
type block struct {
	line     int    // of its first line of code, from 1
	language string // after the fence; empty where there is none
	code     string
}

// read parses a page.
func read(name, text string) page {
	p := page{path: name, text: text}
	var prose strings.Builder
	var open *block
	fenced := false
	for i, line := range strings.Split(text, "\n") {
		indented := strings.HasPrefix(line, "    ")
		switch {
		case strings.HasPrefix(line, "```"):
			if fenced {
				open, fenced = nil, false
			} else {
				p.blocks = append(p.blocks, block{line: i + 2, language: strings.TrimPrefix(line, "```")})
				open, fenced = &p.blocks[len(p.blocks)-1], true
			}
			line = ""
		case fenced:
			open.code += line + "\n"
			line = ""
		case indented && (open != nil || i == 0 || strings.TrimSpace(strings.Split(text, "\n")[i-1]) == ""):
			if open == nil {
				p.blocks = append(p.blocks, block{line: i + 1, language: "sh"})
				open = &p.blocks[len(p.blocks)-1]
			}
			open.code += strings.TrimPrefix(line, "    ") + "\n"
			line = ""
		default:
			open = nil
		}
		prose.WriteString(line + "\n")
	}
	p.prose = prose.String()
	return p
}

// pages are those of the module, but for tables that a command wrote.
var pages = sync.OnceValues(func() (all []page, err error) {
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/results/README.md", "models/*.md"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return nil, err
			}
			all = append(all, read(filepath.ToSlash(rel), string(text)))
		}
	}
	return all, nil
})

// each runs a check on every page. README must be among them.
func each(t *testing.T, check func(page) []string) {
	t.Helper()
	all, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(p page) bool { return p.path == "README.md" }) {
		t.Fatalf("README.md is not among the %d pages", len(all))
	}
	for _, p := range all {
		for _, wrong := range check(p) {
			t.Errorf("%s: %s", p.path, wrong)
		}
	}
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	return err == nil
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// links are those of a page that lead to nothing in this module.
func links(p page) (wrong []string) {
	for _, m := range link.FindAllStringSubmatch(p.prose, -1) {
		if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(m[1], "#")
		target := p.path
		if file != "" {
			target = path.Join(path.Dir(p.path), file)
		}
		if file != "" && !exists(target) {
			wrong = append(wrong, fmt.Sprintf("the link (%s) leads to %s, which is not there", m[1], target))
			continue
		}
		if anchor == "" {
			continue
		}
		text := p.text
		if file != "" {
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(target)))
			if err != nil {
				return append(wrong, err.Error())
			}
			text = string(b)
		}
		if !slices.Contains(anchors(text), anchor) {
			wrong = append(wrong, fmt.Sprintf("the link (%s) leads to a heading that %s has not: it has %q", m[1], target, anchors(text)))
		}
	}
	return wrong
}

// anchors are what GitHub calls the headings of a page.
func anchors(text string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, m[1]))
	}
	return all
}

var inline = regexp.MustCompile("`([^`\n]+)`")

// file is code that looks like the path of a file or folder here.
var file = regexp.MustCompile(`^[A-Za-z0-9_.*-]+(/[A-Za-z0-9_.*-]+)*/?$`)

// files are paths in a page's prose that are not there. A path is what begins
// with a folder of the module, or ends as a source file does.
func files(p page) (wrong []string) {
	for _, m := range inline.FindAllStringSubmatch(p.prose, -1) {
		name, _, _ := strings.Cut(m[1], " ")
		if !file.MatchString(name) || !strings.Contains(strings.TrimSuffix(name, "/"), "/") && !strings.HasSuffix(name, "/") {
			continue
		}
		first, _, _ := strings.Cut(name, "/")
		source := slices.Contains([]string{".go", ".comp", ".sh"}, path.Ext(name))
		if first == "bin" || !exists(first) && !source {
			continue // of another project, or made by a command
		}
		found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil || len(found) == 0 {
			wrong = append(wrong, fmt.Sprintf("`%s` is not there", name))
		}
	}
	return wrong
}

var variable = regexp.MustCompile(`\bCALDERA_[A-Z_]+\b`)

// source is all code of the module, in one string: Go, shell, make.
var source = sync.OnceValues(func() (string, error) {
	var all strings.Builder
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != root && (strings.HasPrefix(base, ".") || base == "bin" || base == "pages") {
				return fs.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(name); ext == ".go" || ext == ".sh" || d.Name() == "Makefile" {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			all.Write(text)
		}
		return nil
	})
	return all.String(), err
})

// variables are environment variables that a page names and no code reads.
func variables(p page) (wrong []string) {
	code, err := source()
	if err != nil {
		return []string{err.Error()}
	}
	for _, name := range variable.FindAllString(p.text, -1) {
		if !regexp.MustCompile(`\b` + name + `\b`).MatchString(code) {
			wrong = append(wrong, fmt.Sprintf("nothing reads the environment variable %s", name))
		}
	}
	return wrong
}

func TestLinks(t *testing.T)     { each(t, links) }
func TestFiles(t *testing.T)     { each(t, files) }
func TestVariables(t *testing.T) { each(t, variables) }

// TestNamesAreFound sees that each check finds what is wrong, and nothing else.
func TestNamesAreFound(t *testing.T) {
	for _, c := range []struct {
		name  string
		check func(page) []string
		text  string
		wrong int
	}{
		{"links", links, "[a](bench.md) [b](../README.md#speed) [c](#here) [d](https://example.org/x)\n# Here\n", 0},
		{"a link to nothing", links, "[a](none.md)", 1},
		{"a link to no heading", links, "[a](../README.md#none) [b](#none)\n# Here\n", 2},
		{"files", files, "`gpt/model/forward.go` `backend/*.go` `scripts/setup.sh test` `nn/` `out/best` `a/b` `go test` `linear`", 0},
		{"a file that is not there", files, "`gpt/none.go` `none/none.go` `nn/none/` `scripts/none.sh run` `cmd/*/none.go`", 5},
		{"variables", variables, "`CALDERA_BLAS=gonum`", 0},
		{"a variable that nobody reads", variables, "    export CALDERA_NONE=1\n", 1},
	} {
		if got := c.check(read("docs/x.md", c.text)); len(got) != c.wrong {
			t.Errorf("%s: found %q, expected %d", c.name, got, c.wrong)
		}
	}
}

func TestRead(t *testing.T) {
	p := read("x.md", "a\n\n    indented --x\n    two\n\nb `c`\n```go\nfence\n```\n- list\n    no code\n")
	want := []block{{3, "sh", "indented --x\ntwo\n"}, {8, "go", "fence\n"}}
	if !slices.Equal(p.blocks, want) || strings.Contains(p.prose, "fence") || strings.Contains(p.prose, "two") || !strings.Contains(p.prose, "b `c`") || !strings.Contains(p.prose, "no code") {
		t.Errorf("blocks %+v, prose %q", p.blocks, p.prose)
	}
}
