//go:build cgo

package vulkan

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"

	"caldera/backend"
	"caldera/shaders"
)

// Objects that are found by a key: things that differ must have different keys.

// TestOneRangeInTwoFormats multiplies with the same bytes as a matrix of f32 and
// as one of f16, in one program and one run.
func TestOneRangeInTwoFormats(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		const rows, in, out = 12, 16, 8 // as f16 the matrix has twice as many outputs
		rng := rand.New(rand.NewPCG(9, 10))
		bytes := make([]byte, 4*in*out)
		for i := range len(bytes) / 2 {
			binary.LittleEndian.PutUint16(bytes[2*i:], float16.Fromfloat32(rng.Float32()-0.5).Bits())
		}
		buf := mustAlloc(t, b, len(bytes))
		if err := b.Write(buf, 0, bytes); err != nil {
			t.Fatal(err)
		}
		xs := make([]float32, rows*in)
		for i := range xs {
			xs[i] = rng.Float32() - 0.5
		}
		x := newTensor(t, b, backend.F32, rows, in)
		if err := backend.SetF32(b, x, xs); err != nil {
			t.Fatal(err)
		}
		one, two := newTensor(t, b, backend.F32, rows, out), newTensor(t, b, backend.F32, rows, 2*out)
		ops := []backend.Op{
			&backend.Linear{Dst: one, X: x, W: backend.Of(buf, backend.F32, 0, out, in)},
			&backend.Linear{Dst: two, X: x, W: backend.Of(buf, backend.F16, 0, 2*out, in)},
		}
		check := func(dst backend.Tensor, outs int, at func(i int) float64) {
			t.Helper()
			got := values(t, b, dst)
			for r := range rows {
				for o := range outs {
					var sum, size float64
					for i := range in {
						v := float64(xs[r*in+i]) * at(o*in+i)
						sum, size = sum+v, size+math.Abs(v)
					}
					if v := float64(got[r*outs+o]); !(math.Abs(v-sum) <= 1e-5*size) {
						t.Fatalf("%v, row %d, output %d: %v, expected %v", dst, r, o, v, sum)
					}
				}
			}
		}
		for _, ops := range [][]backend.Op{ops, {ops[1], ops[0]}} {
			program, err := backend.Record(b, ops...)
			if err != nil {
				t.Fatal(err)
			}
			for _, run := range []func() error{program.Run, func() error { return backend.Run(b, ops...) }} {
				for _, dst := range []backend.Tensor{one, two} {
					if err := backend.SetF32(b, dst, make([]float32, dst.Len())); err != nil {
						t.Fatal(err)
					}
				}
				if err := run(); err != nil {
					t.Fatal(err)
				}
				check(one, out, func(i int) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(bytes[4*i:]))) })
				check(two, 2*out, func(i int) float64 {
					return float64(float16.Frombits(binary.LittleEndian.Uint16(bytes[2*i:])).Float32())
				})
			}
			program.Close()
		}
	})
}

// TestViewsOfDistinctRanges makes texel buffer views that differ in one property each.
func TestViewsOfDistinctRanges(t *testing.T) {
	b := openTest(t, lavapipe, nil)
	buf, other := mustAlloc(t, b, 4096).(*buffer), mustAlloc(t, b, 64<<20).(*buffer) // of another block
	room := resources{b: b}
	defer room.release()
	from := roundUp(buf.offset, b.limits.TexelAlign)
	base := binding{handle: buf.block.Buffer, texel: true, from: from, to: from + 1024}
	all := []binding{base, base, base, base, base}
	all[1].format = texelF16x4
	all[2].from += b.limits.TexelAlign
	all[3].to += 16
	all[4].handle, all[4].from, all[4].to = other.block.Buffer, 0, 1024
	made := map[any]int{}
	for range 2 {
		for i, x := range all {
			v, err := room.view(x)
			if err != nil {
				t.Fatal(err)
			}
			if was, ok := made[v]; ok && was != i {
				t.Errorf("%+v and %+v have one view", all[was], x)
			}
			made[v] = i
		}
	}
	if len(made) != len(all) {
		t.Errorf("%d views of %d bindings: each is made once", len(made), len(all))
	}
}

// TestLayouts: variants share a layout where they have the same bindings and
// as many push constants, and only there.
func TestLayouts(t *testing.T) {
	b := openTest(t, lavapipe, nil)
	type shape struct {
		texel    uint64
		bindings int
		push     int
	}
	shapes, layouts := map[*layout]shape{}, map[shape]*layout{}
	for i := range shaders.Variants {
		v := &shaders.Variants[i]
		s := shape{bindings: len(v.Bindings), push: v.PushSize()}
		texels := 0
		for i, x := range v.Bindings {
			if x.Texel {
				s.texel |= 1 << i
				texels++
			}
		}
		l, err := b.pipes.layout(v)
		if err != nil {
			t.Fatalf("%s: %v", v.Name(), err)
		}
		if l.texels != texels || l.storage != s.bindings-texels || l.pipeline.PushBytes != s.push {
			t.Errorf("%s: a layout of %d storage buffers, %d texel buffers and %d bytes, expected %+v", v.Name(), l.storage, l.texels, l.pipeline.PushBytes, s)
		}
		if was, ok := shapes[l]; ok && was != s {
			t.Errorf("%s: %+v has the layout of %+v", v.Name(), s, was)
		}
		if was, ok := layouts[s]; ok && was != l {
			t.Errorf("%s: two layouts of %+v", v.Name(), s)
		}
		shapes[l], layouts[s] = s, l
	}
}

// TestPipelines: pipelines that differ in a variant or a constant are different objects.
func TestPipelines(t *testing.T) {
	b := openTest(t, lavapipe, nil)
	find := shaders.Find
	specs := []pipelineSpec{
		{variant: find("activate", ""), spec: shaders.ActivateSpec{Lanes: 64}}, {variant: find("activate", "X4"), spec: shaders.ActivateSpec{Lanes: 64}},
		{variant: find("activate", ""), spec: shaders.ActivateSpec{Lanes: 32}}, {variant: find("activate", "")},
		{variant: find("adamw", ""), spec: shaders.AdamWSpec{Lanes: 64}}, {variant: find("adamw", ""), spec: shaders.AdamWSpec{Lanes: 64, Scaled: true}},
	}
	made := map[*pipeline]int{}
	for range 2 {
		for i, s := range specs {
			p, err := b.pipes.get(s)
			if err != nil {
				t.Fatal(err)
			}
			if was, ok := made[p]; ok && was != i {
				t.Errorf("%+v and %+v are one pipeline", specs[was], s)
			}
			made[p] = i
		}
	}
	if len(made) != len(specs) {
		t.Errorf("%d pipelines of %d descriptions: each is made once", len(made), len(specs))
	}
}

// TestCachePaths: another device, driver or set of shaders has a file of its own.
func TestCachePaths(t *testing.T) {
	keys := []cacheKey{testKey()}
	add := func(change func(*cacheKey)) {
		k := testKey()
		change(&k)
		keys = append(keys, k)
	}
	add(func(k *cacheKey) { k.vendor++ })
	add(func(k *cacheKey) { k.device++ })
	add(func(k *cacheKey) { k.vendor, k.device = k.device, k.vendor })
	for i := range keys[0].uuid {
		add(func(k *cacheKey) { k.uuid[i] ^= 0x80 })
	}
	for i := range 8 {
		add(func(k *cacheKey) { k.shaders[i] ^= 1 })
	}
	paths := map[string]cacheKey{}
	for _, k := range keys {
		path := cacheFileOf("folder", k).path
		if was, ok := paths[path]; ok {
			t.Errorf("%+v and %+v have one path, %s", was, k, path)
		}
		paths[path] = k
	}
	if shaders.Set() == (cacheKey{}).shaders {
		t.Error("the shaders have no hash")
	}
}
