package cpu_test

import (
	"runtime"
	"testing"

	"caldera/backend"
	"caldera/backend/cpu"
	"caldera/backend/cpu/internal/isa"
	"caldera/backend/cpu/internal/qgemm"
	"caldera/conformance"
)

func open(tb testing.TB) backend.Backend {
	b, err := cpu.Open()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestConformance(t *testing.T) { conformance.Test(t, open) }

// TestIntegers is the part of the suite in which integers are multiplied, with each instruction
// set that TestConformance does not use.
func TestIntegers(t *testing.T) {
	used := qgemm.Set()
	defer qgemm.Use(used)
	for _, name := range qgemm.Sets() {
		if name != used {
			qgemm.Use(name)
			t.Run(name, func(t *testing.T) {
				conformance.TestGroups(t, open, "linear/x=q8_a", "expert_linear/x=q8_a", "copy/dst=q8_a", "model/decode equals prefill,w=q8_0,x=q8_a")
			})
		}
	}
}

// TestRounding asks which activations each instruction set multiplies fastest with: never blocks of weights that
// are not quantised, or in Go.
func TestRounding(t *testing.T) {
	used := qgemm.Set()
	defer qgemm.Use(used)
	b := open(t)
	defer b.Close()
	for _, name := range qgemm.Sets() {
		qgemm.Use(name)
		for _, w := range backend.DTypes(backend.Weights) {
			want := backend.F32
			large := w == backend.Q8_0 || w == backend.IQ4_NL || w == backend.IQ4_XS // bytes
			packed := runtime.GOARCH == "amd64" || w == backend.Q8_0 || w == backend.Q4_0
			if w.Quantized() && name != "go" && packed && (!large || name != "avx2" || !isa.AVX512) {
				want = backend.Q8_A
			}
			if got := backend.Rounding(b, w); got != want {
				t.Errorf("%s: weights of %v are multiplied with %v, expected %v", name, w, got, want)
			}
		}
	}
}

// TestLong tries random cases for as long as CALDERA_LONG says, as `make test-long` does.
func TestLong(t *testing.T) { conformance.Long(t, open) }
