//go:build cgo

package vulkan

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"caldera/backend"
)

// TestWideTakes counts the dispatches of attention on a GPU with subgroups: a long context takes one more for one query,
// unless a window is short; and what the kernels do not take, or compute wrongly, attention.comp does.
func TestWideTakes(t *testing.T) {
	b := openTest(t, lavapipe, gpu)
	op := func(time, context, size int) *backend.Attention {
		wide := func(n int) backend.Tensor { return newTensor(t, b, backend.F32, 1, n, 2*size) }
		return &backend.Attention{Dst: wide(time), Q: wide(time), K: wide(context), V: wide(context), At: placesOn(t, b, 1, time, 3), Heads: 2, Scale: 1}
	}
	takes := func(op *backend.Attention) string {
		t.Helper()
		spans, err := backend.Profile(b, func(b backend.Backend) error { return backend.Run(b, op) })
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, v := range spans[0].Variants {
			names = append(names, source(v))
		}
		return fmt.Sprint(spans[0].Dispatches, " ", names)
	}
	window, probs := op(1, 600, 8), op(1, 40, 8)
	window.Window, probs.Probs = 500, newTensor(t, b, backend.F32, 1, 2, 1, 40)
	for _, c := range []struct {
		name string
		op   *backend.Attention
		want string
	}{
		{"one query", op(1, 512, 8), "1 [attention_one]"},
		{"a longer context", op(1, 513, 8), "2 [attention_one attention_join]"},
		{"a window", window, "1 [attention_one]"},
		{"several queries", op(5, 600, 8), "1 [attention_tile]"},
		{"vectors not in 16 bytes", op(1, 600, 6), "1 [attention]"},
		{"vectors that are too long", op(5, 40, 264), "1 [attention]"},
		{"probabilities", probs, "1 [attention]"},
	} {
		if got := takes(c.op); got != c.want {
			t.Errorf("%s: %s, expected %s", c.name, got, c.want)
		}
	}
	for key := range b.checks.verdicts {
		if key.variant.Source == "attention_join" || key.variant.Source == "attention_tile" {
			b.checks.verdicts[key] = &verdict{err: errors.New("it is wrong")}
		}
	}
	for _, c := range []struct{ time, context int }{{1, 513}, {5, 600}} {
		if got := takes(op(c.time, c.context, 8)); got != "1 [attention]" {
			t.Errorf("%d queries after the checks have failed: %s", c.time, got)
		}
	}
}

// TestSplitKeys: short contexts are not split, others in so many parts that the workgroups fill a GPU, and no key is
// left out.
func TestSplitKeys(t *testing.T) {
	usual := Limits{Cores: 64, Groups: [3]uint32{65535, 65535, 65535}}
	few := Limits{Cores: 64, Groups: [3]uint32{3, 8, 3}}
	small, large := usual, usual
	small.Cores, large.Cores = 8, 132
	for _, c := range []struct {
		l                                *Limits
		keys, groups, lanes, parts, each int
	}{
		{&usual, 1, 12, 256, 1, 1},
		{&usual, 512, 12, 256, 1, 512},
		{&usual, 513, 12, 256, 5, 128},
		{&usual, 1024, 12, 256, 8, 128}, // gpt2
		{&usual, 1024, 25, 256, 8, 128}, // gpt2-xl
		{&usual, 1024, 200, 256, 1, 1024},
		{&usual, 1000, 200, 256, 1, 1000},
		{&usual, 8192, 8, 256, 16, 512},
		{&usual, 8192, 8, 128, 32, 256},
		{&usual, 131072, 8, 256, 16, 8192},
		{&usual, 131072, 1, 256, 64, 2048},
		{&usual, 131071, 1, 256, 64, 2048},
		{&small, 1024, 12, 256, 2, 512},
		{&small, 1024, 25, 256, 1, 1024},
		{&small, 8192, 8, 256, 2, 4096},
		{&large, 1024, 12, 256, 8, 128},
		{&large, 8192, 8, 256, 32, 256},
		{&large, 131072, 8, 256, 34, 3968},
		{&few, 1024, 12, 256, 3, 384},
		{&few, 4096, 1, 256, 3, 1408},
	} {
		parts, each := splitKeys(c.l, c.keys, c.groups, c.lanes)
		if parts != c.parts || each != c.each {
			t.Errorf("%d keys of %d workgroups: %d parts of %d, expected %d of %d", c.keys, c.groups, parts, each, c.parts, c.each)
		}
		if parts*each < c.keys || (parts-1)*each >= c.keys {
			t.Errorf("%d keys of %d workgroups: %d parts of %d", c.keys, c.groups, parts, each)
		}
	}
}

// TestWideShapes: what a lane has fits the arrays of the shaders and their shared memory, whatever the subgroup, and a
// device that cannot take a size says so.
func TestWideShapes(t *testing.T) {
	ones, tiles := 0, 0
	for _, subgroup := range []int{4, 8, 16, 32, 64, 128} {
		for _, few := range []bool{false, true} {
			for _, d := range backend.DTypes(backend.Caches) {
				for size := wideElements(d); size <= 512; size += wideElements(d) {
					for _, shared := range []int{1, 2, 3, 5, 7, 8, 32} {
						l := &Limits{SubgroupSize: uint32(subgroup), FewRegisters: few, Invocations: 1024, WorkgroupSize: [3]uint32{1024, 1024, 64}}
						what := fmt.Sprintf("subgroups of %d, few registers %v, %v, %d heads of %d", subgroup, few, d, shared, size)
						op := &backend.Attention{Heads: shared, Q: backend.Of(nil, backend.F32, 0, 1, 1, shared*size), K: backend.Of(nil, d, 0, 1, 9, size)}
						if s, shares, ok := shapeOneQuery(l, op); ok {
							ones++
							items := (size/wideElements(d) + int(s.Cluster) - 1) / int(s.Cluster)
							fours, heads := wideElements(d)/4, int(s.Heads)
							if items*int(s.Keys) > 8 || s.Keys < 1 || s.Keys > 4 || items*heads*fours > 8 || heads < 1 || heads > 4 || s.Subgroups > 8 ||
								int(s.Subgroups)*heads*size > 3072 || int(s.Cluster) > subgroup || s.Lanes != s.Subgroups*uint32(subgroup) || s.Lanes > 256 ||
								shares*heads < shared || (shares-1)*heads >= shared {
								t.Errorf("%s: %d workgroups of %+v", what, shares, s)
							}
						} else if size <= 128 && subgroup >= 16 {
							t.Errorf("%s: attention_one.comp does not take one query", what)
						}
						op.Q = backend.Of(nil, backend.F32, 0, 1, 40, shared*size)
						if s, ok := shapeTile(l, op); ok {
							tiles++
							items, pitch := (size/4+int(s.Cluster)-1)/int(s.Cluster), 0
							pitch = items * int(s.Cluster)
							wides := (int(s.Tile)*size/wideElements(d) + int(s.Lanes) - 1) / int(s.Lanes)
							if items*int(s.Rows) > 8 || s.Rows > 2 || int(s.Tile)*pitch > 512 || wides > 8 || s.Tile%s.Block != 0 || s.Block%s.Cluster != 0 ||
								s.Block > 16 || int(s.Cluster) > subgroup || int(s.Lanes)%subgroup != 0 || shared%int(s.Heads) != 0 {
								t.Errorf("%s: %+v", what, s)
							}
						} else if size <= 256 && subgroup >= 8 && !few {
							t.Errorf("%s: attention_tile.comp does not take runs", what)
						}
					}
				}
			}
		}
	}
	if ones < 1000 || tiles < 1000 {
		t.Errorf("%d and %d shapes were tried", ones, tiles)
	}
}

// TestTileSameBits: what a query gets does not depend on how many of them a lane takes, which the number of runs decides;
// with a window neither.
func TestTileSameBits(t *testing.T) {
	for _, window := range []int{0, 37} {
		var want []float32
		for _, rows := range []string{"attention_tile, 1 queries a lane", "attention_tile, 2 queries a lane"} {
			b := played{name: "tiles", lanes: 32}.open(t, nil)
			op := randomAttention(t, b, 100, 200, 4, 64, window)
			of, ways := b.Ways(op)
			if !slices.Contains(ways, rows) {
				t.Fatalf("%s is no way to compute %s: %q", rows, of, ways)
			}
			b.tuned.ways = tuning{of: rows}
			if err := backend.Run(b, op); err != nil {
				t.Fatal(err)
			}
			got := values(t, b, op.Dst)
			if want == nil {
				want = got
			} else if !slices.Equal(got, want) {
				n := 0
				for i := range got {
					if got[i] != want[i] {
						n++
					}
				}
				t.Errorf("with a window of %d: %d of %d numbers differ", window, n, len(got))
			}
		}
	}
}
