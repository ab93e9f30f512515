//go:build cgo

package vulkan

import (
	"fmt"
	"testing"

	"caldera/backend"
)

// TestSplitKeys: short contexts are not split, others in so many parts that the workgroups fill a GPU, and no key is
// left out.
func TestSplitKeys(t *testing.T) {
	usual := Limits{Groups: [3]uint32{65535, 65535, 65535}}
	few := Limits{Groups: [3]uint32{3, 8, 3}}
	for _, c := range []struct {
		l                         *Limits
		keys, groups, parts, each int
	}{
		{&usual, 1, 12, 1, 1},
		{&usual, 512, 12, 1, 512},
		{&usual, 513, 12, 5, 128},
		{&usual, 1024, 12, 8, 128}, // gpt2
		{&usual, 1024, 25, 8, 128}, // gpt2-xl
		{&usual, 1024, 200, 1, 1024},
		{&usual, 8192, 8, 16, 512},
		{&usual, 131072, 8, 16, 8192},
		{&usual, 131072, 1, 64, 2048},
		{&usual, 131071, 1, 64, 2048},
		{&few, 1024, 12, 3, 342},
		{&few, 4096, 1, 3, 1366},
	} {
		parts, each := splitKeys(c.l, c.keys, c.groups)
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
