package bench

import (
	"errors"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
)

// TestTooLittleMemory refuses, before anything is loaded, what would not fit
// together with what the command does with it, and advises what it can be told.
func TestTooLittleMemory(t *testing.T) {
	config := tiny
	config.Context = 1024
	model := Random("tiny", config)
	p := &played{hostOp: 10, total: 1 << 40}
	d := playedDevice(p)
	tests := []Test{{Prompt: 1024}, {Gen: 4}}
	o := quiet(1)
	ids := randomIDs(Test{Prompt: 1024}, config.Vocab)
	refused := func(free int64, measure func() error) *gpt.MemoryError {
		t.Helper()
		p.free = free
		err := measure()
		var e *gpt.MemoryError
		if !errors.As(err, &e) || !errors.Is(err, backend.ErrOutOfMemory) || p.most > 0 {
			t.Fatalf("with %d bytes free: %d were taken, %v", free, p.most, err)
		}
		return e
	}
	measure := func() error { _, err := d.Measure(t.Context(), model, tests, o); return err }
	profile := func() error { _, err := d.Profile(t.Context(), model, tests, o); return err }
	perplexity := func() error {
		_, err := d.Perplexity(t.Context(), model, ids, PerplexityOptions{Options: Options{Progress: noProgress}})
		return err
	}

	need := refused(1, measure).Need
	if want := int64(4 * d.sizes.read[0] * d.sizes.read[1]); need.Beside != want || need.Cache != 4*2*1024*2*16 {
		t.Errorf("%+v: expected a yardstick of %d bytes, and keys and values of 1024 positions", need, want)
	}
	e := refused(need.Total()-1, measure)
	if e.Context != 0 || e.Cache != backend.F16 || e.DType != backend.F16 {
		t.Errorf("a byte too little, where no context can be asked for: %+v", e)
	}
	p.free = need.Total()
	if err := measure(); err != nil {
		t.Errorf("what just fits: %v", err)
	}
	p.most = 0
	o.Cache = backend.F16
	if half := refused(1, measure).Need; half.Cache != need.Cache/2 {
		t.Errorf("keys and values of f16 need %d bytes, those of f32 %d", half.Cache, need.Cache)
	}
	if n := refused(1, profile).Need; n.Beside != 0 || n.Cache != need.Cache/2 {
		t.Errorf("a profile needs %+v", n)
	}
	e = refused(refused(1, perplexity).Need.Total()-need.Cache/2, perplexity)
	if e.Need.Cache != need.Cache || e.Context != 512 || !strings.Contains(e.Error(), "it would fit with a context of ") {
		t.Errorf("perplexity, which can be told: %+v", e)
	}
	if u := use([]Test{{Prompt: 512}, {Gen: 128, Depth: 500}}, backend.F16); u.Context != 628 {
		t.Errorf("a context of %d tokens for 512, and for 128 behind 500", u.Context)
	}
	p.free = 0 // unknown
	if err := measure(); err != nil {
		t.Errorf("memory that is not known: %v", err)
	}
}

// rounds is a backend that rounds by itself what weights that are not f32 are multiplied with: to
// f16, as one with matrix units; to blocks, as a CPU with instructions for integers; or, as F32, not at all.
type rounds struct {
	backend.Backend
	to backend.DType
}

func (r rounds) Rounding(w backend.DType) backend.DType {
	if w == backend.F32 || r.to == backend.Q8_A && !w.Quantized() {
		return backend.F32
	}
	return r.to
}

// TestDTypes: a run whose products round x otherwise than the device does by itself has another dtype in results.
func TestDTypes(t *testing.T) {
	config := tiny
	config.Width, config.Inner = 32, 128
	cpu := openCPU(t).b.Backend
	plain, units, integers := rounds{cpu, backend.F32}, rounds{cpu, backend.F16}, rounds{cpu, backend.Q8_A}
	for _, c := range []struct {
		b              backend.Backend
		w, activations backend.DType
		want           string
	}{
		{plain, backend.F16, backend.None, "f16"}, {plain, backend.F16, backend.F32, "f16"}, {plain, backend.F16, backend.F16, "f16*f16"},
		{plain, backend.F16, backend.Q8_A, "f16"}, {plain, backend.F32, backend.F16, "f32"}, {plain, backend.Q8_0, backend.F16, "q8_0*f16"},
		{plain, backend.Q8_0, backend.Q8_A, "q8_0*q8_a"}, {units, backend.F16, backend.None, "f16"}, {units, backend.F16, backend.F16, "f16"},
		{units, backend.F16, backend.F32, "f16*f32"}, {units, backend.F16, backend.Q8_A, "f16*f32"}, {units, backend.F32, backend.F16, "f32"},
		{units, backend.Q8_0, backend.Q8_A, "q8_0*q8_a"}, {integers, backend.Q8_0, backend.None, "q8_0"}, {integers, backend.Q8_0, backend.Q8_A, "q8_0"},
		{integers, backend.Q8_0, backend.F32, "q8_0*f32"}, {integers, backend.Q8_0, backend.F16, "q8_0*f16"}, {integers, backend.F16, backend.None, "f16"},
	} {
		m, err := gpt.Random(t.Context(), c.b, config.Complete(), gpt.LoadOptions{DType: c.w, Activations: c.activations}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := dtypes(m, backend.None); got != c.want {
			t.Errorf("matrices of %v with activations %v: the dtype is %q, expected %q", c.w, c.activations, got, c.want)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}
