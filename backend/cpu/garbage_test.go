//go:build !race

package cpu

import (
	"runtime/metrics"
	"testing"

	"caldera/backend"
)

// The build tag is there because the race detector makes sync.Pool drop objects.

// TestDecodeMakesNoGarbage runs the ops of a layer for a token, for tokens of a batch of sequences, and for a prompt, with weights of
// each kind, and keys in several tiles.
func TestDecodeMakesNoGarbage(t *testing.T) {
	const width, context, at = 256, 700, 600
	for _, n := range [][2]int{{1, 1}, {8, 1}, {80, 0}} { // tokens, and how many follow one another; 0: all
		for _, d := range []backend.DType{backend.F32, backend.F16, backend.Q8_0, backend.Q4_0} {
			rows, b := n[0], openThreads(t, 3)
			f := func(dims ...int) backend.Tensor { return tensor(t, b, backend.F32, dims...) }
			x, y, v := f(1, rows, width), f(1, rows, width), f(width)
			w := tensor(t, b, d, width, width)
			kv := tensor(t, b, backend.F16, 1, context, width)
			where := places(t, b, rows)
			setAt(t, b, where, at)
			w3, both, ids := tensor(t, b, d, 3, width, width), f(1, rows, 2, width), tensor(t, b, backend.I32, 1, rows, 2)
			tall := func(x backend.Tensor) backend.Tensor { return x.Reshape(1, rows, 1, width) }
			ops := []backend.Op{
				&backend.LayerNorm{Dst: y, X: x, Gamma: v, Beta: v, Epsilon: 1e-5},
				&backend.Linear{Dst: y, X: x, W: w, Residual: x, Sum: f(1, rows, width)},
				&backend.Linear{Dst: x, X: y, W: w, Bias: v},
				&backend.RMSNorm{Dst: y, X: x, Gamma: v, Epsilon: 1e-5},
				&backend.Rotary{Dst: y, X: x, Angles: f(context, 64), At: where, Heads: 4},
				&backend.GatedActivation{Dst: y, Gate: x, Up: x, Func: backend.SiLU, Limit: 7},
				&backend.Scale{Dst: y, X: x, By: v.Slice(-1, 0, 1)},
				&backend.Store{Dst: kv, X: y, At: where},
				&backend.Route{IDs: tensor(t, b, backend.I32, 1, rows, 2), Weights: f(1, rows, 2), X: x.Slice(-1, 0, 3)},
				&backend.ExpertLinear{Dst: both, X: tall(x), W: w3, IDs: ids},
				&backend.ExpertSum{Dst: y, X: both, Weights: f(1, rows, 2)},
				&backend.Attention{Dst: x, Q: y, K: kv, V: kv, At: where, Heads: 4, Run: n[1], Scale: 0.125},
			}
			if d.Quantized() {
				blocks := tensor(t, b, backend.Q8_A, 1, rows, width)
				ops = append(ops, &backend.Copy{Dst: blocks, X: x},
					&backend.Linear{Dst: y, X: blocks, W: w, Residual: x, Sum: f(1, rows, width)},
					&backend.ExpertLinear{Dst: both, X: tall(blocks), W: w3, IDs: ids})
			} else {
				ops = append(ops, &backend.Linear{Dst: y, X: x, W: w.Transpose(), Bias: v, Sum: f(1, rows, width), Activation: backend.GELUTanh})
			}
			ops, err := backend.Prepare(b, ops...)
			if err != nil {
				t.Fatal(err)
			}
			if n := testing.AllocsPerRun(60, func() {
				if err := b.Run(ops...); err != nil {
					t.Fatal(err)
				}
			}); n >= 1 {
				t.Errorf("%v, %d rows: a run of %d ops allocates %v times", d, rows, len(ops), n)
			}
			b.Close()
		}
	}
}

// TestTrainingMakesNoGarbage wants the ops of a training step to allocate nothing, and to begin no goroutine.
func TestTrainingMakesNoGarbage(t *testing.T) {
	b := open(t)
	if !b.library.Own {
		t.Skip("a library has threads and memory of its own")
	}
	ops := trainingOps(t, b)
	step := func() {
		if err := b.Run(ops...); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 { // until each thread has its workspaces
		step()
	}
	if n := testing.AllocsPerRun(50, step); n >= 1 {
		t.Errorf("a run of %d ops allocates %v times", len(ops), n)
	}
	created := []metrics.Sample{{Name: "/sched/goroutines-created:goroutines"}}
	metrics.Read(created)
	before := created[0].Value.Uint64()
	for range 5 {
		step()
	}
	if metrics.Read(created); created[0].Value.Uint64()-before >= 5 { // the runtime may begin one of its own
		t.Errorf("5 runs of %d ops began %d goroutines", len(ops), created[0].Value.Uint64()-before)
	}
}
