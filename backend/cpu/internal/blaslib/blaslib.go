// Package blaslib chooses what multiplies matrices of float32, and makes gonum's blas32 use
// it: package gemm, or a BLAS library of the machine, which are OpenBLAS, Intel's MKL, BLIS
// and Apple's Accelerate. A library is loaded at run time, so nothing is needed to build.
//
// The rule: package gemm, where its kernels use AVX-512, AVX2 or NEON. On macOS Accelerate
// comes first, whose matrix units it cannot reach; on older processors a library, if there is one. On
// an AMD EPYC (Zen 5) package gemm was 1.7 to 2 times as fast as OpenBLAS 0.3.21, which takes
// AVX2 there. Neither Accelerate nor NEON has been measured.
//
// To add a library, add its file names in names_*.go, and to singleThread how to make
// it use a single thread.
package blaslib

import (
	"fmt"
	"os"
	"runtime"
	"sync"

	"gonum.org/v1/gonum/blas/blas32"

	"caldera/backend/cpu/internal/gemm"
)

// Env is the environment variable that chooses: "caldera" for package gemm, "gonum" for
// gonum's products in Go, or the path of a shared library. If it is unset or empty, the
// rule does.
const Env = "CALDERA_BLAS"

// Library describes what blas32 calls.
type Library struct {
	Name   string // for people: "OpenBLAS 0.3.21 (SkylakeX)", "AVX-512", "gonum"
	Own    bool   // package gemm
	Advice string // what to install where no library was found that would be faster; else empty
}

var ownAlone bool

// UseOwn is Load for package gemm alone, whatever libraries there are. It is called before Load. It returns
// an error if Env or an earlier call of Load chose otherwise.
func UseOwn() error {
	ownAlone = true
	lib, err := Load()
	if err == nil && !lib.Own {
		err = fmt.Errorf("%s multiplies matrices already; unset %s, or set it to caldera", lib.Name, Env)
	}
	return err
}

// Load makes blas32 use what was chosen, at the first call in a process. Each call runs
// on the caller's thread, and calls may overlap. It returns an error if Env names a
// library that cannot be used.
func Load() (Library, error) { return load() }

var load = sync.OnceValues(func() (Library, error) {
	own := Library{Name: gemm.Name(), Own: true}
	asked := os.Getenv(Env)
	candidates := names
	switch {
	case asked == "gonum":
		return Library{Name: "gonum"}, nil
	case asked == "caldera", asked == "" && (ownAlone || gemm.Fast() && runtime.GOOS != "darwin"):
		blas32.Use(gemm.BLAS{})
		return own, nil
	case asked != "":
		candidates = []string{asked}
	}
	var last error
	for _, path := range candidates {
		impl, name, err := open(path)
		if err != nil {
			last = fmt.Errorf("%s=%s: %w; unset it, or set it to caldera", Env, path, err)
			continue
		}
		blas32.Use(impl)
		return Library{Name: name}, nil
	}
	if asked != "" {
		return Library{}, last
	}
	blas32.Use(gemm.BLAS{})
	if !gemm.Fast() {
		own.Advice = advice
	}
	return own, nil
})
