// Package arch checks rules of this module that the compiler does not check: which package may import which, how long
// a file may be, that each op has a file of its name in each directory of ops, and that only commands name flags.
//
// The rules are tables in arch_test.go. To add a rule, add a line there with its reason. A check takes the module's
// directory, so that its own test can pass a module with faults. It returns one line for each fault.
package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// A Rule forbids imports. Packages of the module are named by their path below it, others by their full path. A name
// that ends in /... means the package and all packages below it, and ... means all packages.
type Rule struct {
	From   []string // the packages that the rule applies to
	Except []string // packages of From that it does not apply to
	Never  []string // what they must not import
	Why    string

	// Direct: the rule is for a package's own imports, including those of its tests. Otherwise it is for all packages
	// that the package reaches by imports, and not for tests.
	Direct bool
}

// Package is what `go list` says about a package.
type Package struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
	Deps                               []string // all that Imports reach
	Module                             *struct {
		Path string
		Main bool
	}
}

// List returns the packages of the module in dir, and all packages that they import. An import that cannot be found is
// listed too.
func List(dir string) ([]Package, error) {
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Imports,TestImports,XTestImports,Deps,Module", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w: %s", dir, err, stderr.String())
	}
	var pkgs []Package
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list in %s: %w", dir, err)
		}
		pkgs = append(pkgs, p)
	}
}

// Imports checks the packages against the rules. A rule that applies to no package is a fault too, because it can never
// fail.
func Imports(pkgs []Package, rules []Rule) (wrong []string) {
	byPath := make(map[string]Package, len(pkgs))
	for _, p := range pkgs {
		byPath[p.ImportPath] = p
	}
	for _, r := range rules {
		bound := 0
		for _, p := range pkgs {
			if p.Module == nil || !p.Module.Main {
				continue
			}
			module := p.Module.Path
			if !matches(r.From, module, p.ImportPath) || matches(r.Except, module, p.ImportPath) {
				continue
			}
			bound++
			reached := p.Deps
			if r.Direct {
				reached = slices.Concat(p.Imports, p.TestImports, p.XTestImports)
			}
			slices.Sort(reached)
			for _, dep := range slices.Compact(reached) {
				if matches(r.Never, module, dep) {
					path := strings.Join(chain(byPath, p.ImportPath, dep), " → ")
					wrong = append(wrong, fmt.Sprintf("%s, but %s", path, r.Why))
				}
			}
		}
		if bound == 0 {
			wrong = append(wrong, fmt.Sprintf("no package is %s: the rule %q checks nothing", strings.Join(r.From, " or "), r.Why))
		}
	}
	return wrong
}

// matches reports whether one of the patterns matches the package.
func matches(patterns []string, module, path string) bool {
	for _, pattern := range patterns {
		stem, tree := strings.CutSuffix(pattern, "/...")
		if pattern == "..." {
			return true
		}
		for _, name := range []string{stem, module + "/" + stem} {
			if path == name || tree && strings.HasPrefix(path, name+"/") {
				return true
			}
		}
	}
	return false
}

// chain returns a shortest chain of imports from one package to another, so that a message shows which import to
// remove. An import by a test is a chain of one.
func chain(pkgs map[string]Package, from, to string) []string {
	cameFrom := map[string]string{}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, dep := range pkgs[queue[0]].Imports {
			if _, seen := cameFrom[dep]; !seen {
				cameFrom[dep] = queue[0]
				queue = append(queue, dep)
			}
		}
	}
	path := []string{to}
	for at := to; at != from; {
		before, ok := cameFrom[at]
		if !ok {
			return []string{from, to}
		}
		path = append(path, before)
		at = before
	}
	slices.Reverse(path)
	return path
}
