// Package bundle makes the page's files of its sources, and tells by hashes whether committed files belong to the sources.
package bundle

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// notice is what the licence of the library in the bundle asks for.
const notice = "/*! With Preact, preactjs.com, (c) 2015-present Jason Miller, MIT License. */"

// Build bundles the page in folder dir: src/main.tsx with all that it imports, src/app.css, and src/index.html as it is.
// modules is the folder node_modules with the npm packages that are imported. The result is named by file.
func Build(dir, modules string) (map[string][]byte, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	built := api.Build(api.BuildOptions{
		AbsWorkingDir:       dir,
		EntryPointsAdvanced: []api.EntryPoint{{InputPath: "src/main.tsx", OutputPath: "app"}, {InputPath: "src/app.css", OutputPath: "app"}},
		NodePaths:           []string{modules},
		Tsconfig:            filepath.Join(dir, "tsconfig.json"),
		Outdir:              filepath.Join(dir, "static"),
		Bundle:              true,
		Format:              api.FormatIIFE,
		Target:              api.ES2022,
		MinifyWhitespace:    true,
		MinifyIdentifiers:   true,
		MinifySyntax:        true,
		Charset:             api.CharsetUTF8,
		LegalComments:       api.LegalCommentsInline,
		Banner:              map[string]string{"js": notice},
	})
	for _, m := range slices.Concat(built.Errors, built.Warnings) {
		where := ""
		if m.Location != nil {
			where = fmt.Sprintf("%s:%d: ", m.Location.File, m.Location.Line)
		}
		err = errors.Join(err, errors.New(where+m.Text))
	}
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, f := range built.OutputFiles {
		files[filepath.Base(f.Path)] = f.Contents
	}
	files["index.html"], err = os.ReadFile(filepath.Join(dir, "src", "index.html"))
	return files, err
}

// Compiler names what bundles: the module and its version, as this program was built with it.
func Compiler() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/evanw/esbuild" {
				return "esbuild " + m.Version
			}
		}
	}
	return "esbuild"
}

// Sources are the files that the bundle depends on, by name below dir.
func Sources(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json", "tsconfig.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		files[name] = text
	}
	tree := os.DirFS(dir)
	err := fs.WalkDir(tree, "src", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[name], err = fs.ReadFile(tree, name)
		return err
	})
	return files, err
}

// Manifest is the text of the file MANIFEST: what bundled, then the SHA-256 of each source and of each file of the bundle.
func Manifest(compiler string, sources, bundled map[string][]byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", compiler)
	line := func(name string, text []byte) { fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(text), name) }
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		line(name, sources[name])
	}
	for _, name := range slices.Sorted(maps.Keys(bundled)) {
		line(path.Join("static", name), bundled[name])
	}
	return b.String()
}

// MadeBy is the compiler that a manifest names.
func MadeBy(manifest string) string {
	s := bufio.NewScanner(strings.NewReader(manifest))
	s.Scan()
	return strings.TrimPrefix(s.Text(), "# ")
}
