//go:build !race

package cpu

import (
	"testing"

	"caldera/backend"
)

// The build tag is there because the race detector makes sync.Pool drop objects.
func TestDecodeMakesNoGarbage(t *testing.T) {
	b := open(t)
	x, y := tensor(t, b, backend.F32, 1, 256), tensor(t, b, backend.F32, 1, 256)
	w, v := tensor(t, b, backend.F32, 256, 256), tensor(t, b, backend.F32, 256)
	kv := tensor(t, b, backend.F32, 1, 64, 256)
	where := places(t, b, 1)
	setAt(t, b, where, 40)
	blocks := tensor(t, b, backend.Q8_A, 1, 256)
	ops, err := backend.Prepare(b,
		&backend.Copy{Dst: blocks, X: x},
		&backend.Linear{Dst: y, X: blocks, W: tensor(t, b, backend.Q8_0, 256, 256), Residual: x, Sum: tensor(t, b, backend.F32, 1, 256)},
		&backend.LayerNorm{Dst: y, X: x, Gamma: v, Beta: v, Epsilon: 1e-5},
		&backend.Linear{Dst: x, X: y, W: w, Bias: v},
		&backend.Linear{Dst: y, X: x, W: w.Transpose(), Bias: v, Sum: tensor(t, b, backend.F32, 1, 256), Activation: backend.GELUTanh},
		&backend.RMSNorm{Dst: y, X: x, Gamma: v, Epsilon: 1e-5},
		&backend.Rotary{Dst: y, X: x, Angles: tensor(t, b, backend.F32, 64, 64), At: where, Heads: 4},
		&backend.GatedActivation{Dst: y, Gate: x, Up: v, Func: backend.SiLU, Limit: 7},
		&backend.Scale{Dst: y, X: x, By: v.Slice(-1, 0, 1)},
		&backend.Store{Dst: kv, X: y, At: where},
		&backend.Attention{Dst: x, Q: y, K: kv, V: kv, At: where, Heads: 4, Scale: 0.125},
	)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(200, func() {
		if err := b.Run(ops...); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Errorf("a run of %d ops allocates %v times", len(ops), n)
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
