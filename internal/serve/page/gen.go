//go:build ignore

// gen writes src/api.ts from the Go structs, bundles the page into static and writes MANIFEST.
// It runs in the folder internal/serve/page: go generate ./internal/serve/page.
package main

import (
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"caldera/internal/serve/page/internal/api"
	"caldera/internal/serve/page/internal/bundle"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("page: ")
	types, err := api.Types()
	check(err)
	check(os.WriteFile("src/api.ts", []byte(types), 0o644))

	cmd := exec.Command("../../../scripts/page.sh")
	cmd.Stderr = os.Stderr
	modules, err := cmd.Output()
	check(err)
	files, err := bundle.Build(".", strings.TrimSpace(string(modules)))
	check(err)
	sources, err := bundle.Sources(".")
	check(err)
	check(os.MkdirAll("static", 0o755))
	for name, text := range files {
		check(os.WriteFile(filepath.Join("static", name), text, 0o644))
	}
	check(os.WriteFile("MANIFEST", []byte(bundle.Manifest(bundle.Compiler(), sources, files)), 0o644))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
