//go:build (linux || darwin) && (amd64 || arm64)

package blaslib

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/cpu"
	"gonum.org/v1/gonum/blas"
)

// open loads a library and checks that its products are right.
func open(path string) (blas.Float32, string, error) {
	for name, value := range environment() {
		if _, set := os.LookupEnv(name); !set {
			os.Setenv(name, value)
			defer os.Unsetenv(name)
		}
	}
	runtime.LockOSThread() // the reason of an error is kept for the thread that got it
	defer runtime.UnlockOSThread()
	// RTLD_LOCAL: the process may have another BLAS too (of a cgo program), whose
	// symbols must not be mixed with this one's.
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, "", err
	}
	lib := new(library)
	for symbol, fn := range map[string]*uintptr{"sgemm_": &lib.sgemm, "sgemv_": &lib.sgemv} {
		if *fn, err = purego.Dlsym(handle, symbol); err != nil {
			return nil, "", fmt.Errorf("it has no %s: %w", symbol, err)
		}
	}
	name, err := singleThread(handle, path)
	if err != nil {
		return nil, "", err
	}
	return lib, name, selfTest(lib)
}

// environment sets variables that libraries read while they are loaded.
func environment() map[string]string {
	env := map[string]string{
		"OPENBLAS_NUM_THREADS":   "1", // it would start a thread for each core only to let them wait
		"VECLIB_MAXIMUM_THREADS": "1", // Accelerate before macOS 15
	}
	// OpenBLAS chooses kernels by the CPU's model number. For a CPU that is newer than
	// the library it uses those of a Prescott (2004), which are 5 times slower. So
	// choose by the CPU's features here.
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL:
		env["OPENBLAS_CORETYPE"] = "SkylakeX"
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA:
		env["OPENBLAS_CORETYPE"] = "Haswell"
	}
	return env
}

// singleThread makes the library use only the caller's thread, and returns its name
// and version. Threads of the library would compete with those of the caller.
func singleThread(handle uintptr, path string) (name string, err error) {
	if fn, err := purego.Dlsym(handle, "openblas_set_num_threads"); err == nil {
		purego.SyscallN(fn, 1)
		var config, core func() string
		if register(&config, handle, "openblas_get_config") && register(&core, handle, "openblas_get_corename") {
			if f := strings.Fields(config()); len(f) > 1 { // "OpenBLAS 0.3.21 NO_LAPACK …"
				return fmt.Sprintf("%s %s (%s)", f[0], f[1], core()), nil
			}
		}
		return "OpenBLAS", nil
	}
	if fn, err := purego.Dlsym(handle, "MKL_Set_Num_Threads"); err == nil {
		purego.SyscallN(fn, 1)
		return "Intel MKL", nil
	}
	if fn, err := purego.Dlsym(handle, "bli_thread_set_num_threads"); err == nil {
		purego.SyscallN(fn, 1)
		return "BLIS", nil
	}
	if filepath.Base(path) == "Accelerate" {
		if fn, err := purego.Dlsym(handle, "BLASSetThreading"); err == nil { // macOS 15 and later
			purego.SyscallN(fn, 1) // BLAS_THREADING_SINGLE_THREADED
		}
		return "Apple Accelerate", nil
	}
	return "", errors.New("it is not OpenBLAS, MKL, BLIS or Accelerate")
}

func register(fn any, handle uintptr, symbol string) bool {
	address, err := purego.Dlsym(handle, symbol)
	if err == nil {
		purego.RegisterFunc(fn, address)
	}
	return err == nil
}

// selfTest multiplies small matrices, transposed or not, in every combination. A
// library with another calling convention fails it and is refused.
func selfTest(lib *library) error {
	const m, n, k = 5, 7, 3
	a := func(i, p int) float32 { return float32(i - 2*p) }
	b := func(p, j int) float32 { return float32(3*p - j) }
	for _, tA := range []blas.Transpose{blas.NoTrans, blas.Trans} {
		for _, tB := range []blas.Transpose{blas.NoTrans, blas.Trans} {
			A, lda := fill(tA, m, k, a)
			B, ldb := fill(tB, k, n, b)
			C, ldc := fill(blas.NoTrans, m, n, func(int, int) float32 { return 1 })
			y := make([]float32, m) // A · column 4 of B
			x := make([]float32, k)
			for p := range x {
				x[p] = b(p, 4)
			}
			lib.Sgemm(tA, tB, m, n, k, 1, A, lda, B, ldb, 2, C, ldc)
			rows, cols := m, k
			if tA == blas.Trans {
				rows, cols = k, m
			}
			lib.Sgemv(tA, rows, cols, 1, A, lda, x, 1, 0, y, 1)
			for i := range m {
				for j := range n {
					want := float32(2)
					for p := range k {
						want += a(i, p) * b(p, j)
					}
					if got := C[i*ldc+j]; math.Abs(float64(got-want)) > 1e-4 {
						return fmt.Errorf("sgemm fails its self-test: got %v, want %v", got, want)
					}
					if got := y[i] + 2; j == 4 && math.Abs(float64(got-want)) > 1e-4 {
						return fmt.Errorf("sgemv fails its self-test: got %v, want %v", got, want)
					}
				}
			}
		}
	}
	return nil
}

// fill makes a rows×cols matrix, or its transpose, with two elements of padding
// between rows.
func fill(t blas.Transpose, rows, cols int, at func(i, j int) float32) ([]float32, int) {
	if t == blas.Trans {
		whole := at
		at, rows, cols = func(i, j int) float32 { return whole(j, i) }, cols, rows
	}
	stride := cols + 2
	data := make([]float32, rows*stride)
	for i := range rows {
		for j := range cols {
			data[i*stride+j] = at(i, j)
		}
	}
	return data, stride
}
