//go:build !race

package cpu

import (
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
			ops := []backend.Op{
				&backend.LayerNorm{Dst: y, X: x, Gamma: v, Beta: v, Epsilon: 1e-5},
				&backend.Linear{Dst: y, X: x, W: w, Residual: x, Sum: f(1, rows, width)},
				&backend.Linear{Dst: x, X: y, W: w, Bias: v},
				&backend.RMSNorm{Dst: y, X: x, Gamma: v, Epsilon: 1e-5},
				&backend.Rotary{Dst: y, X: x, Angles: f(context, 64), At: where, Heads: 4},
				&backend.GatedActivation{Dst: y, Gate: x, Up: x, Func: backend.SiLU, Limit: 7},
				&backend.Scale{Dst: y, X: x, By: v.Slice(-1, 0, 1)},
				&backend.Store{Dst: kv, X: y, At: where},
				&backend.Attention{Dst: x, Q: y, K: kv, V: kv, At: where, Heads: 4, Run: n[1], Scale: 0.125},
			}
			if d.Quantized() {
				blocks := tensor(t, b, backend.Q8_A, 1, rows, width)
				ops = append(ops, &backend.Copy{Dst: blocks, X: x},
					&backend.Linear{Dst: y, X: blocks, W: w, Residual: x, Sum: f(1, rows, width)})
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

func TestTrainingMakesNoGarbage(t *testing.T) {
	b := open(t)
	const batch, time, width = 2, 64, 128
	f := func(dims ...int) backend.Tensor { return tensor(t, b, backend.F32, dims...) }
	x, y, dy, wide := f(batch, time, width), f(batch, time, width), f(batch, time, width), f(batch, time, 3*width)
	w, v, matrix, dwide := f(width), f(width), f(width, width), f(batch, time, 2*width)
	part := func(x backend.Tensor, i int) backend.Tensor { return x.Slice(-1, i*width, (i+1)*width) }
	ops, err := backend.Prepare(b,
		&backend.Linear{Dst: y, X: x, W: matrix.Transpose()},
		&backend.LinearBackward{DW: matrix, DBias: v, DY: dy, X: x},
		&backend.ActivateBackward{DX: y, X: x, DY: dy, Func: backend.GELUTanh},
		&backend.LayerNormBackward{DX: y, DGamma: v, DBeta: f(width), X: x, DY: dy, Gamma: w, Stats: f(batch, time, 2), Epsilon: 1e-5},
		&backend.RMSNormBackward{DX: y, DGamma: v, X: x, DY: dy, Gamma: w, Stats: f(batch, time, 1), Epsilon: 1e-5},
		&backend.GatedActivationBackward{DGate: y, DUp: f(batch, time, width), Gate: x, Up: x, DY: dy, Func: backend.SiLU, Limit: 7},
		&backend.AttentionBackward{DQ: y, DK: part(dwide, 0), DV: part(dwide, 1), Q: part(wide, 0), K: part(wide, 1), V: part(wide, 2), DY: dy,
			Sinks: f(4), DSinks: f(4), Stats: f(batch, 4, time, 2), Heads: 4, Scale: 0.1, Window: 40, SoftCap: 30},
		&backend.AdamW{W: f(width, width), M: f(width, width), V: f(width, width), G: matrix, Step: f(3), Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8},
	)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := b.Run(ops...); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Errorf("a run of %d ops allocates %v times", len(ops), n)
	}
}
