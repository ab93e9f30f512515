package gpt_test

import (
	"errors"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// crowded is a backend that has little memory left.
type crowded struct {
	*gpttest.Account
	free, total int64
}

func (f *crowded) Memory() (used, free, total int64) { return 0, f.free, f.total }

// TestLoadTooLarge refuses a checkpoint before anything of it is copied.
func TestLoadTooLarge(t *testing.T) {
	b := &crowded{gpttest.OpenCPU(t), 100 << 10, 2 << 30}
	// As f16 nothing but the vectors can be used where it lies.
	_, err := gpt.Load(t.Context(), gpttest.DeviceOf(b), "testdata/gpt2-tiny", gpt.LoadOptions{DType: backend.F16})
	if err != nil {
		t.Errorf("a backend that does not tell its memory: %v", err)
	}
	before := b.Allocated
	_, err = gpt.Load(t.Context(), b, "testdata/gpt2-tiny", gpt.LoadOptions{DType: backend.F16})
	gpttest.WantError(t, err, "model.safetensors: out of memory: the weights need 0.3 MiB on cpu, where 0.1 MiB of 2.0 GiB are free: it would fit with weights as q4_0")
	if !errors.Is(err, backend.ErrOutOfMemory) || b.Allocated != before {
		t.Errorf("%d bytes were allocated (%v)", b.Allocated-before, err)
	}
	_, err = gpt.Load(t.Context(), b, "testdata/gpt2-tiny", gpt.LoadOptions{Train: true})
	gpttest.WantError(t, err, "out of memory", "training keeps them, their gradients and two means of those as f32: choose a smaller model")
	if m, err := gpt.Load(t.Context(), b, "testdata/gpt2-tiny", gpt.LoadOptions{}); err != nil {
		t.Errorf("weights that are used where they lie need no memory: %v", err)
	} else {
		m.Close()
	}
	// But of a file that is larger than memory the pages would be read anew for each token.
	small := &crowded{gpttest.OpenCPU(t), 200 << 10, 250 << 10}
	before = small.Allocated
	_, err = gpt.Load(t.Context(), small, "testdata/gpt2-tiny", gpt.LoadOptions{})
	gpttest.WantError(t, err, "model.safetensors: out of memory: the weights need 0.6 MiB on cpu, where 0.2 MiB of 0.2 MiB are free: it would fit with weights as ")
	if small.Allocated != before {
		t.Errorf("%d bytes were allocated (%v)", small.Allocated-before, err)
	}
}

// TestDemand holds what is worked out to what is then taken, to the byte: the
// figures are those of a backend that is told to have no memory, and of the same
// one as it loads the model and reads a text.
func TestDemand(t *testing.T) {
	config := model.Config{Family: "gpt2", Layers: 3, Heads: 2, Width: 64, Inner: 256, Context: 700, Vocab: 500, Epsilon: 1e-5, TieEmbeddings: true}
	session := func(m *model.Model, u gpt.Use) {
		s, err := gpt.NewSession(m, gpt.SessionOptions{Context: u.Context, Cache: u.Cache})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, n := range u.Feeds {
			s.Reset()
			if _, err := s.Feed(t.Context(), make([]int, n)...); err != nil {
				t.Fatal(err)
			}
		}
	}
	evaluator := func(m *model.Model, u gpt.Use) {
		e, err := gpt.NewEvaluator(m, *u.Evaluate)
		if err != nil {
			t.Fatal(err)
		}
		e.Close()
	}
	batch := func(m *model.Model, u gpt.Use) {
		b := newBatch(t, m, *u.Batch)
		defer b.Close()
		for _, n := range u.Feeds { // nobody waits
			admit(t, b, make([]int, n), gpt.Options{Predict: 3, IgnoreEOS: true})
			step(t, b)
		}
		if u.Forks {
			fork(t, b.Live()[0], gpt.Options{Predict: 2, IgnoreEOS: true})
		}
		for len(b.Live()) < u.Batch.Sequences {
			admit(t, b, []int{1}, gpt.Options{Predict: 2, IgnoreEOS: true})
		}
		collectAll(t, b)
	}
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		for _, c := range []struct {
			dtype backend.DType
			use   gpt.Use
			run   func(*model.Model, gpt.Use)
		}{
			{backend.F32, gpt.Use{Feeds: []int{1}}, session},
			{backend.F16, gpt.Use{Context: 100, Cache: backend.F16, Feeds: []int{7, 1, 8, 100}}, session},
			{backend.Q8_0, gpt.Use{Feeds: []int{650}}, session}, // 512 of them, then 128 that are padded
			{backend.Q4_0, gpt.Use{Evaluate: &gpt.EvaluatorOptions{Window: 600}}, evaluator},
			{backend.F32, gpt.Use{Cache: backend.F16, Evaluate: &gpt.EvaluatorOptions{Window: 10, Cache: backend.F16, Rows: 3}}, evaluator}, // of 51 texts
			{backend.F32, gpt.Use{Cache: backend.F16, Batch: &gpt.BatchOptions{Sequences: 5, Context: 300, Cache: backend.F16}}, batch},
			{backend.Q8_0, gpt.Use{Batch: &gpt.BatchOptions{Sequences: 2, Blocks: 7, Block: 32}}, batch},
			{backend.F16, gpt.Use{Batch: &gpt.BatchOptions{Sequences: 1}}, batch},
			{backend.F32, gpt.Use{Batch: &gpt.BatchOptions{Sequences: 1}, Feeds: []int{200}}, batch}, // 256 with padding
			{backend.F16, gpt.Use{Batch: &gpt.BatchOptions{Sequences: 3, Context: 300}, Feeds: []int{250}}, batch},
			{backend.F16, gpt.Use{Batch: &gpt.BatchOptions{Sequences: 3, Context: 300}, Feeds: []int{250}, Forks: true}, batch},
		} {
			a := gpttest.AccountOf(b)
			o := gpt.LoadOptions{DType: c.dtype, For: &c.use}
			_, err := gpt.Random(t.Context(), &crowded{a, 1, 1 << 40}, config, o, 1)
			var e *gpt.MemoryError
			if !errors.As(err, &e) || a.Allocated != 0 || len(a.Mapped) != 0 {
				t.Fatalf("%d bytes were taken: %v", a.Allocated, err)
			}
			m, err := gpt.Random(t.Context(), a, config, o, 1)
			if err != nil {
				t.Fatal(err)
			}
			weights := a.Allocated
			for _, p := range a.Mapped { // made for the model
				weights += p
			}
			before := a.Allocated
			c.run(m, c.use)
			if used := a.Allocated - before; e.Need.Weights != int64(weights) || e.Need.Cache+e.Need.Workspace != int64(used) {
				t.Errorf("%v, %+v: %+v was worked out, %d bytes of weights and %d beside them were taken", c.dtype, c.use, e.Need, weights, used)
			}
			cache := c.use.Cache
			switch {
			case cache == backend.None && c.dtype == backend.F32:
				cache = backend.F32
			case cache == backend.None:
				cache = backend.F16
			}
			perPosition := 2 * int64(config.Layers*config.Width*cache.Bytes(1))
			size := c.use.Context
			if size == 0 {
				size = config.Context
			}
			if o := c.use.Batch; o != nil && o.Sequences > 1 {
				size = map[int]int{5: 5 * 5 * 64, 3: 3 * 5 * 64, 2: 7 * 32}[o.Sequences]
			}
			if o := c.use.Evaluate; o != nil {
				size = map[int]int{600: 600, 10: 51 * 10}[o.Window]
			}
			if e.Need.Cache != perPosition*int64(size) {
				t.Errorf("a cache of %d bytes, expected %d a position of %d", e.Need.Cache, perPosition, size)
			}
			m.Close()
		}
	})
}

// TestAdvice takes each piece of advice: the model then fits, and nothing less
// would have done.
func TestAdvice(t *testing.T) {
	config := model.Config{Family: "gpt2", Layers: 2, Heads: 2, Width: 64, Inner: 256, Context: 1024, Vocab: 8000, Epsilon: 1e-5, TieEmbeddings: true}
	load := func(free int64, d backend.DType, u gpt.Use) *gpt.MemoryError {
		t.Helper()
		b := &crowded{gpttest.OpenCPU(t), free, 1 << 40}
		m, err := gpt.Random(t.Context(), reporting{gpttest.DeviceOf(b), b}, config, gpt.LoadOptions{DType: d, For: &u}, 1)
		if err == nil {
			m.Close()
			return nil
		}
		var e *gpt.MemoryError
		if !errors.As(err, &e) || !errors.Is(err, backend.ErrOutOfMemory) || b.Allocated != 0 {
			t.Fatalf("%v, %d bytes taken", err, b.Allocated)
		}
		return e
	}
	use := gpt.Use{Cache: backend.F32, Feeds: []int{30, 1}, Beside: 5000}
	need := load(1, backend.F32, use).Need
	if got := load(need.Total(), backend.F32, use); got != nil {
		t.Fatalf("what just fits is refused: %v", got)
	}

	e := load(need.Total()-1, backend.F32, use)
	if e.Context != 1023 || e.Cache != backend.F16 || e.DType != backend.F16 {
		t.Errorf("a byte too little: %+v", e)
	}
	gpttest.WantError(t, e, "random weights: out of memory: it needs 3.7 MiB (weights 2.6 MiB, ", "keys and values 1.0 MiB, workspace ", ", the rest 0.0 MiB) on cpu, where 3.7 MiB of 1024.0 GiB are free",
		"it would fit with a context of 1023, or with keys and values as f16, or with weights as f16")

	// With room for a part of the cache: as many positions as it says, and no more.
	free := need.Total() - need.Cache + need.Cache/3
	e = load(free, backend.F32, use)
	if e.Context != 341 || e.Cache != backend.None {
		t.Errorf("room for a third of the cache: %+v", e)
	}
	for n, fits := range map[int]bool{e.Context: true, e.Context + 1: false} {
		u := use
		u.Context = n
		if got := load(free, backend.F32, u); (got == nil) != fits {
			t.Errorf("a context of %d: %v", n, got)
		}
	}
	if e = load(need.Total()-need.Weights/2, backend.F32, use); e.DType != backend.Q8_0 {
		t.Errorf("room for half of the weights, of which the vectors stay f32: %+v", e)
	}
	for d, fits := range map[backend.DType]bool{backend.F16: false, backend.Q8_0: true} {
		if got := load(need.Total()-need.Weights/2, d, use); (got == nil) != fits {
			t.Errorf("as %v: %v", d, got)
		}
	}

	many := gpt.Use{Batch: &gpt.BatchOptions{Sequences: 10, Context: 256}}
	need = load(1, backend.F32, many).Need
	free = need.Total() - need.Cache/2
	if e = load(free, backend.F32, many); e.Sequences != 5 || e.Context != 0 || e.Cache != backend.F16 {
		t.Errorf("room for half of ten sequences: %+v", e)
	}
	gpttest.WantError(t, e, "it would fit with 5 sequences at once, or with keys and values as f16")
	if many.Batch.Sequences = e.Sequences; load(free, backend.F32, many) != nil {
		t.Error("as many sequences as were said to fit do not")
	}

	// A smaller window does not help where more of them are then read at once.
	short := gpt.Use{Evaluate: &gpt.EvaluatorOptions{Window: 256}}
	need = load(1, backend.F32, short).Need
	free = need.Total() - need.Cache/2
	if e = load(free, backend.F32, short); e.Context != 0 || e.Cache != backend.F16 {
		t.Errorf("room for half of two windows: %+v", e)
	}
	if short.Evaluate.Texts = 1; load(free, backend.F32, short) != nil {
		t.Error("one window does not fit where half of two do")
	}
	need = load(1, backend.F32, short).Need
	free = need.Total() - need.Cache/2
	if e = load(free, backend.F32, short); e == nil || e.Context != 128 {
		t.Fatalf("room for half of one window: %+v", e)
	}
	if short.Evaluate.Window = e.Context; load(free, backend.F32, short) != nil {
		t.Errorf("a window of %d does not fit, which was said to", e.Context)
	}

	// Of nothing that helps by itself nothing is said, nor of what is so already.
	small := gpt.Use{Cache: backend.F16, Feeds: []int{30, 1}}
	e = load(need.Weights/8, backend.Q4_0, small)
	if e == nil || e.Context != 0 || e.Cache != backend.None || e.DType != backend.None || !strings.Contains(e.Error(), "choose another device") {
		t.Errorf("nothing helps: %+v", e)
	}
	for _, unknown := range [][2]int64{{0, 0}, {0, 1 << 30}, {1, 0}} {
		b := &crowded{gpttest.OpenCPU(t), unknown[0], unknown[1]}
		m, err := gpt.Random(t.Context(), b, config, gpt.LoadOptions{For: &use}, 1)
		if err != nil {
			t.Errorf("%d of %d bytes free, which is not known: %v", unknown[0], unknown[1], err)
			continue
		}
		m.Close()
	}
}

// reporting is a device that tells of its memory.
type reporting struct {
	backend.Backend
	b *crowded
}

func (r reporting) Memory() (used, free, total int64) { return r.b.Memory() }
