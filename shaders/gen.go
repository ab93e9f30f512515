//go:build ignore

// gen compiles every variant of the table into spv/ and writes spv/MANIFEST.
// It runs in the folder shaders: go generate ./shaders.
package main

import (
	"log"
	"os"
	"path/filepath"

	"caldera/shaders"
	"caldera/shaders/internal/glsl"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("shaders: ")
	version, err := glsl.Version()
	if err != nil {
		log.Fatal(err)
	}
	m := glsl.Manifest{Compiler: version}
	files := map[string][]byte{}
	for _, v := range shaders.Variants {
		code, err := glsl.Compile(".", v.Source+".comp", v.Defines)
		if err != nil {
			log.Fatal(err)
		}
		e, err := glsl.NewEntry(".", v.Name(), v.Source+".comp", v.Defines, code)
		if err != nil {
			log.Fatal(err)
		}
		files[v.Name()+".spv"] = code
		m.Entries = append(m.Entries, e)
	}
	files["MANIFEST"] = []byte(m.String())

	// Nothing is touched before all has compiled.
	stale, err := filepath.Glob("spv/*.spv")
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range stale {
		if files[filepath.Base(name)] == nil {
			if err := os.Remove(name); err != nil {
				log.Fatal(err)
			}
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join("spv", name), content, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
