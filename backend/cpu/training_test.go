package cpu

import (
	"math/rand/v2"
	"slices"
	"testing"

	"caldera/backend"
)

// trainingOps are the ops of a training step in f32, with numbers that follow from a seed. Their
// sizes are of no whole registers, tiles or blocks of queries, and large enough for several threads.
func trainingOps(t *testing.T, b *Backend) []backend.Op {
	const batch, time, width, inner, heads, vocab = 3, 70, 164, 172, 4, 1031
	r := rand.New(rand.NewPCG(3, 5))
	f := func(dims ...int) backend.Tensor {
		x := tensor(t, b, backend.F32, dims...)
		for i := range x.Len() {
			elements[float32](&x)[i] = float32(r.NormFloat64())
		}
		return x
	}
	positive := func(dims ...int) backend.Tensor {
		x := f(dims...)
		for i, v := range elements[float32](&x) {
			elements[float32](&x)[i] = v*v + 0.1
		}
		return x
	}
	ints := func(most int, dims ...int) backend.Tensor {
		x := tensor(t, b, backend.I32, dims...)
		for i := range x.Len() {
			elements[int32](&x)[i] = int32(r.IntN(most))
		}
		return x
	}
	tokens := func(n int) backend.Tensor { return f(batch, time, n) }
	part := func(x backend.Tensor, i, n int) backend.Tensor { return x.Slice(-1, i*n, (i+1)*n) }
	at := ints(1, 2, batch*time)
	for i := range batch * time {
		elements[int32](&at)[i], elements[int32](&at)[batch*time+i] = int32(i/time), int32(i%time)
	}
	stats := func() backend.Tensor { return f(batch, heads, time, 2) }
	qkv, shared := tokens(3*width), tokens(2*width)
	scale := positive(1)
	ops := []backend.Op{
		&backend.Embedding{Dst: tokens(width), Tokens: f(vocab, width), Positions: f(time, width), IDs: ints(vocab, batch, time), At: at},
		&backend.EmbeddingBackward{DTokens: f(vocab, width), DPositions: f(time, width), DY: tokens(width), IDs: ints(9, batch, time), At: at},
		&backend.Dropout{Dst: tokens(width), X: tokens(width), Seed: ints(1<<30, 4), Rate: 0.1, Stream: 2},
		&backend.LayerNorm{Dst: tokens(width), X: tokens(width), Gamma: f(width), Beta: f(width), Epsilon: 1e-5},
		&backend.LayerNormBackward{DX: tokens(width), DGamma: f(width), DBeta: f(width), X: tokens(width), DY: tokens(width), Gamma: f(width), Stats: f(batch, time, 2), Epsilon: 1e-5},
		&backend.RMSNorm{Dst: tokens(width), X: tokens(width), Gamma: f(width), Epsilon: 1e-5},
		&backend.RMSNormBackward{DX: tokens(width), DGamma: f(width), X: tokens(width), DY: tokens(width), Gamma: f(width), Stats: f(batch, time, 1), Epsilon: 1e-5},
		&backend.Linear{Dst: tokens(inner), X: tokens(width), W: f(inner, width), Bias: f(inner), Sum: tokens(inner), Activation: backend.GELUTanh},
		&backend.Linear{Dst: tokens(width), X: tokens(inner), W: f(inner, width).Transpose(), Residual: tokens(width), Sum: tokens(width)},
		&backend.LinearBackward{DW: f(inner, width), DBias: f(inner), DY: tokens(inner), X: tokens(width)},
		&backend.LinearBackward{DW: f(width, inner), DY: tokens(width), X: tokens(inner)},
		&backend.LinearBackward{DW: f(width, inner).Transpose(), DBias: f(inner), DY: tokens(inner), X: tokens(width)},
		&backend.LinearBackward{DW: f(inner, width).Transpose(), DY: tokens(width), X: tokens(inner)},
		&backend.GatedActivation{Dst: tokens(inner), Gate: tokens(inner), Up: tokens(inner), Func: backend.SiLU},
		&backend.GatedActivationBackward{DGate: tokens(inner), DUp: tokens(inner), Gate: tokens(inner), Up: tokens(inner), DY: tokens(inner), Func: backend.SiLU, Limit: 2},
		&backend.Attention{Dst: tokens(width), Q: part(qkv, 0, width), K: part(qkv, 1, width), V: part(qkv, 2, width), At: at, Heads: heads, Scale: 0.2},
		&backend.AttentionBackward{DQ: tokens(width), DK: tokens(width), DV: tokens(width), Q: part(qkv, 0, width), K: part(qkv, 1, width), V: part(qkv, 2, width),
			DY: tokens(width), Stats: stats(), Heads: heads, Scale: 0.2},
		&backend.AttentionBackward{DQ: tokens(width), DK: part(shared, 0, width/2), DV: part(shared, 1, width/2), Q: tokens(width), K: tokens(width / 2), V: tokens(width / 2),
			DY: tokens(width), Sinks: f(heads), DSinks: f(heads), Stats: stats(), Heads: heads, Scale: 0.2, Window: 40, SoftCap: 30},
		&backend.CrossEntropy{Loss: f(batch * time), X: f(batch*time, vocab), Targets: ints(vocab, batch*time), Scale: 0.01},
		&backend.Add{Dst: tokens(inner), A: tokens(inner), B: tokens(inner)},
		&backend.Copy{Dst: f(inner, width), X: f(inner, width)},
		&backend.SumSquares{Dst: f(inner, 1), X: f(inner, width)},
		&backend.GlobalNorm{Dst: f(2), X: positive(vocab), Max: 1},
		&backend.AdamW{W: f(inner, width), M: f(inner, width), V: positive(inner, width), G: f(inner, width), Step: positive(3), Scale: scale, Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, Decay: 0.1},
	}
	for _, a := range []backend.Activation{backend.GELUTanh, backend.GELUErf, backend.GELUSigmoid, backend.ReLU, backend.SiLU} {
		ops = append(ops, &backend.ActivateBackward{DX: tokens(inner), X: tokens(inner), DY: tokens(inner), Func: a})
	}
	ops, err := backend.Prepare(b, ops...)
	if err != nil {
		t.Fatal(err)
	}
	return ops
}

// TestTrainingBits wants each op of a training step to give the same bits twice with the same number
// of threads, and with package gemm for every number of threads.
func TestTrainingBits(t *testing.T) {
	defer SetThreads(0)
	var first []result
	for _, threads := range []int{1, 2, 5} {
		SetThreads(threads)
		b := open(t)
		once, again := resultsOf(t, b), resultsOf(t, b)
		if first == nil || !b.library.Own {
			first = once
		}
		for i, want := range once {
			if !slices.Equal(again[i].data, want.data) {
				t.Errorf("%d threads: %s differs from one run to the next", threads, want.name)
			}
			if !slices.Equal(want.data, first[i].data) {
				t.Errorf("%s differs between %d threads and 1", want.name, threads)
			}
		}
	}
}

// result is the memory of an operand that an op has written.
type result struct {
	name string
	data []byte
}

// resultsOf runs the ops of a training step, each from the same numbers.
func resultsOf(t *testing.T, b *Backend) (list []result) {
	for _, op := range trainingOps(t, b) {
		if err := b.Run(op); err != nil {
			t.Fatal(err)
		}
		op.Operands(func(name string, x *backend.Tensor, a backend.Access) {
			if a.Writes() {
				list = append(list, result{op.Name() + "'s " + name, slices.Clone(x.Buf.(*buffer).data)})
			}
		})
	}
	return list
}
