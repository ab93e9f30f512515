// Package glsl compiles shaders with glslc and keeps the record by which a
// test knows, without a compiler, that compiled code belongs to its source.
package glsl

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Flags are glslc's, beside the macros. Vulkan 1.1 is the least that the
// backend asks of a device; -g would put paths into the output.
var Flags = []string{"--target-env=vulkan1.1", "-O", "-Iinclude"}

// Compiler is the path of a glslc.
type Compiler string

// Usual is the compiler on PATH, that of Debian 12.
const Usual = Compiler("glslc")

// Newer is the one that cooperative matrices need. scripts/glslc.sh fetches
// it; the error is where it has not.
func Newer() (Compiler, error) {
	path := os.Getenv("CALDERA_GLSLC")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		path = filepath.Join(cache, "caldera", "glslc-2025.2", "glslc")
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the newer glslc is not there, scripts/glslc.sh fetches it: %w", err)
	}
	return Compiler(path), nil
}

// Validator is the spirv-val that comes with a compiler.
func (c Compiler) Validator() string { return filepath.Join(filepath.Dir(string(c)), "spirv-val") }

// Version is that of the compiler, in one line.
func (c Compiler) Version() (string, error) {
	out, err := exec.Command(string(c), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("glslc cannot be run (Debian package glslc): %w", err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line, nil
}

// Compile compiles a file of dir with macros and further flags.
func (c Compiler) Compile(dir, file string, defines []string, flags ...string) ([]byte, error) {
	args := slices.Concat(Flags, flags)
	for _, d := range defines {
		args = append(args, "-D"+d)
	}
	cmd := exec.Command(string(c), append(args, file, "-o", "-")...)
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	code, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("glslc %s %v: %w\n%s", file, defines, err, errs.Bytes())
	}
	return relax(code)
}

// Entry is a line of the record: what a compiled file was made from and what
// it holds, as SHA-256 in hexadecimal.
type Entry struct{ Name, Source, Code string }

// NewEntry hashes the source of a variant, with all it includes, the macros
// and the flags, and the code compiled from it.
func NewEntry(dir, name, file string, defines []string, code []byte) (Entry, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q\n", Flags, defines)
	files, err := includes(dir, file, nil)
	if err != nil {
		return Entry{}, err
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			return Entry{}, err
		}
		fmt.Fprintf(h, "%s %d\n%s", f, len(text), text)
	}
	sum := sha256.Sum256(code)
	return Entry{name, hex.EncodeToString(h.Sum(nil)), hex.EncodeToString(sum[:])}, nil
}

var include = regexp.MustCompile(`(?m)^\s*#include "(.*)"`)

// includes lists file and the files that it includes, directly or not.
func includes(dir, file string, seen []string) ([]string, error) {
	if slices.Contains(seen, file) {
		return seen, nil
	}
	seen = append(seen, file)
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, err
	}
	for _, m := range include.FindAllSubmatch(text, -1) {
		if seen, err = includes(dir, filepath.Join("include", string(m[1])), seen); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// Manifest is the record of all compiled files.
type Manifest struct {
	Compiler string
	Newer    string // the compiler of those with cooperative matrices
	Entries  []Entry
}

// String is the text of a manifest, which ParseManifest reads.
func (m Manifest) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# SPIR-V compiled by go generate: name, SHA-256 of source, includes and flags, SHA-256 of the code.\n")
	fmt.Fprintf(&b, "compiler %s\n", m.Compiler)
	fmt.Fprintf(&b, "compiler-of-matrices %s\n", m.Newer)
	for _, e := range m.Entries {
		fmt.Fprintf(&b, "%s %s %s\n", e.Name, e.Source, e.Code)
	}
	return b.String()
}

// ParseManifest is the inverse of String.
func ParseManifest(text string) (m Manifest, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if compiler, ok := strings.CutPrefix(line, "compiler "); ok {
			m.Compiler = compiler
			continue
		}
		if compiler, ok := strings.CutPrefix(line, "compiler-of-matrices "); ok {
			m.Newer = compiler
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		if len(f) != 3 {
			return m, fmt.Errorf("manifest: %q, expected a name and two hashes", line)
		}
		m.Entries = append(m.Entries, Entry{f[0], f[1], f[2]})
	}
	return m, nil
}
