// Package blaslib makes gonum's blas32 use a BLAS library of the machine: OpenBLAS,
// Intel's MKL, BLIS or Apple's Accelerate. The library is loaded at run time, so
// nothing is needed to build.
//
// To add a library, add its file names in names_*.go, and to singleThread how to make
// it use a single thread.
package blaslib

import (
	"fmt"
	"os"
	"sync"

	"gonum.org/v1/gonum/blas/blas32"
)

// Env is the environment variable that chooses the library: "gonum" for the one
// written in Go, or the path of a shared library. If it is unset or empty, the best
// one that is found is used.
const Env = "CALDERA_BLAS"

// Library describes the BLAS library that blas32 calls.
type Library struct {
	Name   string // for people: "OpenBLAS 0.3.21 (SkylakeX)" or "gonum"
	Native bool   // machine code of the system rather than gonum
	Advice string // what to install where no library was found that could be; else empty
}

// Load finds a library and makes blas32 use it, at the first call in a process. The
// library runs each call on the caller's thread, and calls may overlap. It returns an
// error if Env names a library that cannot be used.
func Load() (Library, error) { return load() }

var load = sync.OnceValues(func() (Library, error) {
	gonum := Library{Name: "gonum"}
	asked := os.Getenv(Env)
	if asked == "gonum" {
		return gonum, nil
	}
	candidates := names
	if asked != "" {
		candidates = []string{asked}
	}
	var last error
	for _, path := range candidates {
		impl, name, err := open(path)
		if err != nil {
			last = fmt.Errorf("%s=%s: %w; unset it, or set it to gonum", Env, path, err)
			continue
		}
		blas32.Use(impl)
		return Library{Name: name, Native: true}, nil
	}
	if asked != "" {
		return Library{}, last
	}
	gonum.Advice = advice
	return gonum, nil
})
