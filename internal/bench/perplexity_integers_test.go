package bench

import (
	"math"
	"os"
	"testing"

	"caldera/backend"
	"caldera/internal/bench/result"
)

// TestPerplexityOfIntegers reads a chapter of a novel with the embedded model: with activations in blocks of 8 bits,
// as the CPU multiplies them, its perplexity is within 0.1 % of that with exact products.
func TestPerplexityOfIntegers(t *testing.T) {
	m, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../inspect/passage.txt")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tokens.Encode(string(text))
	if err != nil {
		t.Fatal(err)
	}
	d := cpuDevice(t)
	read := func(o Options, windows int) *result.PerplexityResult {
		o.Progress = noProgress
		r, err := d.Perplexity(t.Context(), m, ids, PerplexityOptions{Options: o, Windows: windows})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: perplexity %.4f over %d tokens", r.DType, r.Perplexity, r.Tokens)
		return r
	}
	for _, w := range backend.QuantizedDTypes() {
		exact := read(Options{DType: w, Activations: backend.F32}, 0)
		rounded := read(Options{DType: w, Activations: backend.Q8_A}, 0)
		if far := math.Abs(rounded.Perplexity/exact.Perplexity - 1); far == 0 || far > 1e-3 {
			t.Errorf("%v: perplexity %v with activations in blocks and %v without, expected a little less or more, up to 0.1 %%", w, rounded.Perplexity, exact.Perplexity)
		}
		if usual := read(Options{DType: w}, 1); backend.MultipliesIntegers(d.b) != (usual.DType == rounded.DType) {
			t.Errorf("%v: without an option it is multiplied as %s", w, usual.DType)
		}
	}
}
