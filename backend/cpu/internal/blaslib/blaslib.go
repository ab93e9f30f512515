// Package blaslib lets gonum's blas32 multiply matrices with the BLAS library
// that the machine has: OpenBLAS, Intel's MKL, BLIS or Apple's Accelerate. The
// library is found at run time, so nothing is needed to build.
//
// To add a library: its file names in names_*.go, and how it is told to use a
// single thread in singleThread.
package blaslib

import (
	"fmt"
	"os"
	"sync"

	"gonum.org/v1/gonum/blas/blas32"
)

// Env is the environment variable that chooses: "gonum" for the library
// written in Go, or the path of a shared library. Unset or empty takes the
// best that is found.
const Env = "CALDERA_BLAS"

// Library is a BLAS that blas32 calls.
type Library struct {
	Name   string // for people: "OpenBLAS 0.3.21 (SkylakeX)" or "gonum"
	Native bool   // machine code of the system rather than gonum
	Advice string // what to install where no library was found that could be; else empty
}

// Load finds a library, once a process, and has blas32 use it. The library
// runs each call on the thread that makes it; calls may overlap. It is an
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
