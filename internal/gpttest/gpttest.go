// Package gpttest is what tests of the packages below gpt share: backends that count
// and fail, checkpoints that a test changes, and scores.
package gpttest

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
)

// Load loads the model in dir, with matrices as d, until the test ends.
func Load(t *testing.T, b backend.Backend, dir string, d backend.DType) *model.Model {
	t.Helper()
	m, err := gpt.Load(t.Context(), b, dir, gpt.LoadOptions{DType: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// Logits loads a checkpoint and returns the scores after a few tokens.
func Logits(t *testing.T, b backend.Backend, dir string, o gpt.LoadOptions) []float32 {
	t.Helper()
	m, err := gpt.Load(t.Context(), b, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return Feed(t, m, 3, 1, 4, 1, 5)
}

// GPT2 is the network of a model of that family.
func GPT2(m *model.Model) *model.GPT2 { return m.Network.(*model.GPT2) }

// Feed returns the scores after ids in a session of their own, whose keys and values are f32
// whatever the weights are: what differs is the weights' doing.
func Feed(t *testing.T, m *model.Model, ids ...int) []float32 {
	t.Helper()
	s, err := gpt.NewSession(m, gpt.SessionOptions{Cache: backend.F32})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	logits, err := s.Feed(context.Background(), ids...)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(logits)
}

// NewSession is a session of m with room for size tokens.
func NewSession(t *testing.T, m *model.Model, size int) *gpt.Session {
	t.Helper()
	s, err := gpt.NewSession(m, gpt.SessionOptions{Context: size})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// WantError fails unless err's text has every one of the parts, in one line.
func WantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, expected one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q is more than a line", err)
	}
}

// Compact copies a window into a tensor of its own.
func Compact(t *testing.T, b backend.Backend, x backend.Tensor) backend.Tensor {
	t.Helper()
	dst, err := backend.New(b, x.DType, x.Shape[:]...)
	if err == nil {
		err = backend.Run(b, &backend.Copy{Dst: dst, X: x})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dst.Buf.Free)
	return dst
}

// Floats reads a contiguous tensor.
func Floats(t *testing.T, b backend.Backend, x backend.Tensor) []float32 {
	t.Helper()
	out := make([]float32, x.Len())
	if err := backend.GetF32(b, x, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// CheckNear reports got further from want than tolerance, relative to its norm.
func CheckNear(t *testing.T, name string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, expected %d", name, len(got), len(want))
		return
	}
	var diff, norm float64
	for i := range want {
		d := float64(got[i]) - float64(want[i])
		diff += d * d
		norm += float64(want[i]) * float64(want[i])
	}
	if r := math.Sqrt(diff / norm); !(r <= tolerance) {
		t.Errorf("%s: relative error %.2g, at most %.2g allowed", name, r, tolerance)
	}
}
