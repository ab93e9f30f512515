//go:build cgo

package vulkan

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
)

// limitedCards are cards that have the least that Vulkan promises, or less.
var limitedCards = []played{
	{name: "least", lanes: 32, clamp: least},
	{name: "least, software", lanes: 4, software: true, clamp: least},
	{name: "least, 8 lanes", lanes: 8, software: true, clamp: least},
	{name: "few groups", lanes: 32, clamp: func(l *Limits) { dots(l); fewGroups(l) }},
	{name: "few groups, software", lanes: 4, software: true, clamp: fewGroups},
	{name: "small bindings", lanes: 64, clamp: func(l *Limits) { dots(l); l.BindingRange, l.BindingAlign = 256<<10, 256 }},
	{name: "small bindings, software", lanes: 8, software: true, clamp: func(l *Limits) { l.BindingRange, l.BindingAlign = 256<<10, 256 }},
	{name: "few texels", lanes: 8, software: true, clamp: func(l *Limits) { l.TexelElements, l.TexelAlign = 8192, 256 }},
}

// least is what each device has: the required limits of the Vulkan specification.
func least(l *Limits) {
	l.BindingRange, l.BindingAlign, l.TexelElements, l.TexelAlign = 1<<27, 256, 65536, 256
	l.SharedMemory, l.Invocations, l.WorkgroupSize = 16<<10, 128, [3]uint32{128, 128, 64}
	l.Groups = [3]uint32{65535, 65535, 65535}
}

// TestTrialsFit encodes the checks of all kernels for cards with low limits. Each of them can run, and
// has its pipeline in it: else a kernel that is right would not be used. Some of attention are run, and find nothing.
func TestTrialsFit(t *testing.T) {
	t.Parallel()
	for i, c := range limitedCards {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.checked, c.cache = true, t.TempDir()
			b, _ := c.openChecked(t)
			b.pipes.closing.Store(true) // nothing is compiled
			dry := &buffer{b: b, block: &block{}}
			seen := map[pipelineKey]bool{}
			try := func(u unchecked, what string) {
				t.Helper()
				if seen[u.key()] {
					return
				}
				seen[u.key()] = true
				tr := &trials{b: b, slab: &buffer{b: b}}
				tr.begin(u.pipelineSpec)
				u.try(tr)
				e := &encoder{b: b, dry: dry, tried: &tried{pipelineSpec: u.pipelineSpec}}
				delete(b.pipes.made, u.key())
				for _, one := range tr.list {
					if err := one.encode(e); err != nil {
						t.Errorf("%s, %s, with %s: %v", b.pipelineName(u.pipelineSpec), what, one.what, err)
						return
					}
				}
				if b.pipes.made[u.key()] == nil {
					t.Errorf("%s, %s: its check has not run it in %d trials", b.pipelineName(u.pipelineSpec), what, len(tr.list))
				}
			}
			for _, u := range checkedInTable(b) {
				try(u, "the table")
			}
			n := i
			for _, p := range limitedProducts() {
				if p.joined != (joined{}) && !fit(&b.limits, backend.Of(nil, p.w, 0, p.out, p.in)) {
					continue // supportsLinear
				}
				for m, way := range b.limits.choices(&p) {
					if n++; m == 0 || n%9 == 0 {
						try(unchecked{way.pipeline(&b.limits, &p), func(t *trials) { tryLinear(t, &p, &way) }}, p.String())
					}
				}
			}
			var some []unchecked // which are run, too
			for j, op := range limitedAttention(dry) {
				if !supportsAttention(&b.limits, op) {
					continue
				}
				e := &encoder{b: b, dry: dry, taken: &taken{}}
				of, ways := e.waysOfAttention(op)
				for _, way := range ways {
					b.Take(of, way)
					if err := encodeOp(e, op); err != nil {
						t.Errorf("%s by %s: %v", of, way, err)
					}
				}
				b.Take(of, "")
				for _, u := range e.taken.list {
					if u.variant == selftestVariant() {
						continue
					}
					if !seen[u.key()] && j%16 == 2*i {
						some = append(some, u)
					}
					try(u, attentionName(op))
				}
			}
			card := c.open(t, nil)
			found, err := card.tryAll(some)
			if err != nil {
				t.Fatal(err)
			}
			for i, err := range found {
				if err != nil {
					t.Errorf("%s: %v", card.pipelineName(some[i].pipelineSpec), err)
				}
			}
			t.Logf("%d pipelines, %d are run", len(seen), len(some))
		})
	}
}

// limitedProducts are products of all kinds, and long ones of one row.
func limitedProducts() []product {
	list := everyProduct()
	for i, d := range backend.DTypes(backend.Weights) {
		long := rightProducts(8192, i, d)
		list = append(list, long[i%len(long)], long[len(long)-1-i])
		for _, head := range []int{24, 128, 256} {
			p := product{rows: 1, in: 768, out: max(head, head/64*256), x: backend.F32, w: d, fours: true, eights: true}
			p.joined.head, p.joined.apart, p.joined.cache = head, []int{1, head / 2}[i%2], backend.F16
			list = append(list, p)
		}
	}
	return list
}

// limitedAttention is attention of short and long vectors, of few and many heads, by one query and more.
func limitedAttention(buf *buffer) (list []*backend.Attention) {
	caches := backend.DTypes(backend.Caches)
	for i, size := range []int{6, 64, 128, 256} {
		for j, heads := range [][2]int{{1, 1}, {4, 2}, {16, 2}, {11, 1}} {
			for k, queries := range []int{1, 3, 40} {
				const context = 600
				d := caches[(i+j+k)%len(caches)]
				f32 := func(dims ...int) backend.Tensor { return backend.Of(buf, backend.F32, 0, dims...) }
				op := &backend.Attention{Heads: heads[0], Scale: 1, Dst: f32(1, queries, heads[0]*size), Q: f32(1, queries, heads[0]*size), At: backend.Of(buf, backend.I32, 0, 2, queries)}
				op.K, op.V = backend.Of(buf, d, 0, 1, context, heads[1]*size), backend.Of(buf, d, 0, 1, context, heads[1]*size)
				switch (i + j + k) % 4 {
				case 1:
					op.Probs = f32(1, heads[0], queries, context)
				case 2:
					op.K, op.V = op.K.Reshape(context/4, 4, heads[1]*size), op.V.Reshape(context/4, 4, heads[1]*size)
					op.Table = backend.Of(buf, backend.I32, 0, 1, context/4)
				case 3:
					op.Window = 100
				}
				list = append(list, op)
			}
		}
	}
	return list
}

// TestLongVectorsOnFewTexels: a driver that takes no more texels than each one must computes attention of vectors for which as many keys
// as a chunk has, of two sequences and groups, are more: by the kernel that reads texels.
func TestLongVectorsOnFewTexels(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // what passed before must not count
	b := openTest(t, swiftshader, func(l *Limits) { l.TexelElements = min(l.TexelElements, 65536) })
	for _, c := range []struct {
		d                   backend.DType
		heads, groups, size int
	}{{backend.F32, 4, 2, 128}, {backend.F16, 2, 2, 128}, {backend.F32, 1, 1, 256}} {
		f32 := func(dims ...int) backend.Tensor { return newTensor(t, b, backend.F32, dims...) }
		op := &backend.Attention{
			Dst: f32(1, 1, c.heads*c.size), Q: f32(1, 1, c.heads*c.size), At: placesOn(t, b, 1, 1, 0), Heads: c.heads, Scale: 1,
			K: newTensor(t, b, c.d, 1, 64, c.groups*c.size), V: newTensor(t, b, c.d, 1, 64, c.groups*c.size),
		}
		if err := backend.Run(b, op); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(b.Describe(), "without") {
		t.Errorf("kernels that are right are not used: this is %s", b.Describe())
	}
	for key := range b.pipes.made {
		if key.variant.Source == "attention" && !key.variant.Has("TEXEL") {
			t.Errorf("%s was taken, expected the kernel that reads texels", key.variant.Name())
		}
	}
}

// TestSpreadAttentionOfSomeHeads: where a dispatch has workgroups for some of the heads alone, results are as with all at once.
func TestSpreadAttentionOfSomeHeads(t *testing.T) {
	run := func(heads uint32) []float32 {
		b := played{name: "software", lanes: 4, software: true, clamp: func(l *Limits) { l.Groups[1] = heads }}.open(t, nil)
		rng := rand.New(rand.NewPCG(1, 2))
		f32 := func(dims ...int) backend.Tensor {
			x := newTensor(t, b, backend.F32, dims...)
			numbers := make([]float32, x.Len())
			for i := range numbers {
				numbers[i] = rng.Float32()
			}
			if err := backend.SetF32(b, x, numbers); err != nil {
				t.Fatal(err)
			}
			return x
		}
		const queries, all, size = 10, 4, 32
		op := &backend.Attention{Dst: f32(1, queries, all*size), Q: f32(1, queries, all*size), K: f32(1, queries, 2*size), V: f32(1, queries, 2*size), At: newTensor(t, b, backend.I32, 2, queries), Heads: all, Scale: 1}
		at := make([]int32, 2*queries)
		for i := range queries {
			at[queries+i] = int32(i)
		}
		if err := errors.Join(backend.SetI32(b, op.At, at), backend.Run(b, op)); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(b.pipes.made)), func(k pipelineKey) bool { return k.variant.Source == "attention_spread" }) {
			t.Error("another kernel was taken")
		}
		return values(t, b, op.Dst)
	}
	if whole, some := run(65535), run(2); !slices.Equal(whole, some) {
		t.Errorf("two heads at a time are %v, all at once %v", some[:8], whole[:8])
	}
}
