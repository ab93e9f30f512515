package gpt_test

import (
	"fmt"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/gpt"
	"caldera/gpt/model"
)

// compiles is a backend that compiles and records, which computes nothing.
type compiles struct {
	*null.Backend
	beside   bool
	ahead    map[string]bool // what Compile was told of
	copied   int             // bytes that were allocated before that
	missing  []string        // what was recorded that it was not told of
	recorded int
}

func (c *compiles) Beside() bool { return c.beside }

func (c *compiles) Compile(ops ...backend.Op) {
	if c.ahead == nil {
		c.ahead, c.copied = map[string]bool{}, int(c.Allocated())
	}
	for _, op := range ops {
		c.ahead[signature(op)] = true
	}
}

func (c *compiles) Record(ops ...backend.Op) (backend.Program, error) {
	c.recorded++
	for _, op := range ops {
		if s := signature(op); !c.ahead[s] {
			c.missing = append(c.missing, s)
		}
	}
	return nothing{}, nil
}

type nothing struct{}

func (nothing) Run() error   { return nil }
func (nothing) Close() error { return nil }

// signature is all of an op that kernels are chosen by.
func signature(op backend.Op) string {
	s := backend.Label(op)
	op.Operands(func(name string, t *backend.Tensor, _ backend.Access) {
		s += fmt.Sprintf(" %s %v %v %v", name, t.DType, t.Shape, t.Strides)
	})
	return s
}

// TestCompiledAhead: before weights are copied, a backend is told of all that is going to
// run, whether it is a session, an evaluator or a batch, and draws tokens or not.
func TestCompiledAhead(t *testing.T) {
	config := model.Config{Family: "gpt2", Layers: 2, Heads: 2, Width: 64, Inner: 256, Context: 700, Vocab: 500, Epsilon: 1e-5, TieEmbeddings: true}
	session := func(m *model.Model, u gpt.Use) error {
		s, err := gpt.NewSession(m, gpt.SessionOptions{Context: u.Context, Cache: u.Cache})
		if err != nil {
			return err
		}
		defer s.Close()
		for _, err := range s.Generate(t.Context(), make([]int, u.Feeds[0]), gpt.Options{Predict: 4, IgnoreEOS: true}) {
			if err != nil { // it draws nothing: the scores are 0
				return nil
			}
		}
		return nil
	}
	guesses := func(m *model.Model, u gpt.Use) error {
		s, err := gpt.NewSession(m, gpt.SessionOptions{})
		if err != nil {
			return err
		}
		defer s.Close()
		tokens, err := collect(s.Generate(t.Context(), make([]int, u.Feeds[0]), gpt.Options{Predict: 60, IgnoreEOS: true, Drafter: &gpt.NGrams{}, Guesses: u.Guesses}))
		if counts := s.Drafted(); err == nil && (len(tokens) != 60 || counts.Right != counts.Guesses || counts.Steps > 60/u.Guesses+5) {
			t.Errorf("%d tokens, %+v, expected 60, of zeros as all scores are", len(tokens), counts)
		}
		return err
	}
	evaluator := func(m *model.Model, u gpt.Use) error {
		e, err := gpt.NewEvaluator(m, *u.Evaluate)
		if err == nil {
			e.Close()
		}
		return err
	}
	batch := func(m *model.Model, u gpt.Use) error {
		b := newBatch(t, m, *u.Batch)
		defer b.Close()
		admit(t, b, make([]int, u.Feeds[0]), gpt.Options{Predict: 3, IgnoreEOS: true})
		_, err := b.Step(t.Context())
		return err
	}
	forks := func(m *model.Model, u gpt.Use) error {
		b := newBatch(t, m, *u.Batch)
		defer b.Close()
		first := admit(t, b, make([]int, u.Feeds[0]), gpt.Options{Predict: 3, IgnoreEOS: true})
		fork(t, first, gpt.Options{Predict: 3, IgnoreEOS: true})
		_, err := b.Step(t.Context())
		return err
	}
	for _, c := range []struct {
		name   string
		use    gpt.Use
		beside bool
		do     func(*model.Model, gpt.Use) error
	}{
		{"session", gpt.Use{Feeds: []int{5, 1}}, false, session},
		{"session in two chunks", gpt.Use{Context: 600, Feeds: []int{530, 1}, Cache: backend.F16}, false, session},
		{"session that draws", gpt.Use{Feeds: []int{5, 1}}, true, session},
		{"session in two chunks that draws", gpt.Use{Feeds: []int{530, 1}}, true, session},
		{"session with guesses", gpt.Use{Feeds: []int{5, 1}, Guesses: gpt.MaxGuesses}, true, guesses},
		{"session with few guesses", gpt.Use{Feeds: []int{5, 1}, Guesses: 4}, true, guesses},
		{"evaluator", gpt.Use{Evaluate: &gpt.EvaluatorOptions{Window: 40}}, false, evaluator},
		{"batch", gpt.Use{Batch: &gpt.BatchOptions{Sequences: 4}, Feeds: []int{40}}, false, batch},
		{"batch that forks", gpt.Use{Batch: &gpt.BatchOptions{Sequences: 2}, Feeds: []int{40}, Forks: true}, true, forks},
		{"batch that draws", gpt.Use{Batch: &gpt.BatchOptions{Sequences: 1}, Feeds: []int{40}}, true, batch},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.use.Compile = true
			b := &compiles{Backend: &null.Backend{}, beside: c.beside}
			m, err := gpt.Random(t.Context(), b, config, gpt.LoadOptions{DType: backend.F16, For: &c.use}, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if len(b.ahead) == 0 || b.copied != 0 || b.recorded != 0 {
				t.Fatalf("%d ops were told, after %d bytes and %d programs", len(b.ahead), b.copied, b.recorded)
			}
			if err := c.do(m, c.use); err != nil {
				t.Fatal(err)
			}
			if b.recorded == 0 || len(b.missing) > 0 {
				t.Errorf("of %d programs these ops come as news: %q", b.recorded, slices.Compact(b.missing))
			}
		})
	}
}

// TestNothingCompiledAhead: not for a model that does not fit, nor where nobody asks for it.
func TestNothingCompiledAhead(t *testing.T) {
	config := model.Config{Family: "gpt2", Layers: 1, Heads: 1, Width: 64, Inner: 64, Context: 64, Vocab: 500, Epsilon: 1e-5}
	for _, o := range []gpt.LoadOptions{{}, {For: &gpt.Use{Feeds: []int{1}}}, {For: &gpt.Use{Feeds: []int{1}, Beside: 1 << 40, Compile: true}}} {
		b := &compiles{Backend: &null.Backend{Limit: 1 << 30}}
		m, err := gpt.Random(t.Context(), b, config, o, 1)
		if (err != nil) != (o.For != nil && o.For.Compile) || len(b.ahead) > 0 {
			t.Errorf("%+v: %d ops are compiled (%v)", o.For, len(b.ahead), err)
		}
		if err == nil {
			m.Close()
		}
	}
}
