//go:build !race

package cpu

import (
	"runtime/metrics"
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
