//go:build cgo

package vulkan

import (
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/internal/spirv"
	"caldera/shaders"
)

// wrongKernels are ops on a device of which the compiler has a fault in the kernels named: those of the table of checks.
var wrongKernels = []struct {
	name    string // of the case
	kernels []string
	op      func(f32, i32 func(dims ...int) backend.Tensor) (op backend.Op, result backend.Tensor)
	refused string // what the device cannot compute; "": another kernel does
}{
	{"gate", []string{"gated_activation.x4"}, gateOp, ""},
	{"gate refused", []string{"gated_activation.x4", "gated_activation"}, gateOp, "a gated activation"},
	{"store", []string{"store"}, func(f32, i32 func(dims ...int) backend.Tensor) (backend.Op, backend.Tensor) {
		op := &backend.Store{Dst: f32(2, 4, 8), X: f32(1, 2, 8), At: i32(2, 2)}
		return op, op.Dst
	}, "storing keys and values"},
	{"embedding", []string{"embedding"}, func(f32, i32 func(dims ...int) backend.Tensor) (backend.Op, backend.Tensor) {
		op := &backend.Embedding{Dst: f32(1, 2, 8), Tokens: f32(5, 8), IDs: i32(1, 2)}
		return op, op.Dst
	}, "an embedding"},
	{"experts", []string{"expert_linear.x4"}, expertsOp, ""},
	{"experts refused", []string{"expert_linear.x4", "expert_linear"}, expertsOp, "a product with matrices of experts"},
	{"experts' rows", []string{"expert_order"}, expertsOp, "which rows experts have"},
	{"choice of experts", []string{"route"}, func(f32, i32 func(dims ...int) backend.Tensor) (backend.Op, backend.Tensor) {
		op := &backend.Route{IDs: i32(3, 2), Weights: f32(3, 2), X: f32(3, 7)}
		return op, op.Weights
	}, "the choice of experts"},
	{"rotary", []string{"rotary.x4"}, func(f32, i32 func(dims ...int) backend.Tensor) (backend.Op, backend.Tensor) {
		op := &backend.Rotary{Dst: f32(1, 2, 16), X: f32(1, 2, 16), Angles: f32(4, 8), At: i32(2, 2), Heads: 2}
		return op, op.Dst
	}, ""},
	{"loss", []string{"cross_entropy"}, func(f32, i32 func(dims ...int) backend.Tensor) (backend.Op, backend.Tensor) {
		op := &backend.CrossEntropy{Loss: f32(3), X: f32(3, 9), Targets: i32(3), Scale: 1}
		return op, op.X
	}, "a loss"},
	{"columns", []string{"rmsnorm_backward_columns.x4"}, func(f32, i32 func(dims ...int) backend.Tensor) (backend.Op, backend.Tensor) {
		op := &backend.RMSNormBackward{DX: f32(300, 8), DGamma: f32(8), X: f32(300, 8), DY: f32(300, 8), Gamma: f32(8), Stats: f32(300, 1), Epsilon: 1}
		return op, op.DGamma
	}, ""},
	{"gradient of attention", []string{"attention_backward.x4"}, func(f32, _ func(dims ...int) backend.Tensor) (backend.Op, backend.Tensor) {
		op := &backend.AttentionBackward{Heads: 2, Scale: 1, Stats: f32(1, 2, 3, 2)}
		for _, x := range []*backend.Tensor{&op.DQ, &op.DK, &op.DV, &op.Q, &op.K, &op.V, &op.DY} {
			*x = f32(1, 3, 8)
		}
		return op, op.DK
	}, ""},
	{"optimizer", []string{"adamw.x4"}, func(f32, _ func(dims ...int) backend.Tensor) (backend.Op, backend.Tensor) {
		op := &backend.AdamW{W: f32(8), M: f32(8), V: f32(8), G: f32(8), Step: f32(3), Epsilon: 1}
		return op, op.W
	}, ""},
}

func expertsOp(f32, i32 func(dims ...int) backend.Tensor) (backend.Op, backend.Tensor) {
	op := &backend.ExpertLinear{Dst: f32(1, 3, 2, 12), X: f32(1, 3, 1, 8), W: f32(2, 12, 8), IDs: i32(1, 3, 2)}
	return op, op.Dst
}

func gateOp(f32, _ func(dims ...int) backend.Tensor) (backend.Op, backend.Tensor) {
	op := &backend.GatedActivation{Dst: f32(2, 8), Gate: f32(2, 8), Up: f32(2, 8), Func: backend.SiLU}
	return op, op.Dst
}

// TestWrongKernels: an op is computed by another kernel, and the device's line names the one that is wrong, or, where there is
// no other one, the device is refused for it. Both at once and in a program.
func TestWrongKernels(t *testing.T) {
	t.Parallel()
	for _, c := range wrongKernels {
		for _, how := range []string{"run", "recorded"} {
			t.Run(c.name+" "+how, func(t *testing.T) {
				compute := func(wrong bool) (got []float32, b *Backend, err error) {
					b, d := played{name: "a card", lanes: 32, checked: true, cache: t.TempDir()}.openChecked(t)
					d.edit = func(v *shaders.Variant, m *spirv.Module) *spirv.Module {
						if !wrong || !slices.Contains(c.kernels, v.Name()) {
							return m
						}
						code, n := replaced(v, opFAdd, opFMul)
						if n == 0 {
							code, n = replaced(v, opIMul, opIAdd)
						}
						m, err := spirv.Parse(code)
						if n == 0 || err != nil {
							t.Fatalf("%s: %d changes, %v", v.Name(), n, err)
						}
						return m
					}
					rng := rand.New(rand.NewPCG(1, 2))
					f32 := func(dims ...int) backend.Tensor {
						x := newTensor(t, b, backend.F32, dims...)
						numbers := make([]float32, x.Len())
						for i := range numbers {
							numbers[i] = 0.5 + rng.Float32()
						}
						if err := backend.SetF32(b, x, numbers); err != nil {
							t.Fatal(err)
						}
						return x
					}
					i32 := func(dims ...int) backend.Tensor {
						x := newTensor(t, b, backend.I32, dims...)
						numbers := make([]int32, x.Len())
						for i := range numbers {
							numbers[i] = int32(i % 2)
						}
						if err := backend.SetI32(b, x, numbers); err != nil {
							t.Fatal(err)
						}
						return x
					}
					op, result := c.op(f32, i32)
					if how == "run" {
						err = backend.Run(b, op)
					} else {
						var p backend.Program
						if p, err = backend.Record(b, op); err == nil {
							err = p.Run()
						}
					}
					return values(t, b, result), b, err
				}
				want, b, err := compute(false)
				if err != nil || b.checks.ran == 0 || strings.Contains(b.Describe(), "without") {
					t.Fatalf("nothing is wrong: %v after %d checks, and this is %s", err, b.checks.ran, b.Describe())
				}
				got, b, err := compute(true)
				if !strings.Contains(b.Describe(), ", without "+c.kernels[0]) || !strings.Contains(b.Describe(), ", expected ") {
					t.Errorf("%q was wrong, and this is %s", c.kernels[0], b.Describe())
				}
				if c.refused == "" {
					for i, w := range want { // another kernel may add in another order
						if d := math.Abs(float64(got[i] - w)); err != nil || !(d <= 1e-5) {
							t.Fatalf("number %d is %v (%v), expected %v", i, got[i], err, w)
						}
					}
					return
				}
				var refused *RefusedError
				if !errors.As(err, &refused) {
					t.Fatalf("computed by kernels that are wrong: %v", err)
				}
				for _, part := range []string{
					"a card (driver interpreter) is refused because it cannot compute " + c.refused + ": its kernel " + c.kernels[len(c.kernels)-1] + " ",
					"computes wrongly: with ", " is ", ", expected ", "choose another device", "compute on the CPU",
				} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("the error does not say %q: %v", part, err)
					}
				}
			})
		}
	}
}

// noCompiler is a card whose driver cannot compile some kernels, or whose memory cannot be written.
type noCompiler struct {
	*interpreter
	kernels []string
	flush   error
}

func (d *noCompiler) CreateComputePipeline(info vk.PipelineInfo) (vk.Pipeline, error) {
	d.mu.Lock()
	name := d.modules[info.Module].variant.Name()
	d.mu.Unlock()
	if slices.Contains(d.kernels, name) {
		return 0, errors.New("the compiler gave up")
	}
	return d.interpreter.CreateComputePipeline(info)
}

func (d *noCompiler) Flush(m vk.Memory, offset, size uint64) error {
	if d.flush != nil {
		return d.flush
	}
	return d.interpreter.Flush(m, offset, size)
}

// TestCheckCannotRun: where a check cannot run, another kernel computes, or the device is refused; nobody says that the kernel computed
// wrongly, and no file keeps it.
func TestCheckCannotRun(t *testing.T) {
	for _, kernels := range [][]string{{"gated_activation.x4"}, {"gated_activation.x4", "gated_activation"}} {
		b, d := played{name: "a card", lanes: 32, checked: true, cache: t.TempDir()}.openChecked(t)
		b.pipes.dev = &noCompiler{interpreter: d, kernels: kernels}
		op, _ := gateOp(func(dims ...int) backend.Tensor { return newTensor(t, b, backend.F32, dims...) }, nil)
		err := backend.Run(b, op)
		const why = "could not run (with 2 rows of 252: shader gated_activation.x4: compiling it with constants "
		if text := b.Describe(); !strings.Contains(text, ", without gated_activation.x4, of which the check "+why) && !strings.Contains(text, ", without gated_activation.x4, gated_activation, of which the check "+why) || strings.Contains(text, "wrong") {
			t.Errorf("a kernel could not be compiled, and this is %s", text)
		}
		var refused *RefusedError
		switch {
		case len(kernels) == 1 && err != nil:
			t.Errorf("not computed by the other kernel: %v", err)
		case len(kernels) == 2 && (!errors.As(err, &refused) || !strings.Contains(err.Error(), "cannot compute a gated activation: the check of its kernel gated_activation {Lanes:64 Func:5} could not run: with ")):
			t.Errorf("no kernel could be compiled: %v", err)
		}
		b.pipes.dev = d
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		stored := readVerdicts(b.checks.path, b.phys)
		if len(stored.Failed) > 0 || slices.ContainsFunc(stored.Passed, func(name string) bool { return strings.HasPrefix(name, "gated_activation.x4") }) {
			t.Errorf("of a check that could not run is stored: %+v", stored)
		}
	}
}

// TestChecksFreeTheirMemory, also where it cannot be written.
func TestChecksFreeTheirMemory(t *testing.T) {
	b, d := played{name: "a card", lanes: 32, unified: true, checked: true, cache: t.TempDir()}.openChecked(t)
	op, _ := gateOp(func(dims ...int) backend.Tensor { return newTensor(t, b, backend.F32, dims...) }, nil)
	freed := 0
	b.mem.freed = func(*block, uint64, uint64) { freed++ }
	bad := errors.New("no flush")
	b.limits.Coherent = false
	b.dev = &noCompiler{interpreter: d, flush: bad}
	err := backend.Run(b, op)
	b.dev = d
	if !errors.Is(err, bad) || freed != 1 {
		t.Errorf("%v, and %d buffers were freed, expected that of the check", err, freed)
	}
}

// TestFaultsAreListed, wherever the user has the cache directory.
func TestFaultsAreListed(t *testing.T) {
	for _, name := range []string{"a", "a[b", "a*", "a?[^", "%s"} {
		dir := filepath.Join(t.TempDir(), name)
		b, d := played{name: "a card", lanes: 32, checked: true, cache: dir}.openChecked(t)
		d.edit = func(v *shaders.Variant, m *spirv.Module) *spirv.Module {
			if v.Name() != "gated_activation.x4" {
				return m
			}
			return miscompiled(t, v)
		}
		op, _ := gateOp(func(dims ...int) backend.Tensor { return newTensor(t, b, backend.F32, dims...) }, nil)
		if err := errors.Join(backend.Run(b, op), b.Close()); err != nil {
			t.Fatal(err)
		}
		if got := lastFaults(cacheFolder(dir), b.phys); got != "gated_activation.x4" {
			t.Errorf("with the cache in %s the faults are %q", dir, got)
		}
	}
}
