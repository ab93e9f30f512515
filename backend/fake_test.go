package backend_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/backend"
	"caldera/backend/null"
)

// fake is a null backend that lacks some ops, and remembers what it ran.
type fake struct {
	null.Backend
	lacks []string // names or labels
	joins bool     // products with a norm, a rotation or a store
	ran   []backend.Op
}

func (f *fake) Supports(op backend.Op) bool {
	if l, ok := op.(*backend.Linear); ok && l.Joined() && !f.joins {
		return false
	}
	return !slices.Contains(f.lacks, op.Name()) && !slices.Contains(f.lacks, backend.Label(op))
}

func (f *fake) Run(ops ...backend.Op) error {
	f.ran = append(f.ran, ops...)
	return f.Backend.Run(ops...)
}

// sameOps compares lists of ops by what they say, buffers by identity.
var sameOps = cmp.Comparer(func(a, b backend.Buffer) bool { return a == b })

func names(ops []backend.Op) string {
	var s []string
	for _, op := range ops {
		s = append(s, backend.Label(op))
	}
	return strings.Join(s, " ")
}

// memory is a buffer of no backend, which every null one takes.
func memory(size int) backend.Buffer { return null.Tensor(backend.F32, (size+3)/4).Buf }

// slack is room behind each tensor of a test, so that one that is made larger
// fails for its shape and not for leaving its buffer.
const slack = 4096

func tensor(d backend.DType, dims ...int) backend.Tensor {
	t := backend.Of(nil, d, 0, dims...)
	t.Buf = memory(t.Size() + slack)
	return t
}

func f32(dims ...int) backend.Tensor { return tensor(backend.F32, dims...) }
func i32(dims ...int) backend.Tensor { return tensor(backend.I32, dims...) }
func places(n int) backend.Tensor    { return i32(2, n) }

// samples are ops of every kind that are right, with every optional operand.
func samples() []backend.Op {
	return []backend.Op{
		&backend.Add{Dst: f32(2, 3, 5), A: f32(2, 3, 5), B: f32(2, 3, 5)},
		&backend.AdamW{
			W: f32(3, 5), M: f32(3, 5), V: f32(3, 5), G: f32(3, 5), Step: f32(3), Scale: f32(1), Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8,
		},
		&backend.Argmax{Dst: i32(2, 3, 1), X: f32(2, 3, 5)},
		&backend.Attention{
			Dst: f32(2, 3, 8), Q: f32(2, 3, 8), K: f32(2, 7, 4), V: f32(2, 7, 4),
			At: places(6), Sinks: f32(4), Probs: f32(2, 4, 3, 7), Heads: 4, Scale: 0.5, Window: 2, SoftCap: 50,
		},
		&backend.Attention{
			Dst: f32(2, 4, 8), Q: f32(2, 4, 8), K: f32(5, 4, 4), V: f32(5, 4, 4), At: places(8), Table: i32(3, 2), Probs: f32(2, 4, 4, 8),
			Heads: 4, Run: 2, Scale: 0.5,
		},
		&backend.AttentionBackward{
			DQ: f32(2, 3, 8), DK: f32(2, 3, 4), DV: f32(2, 3, 4), Q: f32(2, 3, 8), K: f32(2, 3, 4), V: f32(2, 3, 4), DY: f32(2, 3, 8),
			Sinks: f32(4), DSinks: f32(4), Stats: f32(2, 4, 3, 2), Heads: 4, Scale: 0.5, Window: 2, SoftCap: 50,
		},
		&backend.Copy{Dst: f32(2, 3, 5), X: f32(2, 3, 5)},
		&backend.CrossEntropy{Loss: f32(3), X: f32(3, 5), Targets: i32(3), LossScale: f32(1), Scale: 1},
		&backend.Dropout{Dst: f32(3, 5), X: f32(3, 5), Seed: i32(4), Rate: 0.5},
		&backend.Embedding{Dst: f32(2, 3, 5), Tokens: f32(11, 5), Positions: f32(7, 5), IDs: i32(2, 3), At: places(6)},
		&backend.EmbeddingBackward{DTokens: f32(11, 5), DPositions: f32(7, 5), DY: f32(2, 3, 5), IDs: i32(2, 3), At: places(6)},
		&backend.Activate{Dst: f32(3, 5), X: f32(3, 5), Func: backend.GELUTanh},
		&backend.ActivateBackward{DX: f32(3, 5), X: f32(3, 5), DY: f32(3, 5), Func: backend.GELUTanh},
		&backend.GatedActivation{Dst: f32(3, 5), Gate: f32(3, 5), Up: f32(3, 5), Func: backend.SiLU},
		&backend.GatedActivationBackward{
			DGate: f32(3, 5), DUp: f32(3, 5), Gate: f32(3, 5), Up: f32(3, 5), DY: f32(3, 5), Func: backend.GELUSigmoid, Limit: 7, Shift: 1,
		},
		&backend.GlobalNorm{Dst: f32(2), X: f32(5), Max: 1},
		&backend.LayerNorm{Dst: f32(3, 5), X: f32(3, 5), Gamma: f32(5), Beta: f32(5), Epsilon: 1e-5},
		&backend.LayerNormBackward{
			DX: f32(3, 5), DGamma: f32(5), DBeta: f32(5), X: f32(3, 5), DY: f32(3, 5), Gamma: f32(5), Stats: f32(3, 2), Epsilon: 1e-5,
		},
		&backend.Linear{Dst: f32(2, 3, 4), X: f32(2, 3, 5), W: f32(4, 5), Bias: f32(4)},
		&backend.Linear{
			Dst: f32(2, 3, 4), X: f32(2, 3, 5), W: f32(4, 5), Bias: f32(4),
			Activation: backend.SiLU, Residual: f32(2, 3, 4), Sum: f32(2, 3, 4),
		},
		&backend.LinearBackward{DW: f32(4, 5), DBias: f32(4), DY: f32(2, 3, 4), X: f32(2, 3, 5)},
		&backend.RMSNorm{Dst: f32(3, 5), X: f32(3, 5), Gamma: f32(5), Epsilon: 1e-5},
		&backend.RMSNormBackward{DX: f32(3, 5), DGamma: f32(5), X: f32(3, 5), DY: f32(3, 5), Gamma: f32(5), Stats: f32(3, 1), Epsilon: 1e-5},
		&backend.Rotary{Dst: f32(2, 3, 10), X: f32(2, 3, 10), Angles: f32(7, 4), At: places(6), Heads: 2},
		&backend.Scale{Dst: f32(2, 3, 5), X: f32(2, 3, 5), By: f32(2, 3, 1)},
		&backend.Softmax{Dst: f32(3, 5), X: f32(3, 5)},
		&backend.Sample{
			Dst: i32(3, backend.SampleWords), Next: i32(3), X: f32(3, 96), Slots: i32(3), Settings: i32(4, backend.SampleSettingWords),
			Marks: i32(4, 2, 3), Recent: i32(4, 7),
		},
		&backend.Store{Dst: f32(2, 7, 5), X: f32(2, 3, 5), At: places(6)},
		&backend.Store{Dst: f32(5, 4, 5), X: f32(2, 3, 5), At: places(6), Table: i32(3, 2)},
		&backend.SumSquares{Dst: f32(2, 3, 1), X: f32(2, 3, 5)},
	}
}

// wantError fails unless err's text has every one of the parts, in one line.
func wantError(t *testing.T, err error, parts ...string) {
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

var errDevice = errors.New("the device is on fire")
