//go:build cgo

package vulkan

import (
	"os"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/conformance"
	"caldera/shaders"
)

// The drivers of make test have no cooperative matrices. That of make
// test-matrix has: it says so with a variable, and runs the tests below.

// gpu simulates a GPU, which takes cooperative matrices where it has them.
func gpu(l *Limits) { l.Software = false }

// openMatrices opens a simulated GPU that has cooperative matrices.
func openMatrices(tb testing.TB, clamp func(*Limits)) *Backend {
	tb.Helper()
	b := openTest(tb, lavapipe, func(l *Limits) {
		gpu(l)
		if l.Matrix != [3]uint32{} {
			clamp(l)
		}
	})
	if b.limits.Matrix == [3]uint32{} {
		if os.Getenv("CALDERA_REQUIRE_MATRICES") != "" {
			tb.Fatal("this driver has no cooperative matrices")
		}
		tb.Skip("this driver has no cooperative matrices: run make test-matrix")
	}
	return b
}

// taken are the sources of the shaders that have multiplied so far.
func (b *Backend) taken() (sources []string) {
	for key := range b.pipes.made {
		if s := key.variant.Source; strings.HasPrefix(s, "linear") && !slices.Contains(sources, s) {
			sources = append(sources, s)
		}
	}
	slices.Sort(sources)
	return sources
}

func newTensor(t *testing.T, b *Backend, d backend.DType, dims ...int) backend.Tensor {
	t.Helper()
	x, err := backend.New(b, d, dims...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestMatricesTaken tells which kernels a product of two f16 gets, and that
// nothing is compiled for them before there is one.
func TestMatricesTaken(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		b.limits.Software = false
		run := func(d backend.DType, rows, in int) {
			t.Helper()
			op := &backend.Linear{
				Dst: newTensor(t, b, backend.F32, rows, 8), X: newTensor(t, b, d, rows, in), W: newTensor(t, b, d, 8, in),
			}
			if err := b.Run(op); err != nil {
				t.Fatal(err)
			}
		}
		run(backend.F32, 9, 8)
		run(backend.F16, 9, 7) // not in fours
		if slices.Contains(b.taken(), "linear_matrix") {
			t.Error("a product of f32, or one that is not in fours, took cooperative matrices")
		}
		has := b.limits.Matrix != [3]uint32{}
		run(backend.F16, 9, 8)
		if slices.Contains(b.taken(), "linear_matrix") != has || strings.Contains(b.Describe(), "cooperative") != has {
			t.Errorf("matrices of %v: taken are %v, and this is %s", b.limits.Matrix, b.taken(), b.Describe())
		}
		if d := backend.Rounding(b, backend.Q8_0); d == backend.F16 != has || backend.Rounding(b, backend.F32) != backend.F32 {
			t.Errorf("matrices of %v: weights of q8_0 are multiplied with activations of %v", b.limits.Matrix, d)
		}
	})
}

// TestMatricesRound tells which kernels a product gets that rounds x: cooperative matrices, or
// else a dispatch for rounding and the kernels that there are without.
func TestMatricesRound(t *testing.T) {
	for _, d := range append(everyKernel()[1:], blocksOfRuns()...) {
		for _, c := range []struct {
			rows, in int
			want     []string
		}{
			{40, 64, []string{"linear_matrix"}},
			{40, 256, []string{"linear_matrix"}},
			{40, 768, []string{"linear_matrix", "linear_sum"}}, // its inputs are shared
			{8, 64, []string{"linear_rows"}},
			{40, 33, []string{"linear"}},
		} {
			b := openMatrices(t, func(*Limits) {})
			if c.in%d.BlockLen() != 0 {
				continue
			}
			op := &backend.Linear{
				Dst: newTensor(t, b, backend.F32, c.rows, 8), X: newTensor(t, b, backend.F32, c.rows, c.in),
				Rounded: newTensor(t, b, backend.F32, c.rows, c.in), W: newTensor(t, b, d, 8, c.in),
			}
			if err := b.Run(op); err != nil {
				t.Fatal(err)
			}
			if got := b.taken(); !slices.Equal(got, c.want) {
				t.Errorf("%v, %d rows of %d: %v multiplied, expected %v", d, c.rows, c.in, got, c.want)
			}
		}
	}
}

// TestMatricesOfVocabulary multiplies gradients of scores, which are as many as a
// vocabulary has tokens: of an odd number all but the last is for matrices.
func TestMatricesOfVocabulary(t *testing.T) {
	b := openMatrices(t, func(*Limits) {})
	const rows, vocab, width = 20, 41, 16
	dy := newTensor(t, b, backend.F16, rows, 48).Slice(-1, 0, vocab) // as nn lays it out
	w := newTensor(t, b, backend.F16, vocab, width)
	if err := b.Run(&backend.Linear{Dst: newTensor(t, b, backend.F32, rows, width), X: dy, W: w.Transpose()}); err != nil {
		t.Fatal(err)
	}
	if got := b.taken(); !slices.Contains(got, "linear_matrix") {
		t.Errorf("%v multiplied", got)
	}
}

// TestMatrixKernels holds cooperative matrices to the conformance suite, where
// all operands can be bound and in windows.
func TestMatrixKernels(t *testing.T) {
	for name, clamp := range map[string]func(*Limits){
		"whole":   func(*Limits) {},
		"windows": func(l *Limits) { l.Unified, l.BindingRange, l.BindingAlign = false, 256<<10, 256 },
	} {
		t.Run(name, func(t *testing.T) {
			conformance.Test(t, func(tb testing.TB) backend.Backend { return openMatrices(tb, clamp) })
		})
	}
}

// TestMatrixTiles checks tiles that are divided among subgroups in every way that is possible.
func TestMatrixTiles(t *testing.T) {
	b := openMatrices(t, func(*Limits) {})
	tried := 0
	for _, size := range []uint32{1, 2, 4} {
		for across := uint32(1); across <= 256; across *= 2 {
			if !b.limits.matrixFits(size, across) {
				continue
			}
			tried++
			p := product{rows: 140, in: 100, out: 132, x: backend.F16, w: backend.F16, aligned: true}
			c := linearChoice{source: "linear_matrix", rows: int(32 * size), outs: int(32 * size), tile: size}
			spec := c.pipeline(&b.limits, &p)
			constants := spec.spec.(shaders.LinearMatrixSpec)
			constants.Across = across
			spec.spec = constants
			found, err := b.tryAll([]unchecked{{spec, func(t *trials) {
				t.fours = true
				tryProduct(t, &p, &c, spec)
			}}})
			if err != nil || found[0] != nil {
				t.Errorf("tiles of %d, %d subgroups side by side: %v %v", 32*size, across, err, found)
			}
		}
	}
	if tried < 5 {
		t.Errorf("%d ways: expected some for each size", tried)
	}
}

// TestMatrixLarge compares the tiles that large products take, too large for
// the conformance suite, with linear.comp. The numbers are such that no sum is rounded.
func TestMatrixLarge(t *testing.T) {
	const rows, in, out = 2064, 72, 2056
	results := func(b *Backend) (all [][]float32) {
		values := func(dims ...int) backend.Tensor {
			x := newTensor(t, b, backend.F16, dims...)
			numbers := make([]float32, x.Len())
			for i := range numbers {
				numbers[i] = float32(i*i%31 - 15)
			}
			if err := backend.SetF32(b, x, numbers); err != nil {
				t.Fatal(err)
			}
			return x
		}
		x, w, wt, dy := values(rows, in), values(out, in), values(in, out).Transpose(), values(in, rows)
		dst := newTensor(t, b, backend.F32, rows, out)
		for _, op := range []backend.Op{
			&backend.Linear{Dst: dst, X: x, W: w}, &backend.Linear{Dst: dst, X: x, W: wt},
			&backend.LinearBackward{DW: dst, DY: dy, X: wt.Transpose()},
		} {
			if err := b.Run(op); err != nil {
				t.Fatal(err)
			}
			got := make([]float32, rows*out)
			if err := backend.GetF32(b, dst, got); err != nil {
				t.Fatal(err)
			}
			all = append(all, got)
		}
		return all
	}
	b, plain := openMatrices(t, func(*Limits) {}), openTest(t, lavapipe, func(l *Limits) { gpu(l); l.Matrix = [3]uint32{} })
	have, want := results(b), results(plain)
	for i := range want {
		if !slices.Equal(have[i], want[i]) {
			t.Errorf("product %d differs", i)
		}
	}
	if slices.Contains(b.taken(), "linear") || !slices.Contains(plain.taken(), "linear") {
		t.Errorf("taken were %v and %v", b.taken(), plain.taken())
	}
}

// TestMatricesLie simulates devices that tell another size of subgroups than they have.
func TestMatricesLie(t *testing.T) {
	for name, clamp := range map[string]func(*Limits){
		"twice": func(l *Limits) { l.MatrixSubgroup *= 2 },
		"half":  func(l *Limits) { l.MatrixSubgroup /= 2 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", t.TempDir()) // what passed before must not count
			b := openMatrices(t, clamp)
			op := &backend.Linear{Dst: newTensor(t, b, backend.F32, 9, 8), X: newTensor(t, b, backend.F16, 9, 8), W: newTensor(t, b, backend.F16, 8, 8)}
			if err := b.Run(op); err != nil {
				t.Fatal(err)
			}
			if got := b.Describe(); !strings.Contains(got, "without linear_matrix.f16.x_f16, which computed wrongly (with ") {
				t.Error(got)
			}
		})
	}
}

func TestMatrixFits(t *testing.T) {
	usual := Limits{MatrixSubgroup: 32, Invocations: 1024, WorkgroupSize: [3]uint32{1024, 1024, 64}, SharedMemory: 48 << 10}
	for _, c := range []struct {
		matrix   [3]uint32
		subgroup uint32
		across   [3]uint32 // for tiles of 32, 64 and 128; 0: none
	}{
		{[3]uint32{16, 16, 16}, 32, [3]uint32{2, 2, 4}}, // NVIDIA
		{[3]uint32{16, 16, 16}, 64, [3]uint32{1, 2, 2}}, // AMD
		{[3]uint32{8, 16, 16}, 32, [3]uint32{2, 2, 4}},  // Intel
		{[3]uint32{8, 8, 16}, 8, [3]uint32{4, 4, 8}},
		{[3]uint32{8, 8, 8}, 8, [3]uint32{4, 4, 8}}, // lavapipe
		{[3]uint32{}, 32, [3]uint32{}},
		{[3]uint32{16, 16, 64}, 32, [3]uint32{}}, // longer than a slice
		{[3]uint32{4, 16, 16}, 32, [3]uint32{}},  // less than eights
		{[3]uint32{16, 16, 16}, 0, [3]uint32{}},
		{[3]uint32{64, 64, 16}, 32, [3]uint32{}}, // larger than a subgroup's part
	} {
		l := usual
		l.Matrix, l.MatrixSubgroup = c.matrix, c.subgroup
		for i, want := range c.across {
			if across, ok := l.matrixAcross(1 << i); ok != (want > 0) || ok && across != want {
				t.Errorf("matrices of %v, subgroups of %d, tiles of %d: %d across, %v, expected %d", c.matrix, c.subgroup, 32<<i, across, ok, want)
			}
		}
	}
	usual.Matrix = [3]uint32{16, 16, 16}
	for what, clamp := range map[string]func(*Limits){
		"shared memory": func(l *Limits) { l.SharedMemory = 21<<10 - 1 },
		"invocations":   func(l *Limits) { l.Invocations = 128 },
	} {
		l := usual
		clamp(&l)
		_, small := l.matrixAcross(2)
		if _, large := l.matrixAcross(4); !small || large {
			t.Errorf("with less %s: tiles of 64 %v, of 128 %v", what, small, large)
		}
	}
	best := usual.bestMatrix([]vk.MatrixShape{{M: 16, N: 8, K: 8}, {M: 16, N: 16, K: 16}, {M: 16, N: 8, K: 16}, {M: 64, N: 64, K: 16}})
	if best != [3]uint32{16, 16, 16} {
		t.Errorf("the best shape is %v", best)
	}
}
