//go:build ignore

// gen compiles every variant of the table into spv/ and writes spv/MANIFEST.
// It runs in the folder shaders: go generate ./shaders.
package main

import (
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"caldera/shaders"
	"caldera/shaders/internal/glsl"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("shaders: ")
	m := glsl.Manifest{Compiler: version(glsl.Usual)}
	newer := fetched()
	if newer == "" {
		m.Newer = committed().Newer
	} else {
		m.Newer = version(newer)
	}
	if err := os.WriteFile("include/dtypes.glsl", []byte(shaders.Include()), 0o644); err != nil {
		log.Fatal(err)
	}
	files := map[string][]byte{}
	for _, v := range shaders.Variants {
		if v.Matrix && newer == "" {
			files[v.Name()+".spv"] = keep(&m, &v)
			continue
		}
		compiler := glsl.Usual
		if v.Matrix {
			compiler = newer
		}
		code, err := compiler.Compile(".", v.Source+".comp", v.Defines)
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

// fetched is the newer compiler, or empty where it cannot be had, as on a Mac.
func fetched() glsl.Compiler {
	cmd := exec.Command("../scripts/glslc.sh")
	cmd.Stderr = os.Stderr
	path, err := cmd.Output()
	if err != nil {
		return ""
	}
	return glsl.Compiler(strings.TrimSpace(string(path)))
}

// keep leaves committed code as it is, if its source is what it was.
func keep(m *glsl.Manifest, v *shaders.Variant) []byte {
	e, err := glsl.NewEntry(".", v.Name(), v.Source+".comp", v.Defines, v.SPIRV())
	if err != nil {
		log.Fatal(err)
	}
	if !slices.Contains(committed().Entries, e) {
		log.Fatalf("%s has changed, and its compiler is not there (messages above)", v.Name())
	}
	log.Printf("%s stays as it is: its source has not changed", v.Name())
	m.Entries = append(m.Entries, e)
	return v.SPIRV()
}

func committed() glsl.Manifest {
	text, err := os.ReadFile("spv/MANIFEST")
	if err != nil {
		log.Fatal(err)
	}
	m, err := glsl.ParseManifest(string(text))
	if err != nil {
		log.Fatal(err)
	}
	return m
}

func version(c glsl.Compiler) string {
	v, err := c.Version()
	if err != nil {
		log.Fatal(err)
	}
	return v
}
