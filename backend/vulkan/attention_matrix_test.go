//go:build cgo

package vulkan

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// TestMatrixAttentionTakes: cooperative matrices take queries of a run if these, with the heads that share their keys, are
// enough for a subgroup, and keys and values are f16. What they do not take, or compute wrongly, other kernels do.
func TestMatrixAttentionTakes(t *testing.T) {
	b := played{name: "matrices", lanes: 32, shapes: []vk.MatrixShape{{M: 16, N: 16, K: 16}}}.open(t, nil)
	op := func(time, size, heads, groups int, d backend.DType) *backend.Attention {
		q := func() backend.Tensor { return newTensor(t, b, backend.F32, 1, time, heads*size) }
		k := func() backend.Tensor { return newTensor(t, b, d, 1, 40, groups*size) }
		return &backend.Attention{Dst: q(), Q: q(), K: k(), V: k(), At: placesOn(t, b, 1, time, 3), Heads: heads, Scale: 1}
	}
	takes := func(op *backend.Attention) string {
		t.Helper()
		b.pipes.made = map[pipelineKey]*pipeline{}
		if err := backend.Run(b, op); err != nil {
			t.Fatal(err)
		}
		var sources []string
		for key := range b.pipes.made {
			sources = append(sources, key.variant.Source)
		}
		slices.Sort(sources)
		return fmt.Sprint(sources)
	}
	f16 := backend.F16
	probs := op(20, 8, 2, 2, f16)
	probs.Probs = newTensor(t, b, backend.F32, 1, 2, 20, 40)
	for _, c := range []struct {
		name string
		op   *backend.Attention
		want string
	}{
		{"enough queries", op(16, 8, 2, 2, f16), "[attention_matrix]"},
		{"too few", op(15, 8, 2, 2, f16), "[attention_tile]"},
		{"heads that share keys", op(4, 8, 4, 1, f16), "[attention_matrix]"},
		{"one query of many heads", op(1, 8, 32, 1, f16), "[attention_one]"},
		{"f32", op(16, 8, 2, 2, backend.F32), "[attention_tile]"},
		{"bf16", op(16, 8, 2, 2, backend.BF16), "[attention_tile]"},
		{"vectors that are too long", op(16, 136, 2, 2, f16), "[attention_tile]"},
		{"probabilities", probs, "[attention]"},
	} {
		if got := takes(c.op); got != c.want {
			t.Errorf("%s: %s, expected %s", c.name, got, c.want)
		}
	}
	for key := range b.checks.verdicts {
		if key.variant.Source == "attention_matrix" {
			b.checks.verdicts[key] = &verdict{err: errors.New("it is wrong")}
		}
	}
	if got := takes(op(16, 8, 2, 2, f16)); got != "[attention_tile]" {
		t.Errorf("after the check has failed: %s", got)
	}
}

// TestMatrixAttentionShapes: what a lane fetches fits the arrays of the shader, and shared memory holds all, whatever the
// subgroup and the matrices; and the sizes that models have are taken.
func TestMatrixAttentionShapes(t *testing.T) {
	taken := 0
	for _, matrix := range [][3]uint32{{16, 16, 16}, {8, 16, 16}, {8, 8, 16}, {16, 8, 16}, {8, 8, 8}, {16, 16, 32}, {}} {
		for _, lanes := range []uint32{4, 8, 16, 32, 64, 128} {
			for _, shared := range []uint32{16 << 10, 32 << 10, 48 << 10, 64 << 10} {
				for _, vendor := range []uint32{0, 0x1002, nvidia} {
					l := &Limits{Matrix: matrix, MatrixSubgroup: lanes, SubgroupRange: [2]int{int(lanes), int(lanes)}, SharedMemory: shared, MatrixTiles: 64, Vendor: vendor,
						Invocations: 1024, WorkgroupSize: [3]uint32{1024, 1024, 64}}
					for size := 4; size <= 256; size += 4 {
						for _, heads := range []int{1, 2, 3, 8} {
							for _, time := range []int{1, 8, 16, 70, 4096} {
								op := &backend.Attention{Heads: heads, Q: backend.Of(nil, backend.F32, 0, 1, time, heads*size), K: backend.Of(nil, backend.F16, 0, 1, 5000, size)}
								what := fmt.Sprintf("matrices %v, subgroups of %d, %d bytes, vendor %x, %d queries of %d heads of %d", matrix, lanes, shared, vendor, time, heads, size)
								s, ok := shapeMatrixAttention(l, op)
								if usual := matrix[0]*matrix[1]*matrix[2] >= 512 && matrix[2] <= 16 && lanes >= 32 && lanes <= 64 && shared >= 32<<10 && time >= 16; !ok {
									if usual && size%8 == 0 && size <= 128 {
										t.Errorf("%s: it is not taken", what)
									}
									continue
								}
								taken++
								subgroups := s.Lanes / s.SubgroupSize
								fetched := (attentionMatrixTile*s.Size/8 + s.Lanes - 1) / s.Lanes
								if size%8 != 0 || size > 128 || fetched > 4 || subgroups*s.SubgroupSize != s.Lanes || subgroups < 2 || s.SubgroupSize != lanes || attentionMatrixShared(s) > shared ||
									heads%int(s.Heads) != 0 || s.Cluster > 4 || attentionMatrixRows*s.Cluster%s.SubgroupSize != 0 || attentionMatrixQueries(s) < 1 || time*int(s.Heads) < 16 {
									t.Errorf("%s: %+v", what, s)
								}
							}
						}
					}
				}
			}
		}
	}
	if taken < 1000 {
		t.Errorf("%d shapes were taken", taken)
	}
}

// matrixAttention is an op of 70 queries of two heads that share keys, with random operands.
func matrixAttention(t *testing.T, b *Backend, window int) *backend.Attention {
	return randomAttention(t, b, 70, 130, 2, 24, window)
}

// randomAttention is an op of so many queries of heads that share keys, at position 57 of context, with random operands.
func randomAttention(t *testing.T, b *Backend, time, context, heads, size, window int) *backend.Attention {
	rng := rand.New(rand.NewPCG(1, 2))
	operand := func(d backend.DType, rows, width int) backend.Tensor {
		x := newTensor(t, b, d, 1, rows, width)
		numbers := make([]float32, x.Len())
		for i := range numbers {
			numbers[i] = float32(rng.NormFloat64())
		}
		if err := backend.SetF32(b, x, numbers); err != nil {
			t.Fatal(err)
		}
		return x
	}
	return &backend.Attention{
		Dst: operand(backend.F32, time, heads*size), Q: operand(backend.F32, time, heads*size), K: operand(backend.F16, context, size), V: operand(backend.F16, context, size),
		At: placesOn(t, b, 1, time, 57), Heads: heads, Scale: 0.2, Window: window,
	}
}

// TestMatrixAttentionSameBits: what a query gets does not depend on how many workgroups there are, and so on how many rows each of
// them serves: with a window too, which begins amid a tile of keys.
func TestMatrixAttentionSameBits(t *testing.T) {
	for _, window := range []int{0, 37} {
		var want []float32
		for _, c := range []struct {
			tiles int
			lanes uint32
		}{{1, 128}, {1000, 64}} {
			b := played{name: "matrices", lanes: 32, shapes: []vk.MatrixShape{{M: 16, N: 16, K: 16}}, clamp: func(l *Limits) { l.MatrixTiles = c.tiles }}.open(t, nil)
			op := matrixAttention(t, b, window)
			if s, ok := shapeMatrixAttention(&b.limits, op); !ok || s.Lanes != c.lanes {
				t.Fatalf("%d lanes, %v, expected %d", s.Lanes, ok, c.lanes)
			}
			if err := backend.Run(b, op); err != nil {
				t.Fatal(err)
			}
			got := values(t, b, op.Dst)
			if want == nil {
				want = got
			} else if !slices.Equal(got, want) {
				t.Errorf("with a window of %d, workgroups of other sizes give other results", window)
			}
		}
	}
}

// TestMatrixAttentionUnseen: a key or a value that is not finite is NaN for the queries that see it, and leaves the bits of all
// others, those beside them in a matrix too.
func TestMatrixAttentionUnseen(t *testing.T) {
	const from = 57 // position of the first query
	for _, window := range []int{0, 37} {
		b := played{name: "matrices", lanes: 32, shapes: []vk.MatrixShape{{M: 16, N: 16, K: 16}}}.open(t, nil)
		op := matrixAttention(t, b, window)
		run := func() []float32 {
			if err := backend.Run(b, op); err != nil {
				t.Fatal(err)
			}
			return values(t, b, op.Dst)
		}
		want, width := run(), op.Q.Dim(-1)
		for _, cache := range []backend.Tensor{op.K, op.V} {
			clean := values(t, b, cache)
			for _, c := range []struct {
				position int
				value    float64
			}{{from + 9, math.NaN()}, {from + 40, math.Inf(1)}, {from - 30, math.NaN()}} {
				numbers := slices.Clone(clean)
				for i := range cache.Dim(-1) {
					numbers[c.position*cache.Dim(-1)+i] = float32(c.value)
				}
				if err := backend.SetF32(b, cache, numbers); err != nil {
					t.Fatal(err)
				}
				for i, got := range run() {
					position := from + i/width
					sees := c.position <= position && (window == 0 || position-c.position < window)
					if sees && !(math.IsNaN(float64(got)) || math.IsInf(float64(got), 1)) || !sees && got != want[i] {
						t.Fatalf("window %d, %v at position %d: the query at %d gets %v, and without it %v", window, c.value, c.position, position, got, want[i])
					}
				}
			}
			if err := backend.SetF32(b, cache, clean); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestMatrixAttentionSinks: a sink takes its part of the probability and nothing of the keys' accuracy, however much it outweighs
// them; what is no number, or infinite, counts as on other devices, also where a query sees no key or scores are −∞.
func TestMatrixAttentionSinks(t *testing.T) {
	const time, size = 16, 8
	inf := math.Inf(1)
	sinks := []float64{-inf, -1e38, -90, 0, 10, 15, 20, 25, 30, 60, 80, 86, 1e38, inf, math.NaN(), -3.4e38}
	b := played{name: "matrices", lanes: 32, shapes: []vk.MatrixShape{{M: 16, N: 16, K: 16}}}.open(t, nil)
	set := func(x backend.Tensor, v ...float64) backend.Tensor {
		t.Helper()
		numbers := make([]float32, x.Len())
		for i := range numbers {
			numbers[i] = float32(v[i%len(v)])
		}
		if err := backend.SetF32(b, x, numbers); err != nil {
			t.Fatal(err)
		}
		return x
	}
	heads := len(sinks)
	for _, score := range []float64{3, -inf} { // of all keys
		op := &backend.Attention{
			Dst: newTensor(t, b, backend.F32, 1, time, heads*size), Q: set(newTensor(t, b, backend.F32, 1, time, heads*size), 1, 0, 0, 0, 0, 0, 0, 0),
			K: set(newTensor(t, b, backend.F16, 1, time, size), score, 0, 0, 0, 0, 0, 0, 0), V: set(newTensor(t, b, backend.F16, 1, time, size), 0.5),
			At: placesOn(t, b, 1, time, -1), Sinks: set(newTensor(t, b, backend.F32, heads), sinks...), Heads: heads, Scale: 1,
		}
		if s, ok := shapeMatrixAttention(&b.limits, op); !ok || s.Heads < 2 {
			t.Fatalf("%+v, %v", s, ok)
		}
		if err := backend.Run(b, op); err != nil {
			t.Fatal(err)
		}
		for i, got := range values(t, b, op.Dst) {
			n, sink := float64(i/(heads*size)), sinks[i/size%heads] // the first query is before the cache
			want := n * math.Exp(score-3) / (n*math.Exp(score-3) + math.Exp(sink-3)) / 2
			switch {
			case n == 0 || !(sink < inf):
				want = math.NaN()
			case score < 0 && sink > score: // math.Exp of both may be 0
				want = 0
			}
			if math.IsNaN(want) != math.IsNaN(float64(got)) || math.Abs(float64(got)-want) > 1e-4*want+0x1p-125 {
				t.Errorf("scores of %v, a sink of %v: the query that sees %v keys gets %v, expected %v", score, sink, n, got, want)
			}
		}
	}
}
