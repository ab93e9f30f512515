//go:build cgo

package vulkan

import (
	"slices"
	"testing"

	"caldera/backend"
)

// rightInputs are how many inputs products of models have, and other numbers at which rows, padding and subgroups end otherwise.
var rightInputs = []int{16, 48, 64, 96, 128, 192, 232, 320, 448, 576, 768, 960, 1024, 1600, 1632, 2048, 2560, 3072, 4096, 5120, 5456, 6400, 8192}

// rightProducts are products of one row, and of a few behind a norm, by weights of a dtype, in all that may
// come before and behind them. n chooses among what there is too much of to try all.
func rightProducts(in, n int, w backend.DType) (list []product) {
	p := product{rows: 1, in: in, out: 24, x: backend.F32, w: w, fours: true, eights: true}
	norms := []uint32{0, 1, 2}
	var xs []product // by how x becomes blocks
	for _, norm := range norms {
		q := p
		q.joined.norm = norm
		xs = append(xs, q)
		if w.Quantized() {
			q.joined.blocks = backend.Q8_A
			xs = append(xs, q)
		}
	}
	if w.Quantized() {
		q := p
		q.x = backend.Q8_A
		xs = append(xs, q)
	}
	if w != backend.F32 {
		for _, norm := range []uint32{0, 1, 2} {
			q := p
			q.rounded, q.joined.norm = true, norm
			xs = append(xs, q)
		}
	}
	caches := append([]backend.DType{backend.None}, backend.DTypes(backend.Caches)...)
	for _, x := range xs {
		n++
		act := x
		act.activation, act.residual = []backend.Activation{backend.GELUTanh, backend.SiLU, backend.ReLU}[n%3], n%2 == 0
		gated := x
		gated.activation, gated.joined.gate = backend.SiLU, true
		list = append(list, []product{act, gated}[n%2])
		for i, cache := range caches {
			stored := x
			stored.joined.cache, stored.joined.table = cache, cache != backend.None && (n+i)%2 == 0
			if cache != backend.None {
				list = append(list, stored)
			}
			stored.joined.head = []int{4, 6, 8, 12}[(n/2+i)%4]
			stored.joined.apart = []int{1, stored.joined.head / 2}[(n+i)%2]
			list = append(list, stored)
		}
	}
	return list
}

// TestRightKernelsPass has cards that compute rightly check kernels for products of all kinds and lengths, as the rule
// takes them and as measurements may: none is refused. Each card has some of them, another one others.
func TestRightKernelsPass(t *testing.T) {
	t.Parallel()
	const some, fewer = 31, 113 // of so many products one as the rule takes it, and of so many ways to compute them one
	for i, c := range []played{
		{name: "32 lanes", lanes: 32, clamp: func(l *Limits) { dots(l); l.Vendor = nvidia }},
		{name: "64 lanes", lanes: 64, clamp: dots},
		{name: "16 lanes, few registers", lanes: 16, clamp: func(l *Limits) { dots(l); l.FewRegisters = true }},
		{name: "8 lanes", lanes: 8, clamp: dots},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, n := c.open(t, nil), 3*i
			var tried taken
			for j, in := range rightInputs {
				for k, w := range backend.DTypes(backend.Weights) {
					for _, p := range rightProducts(in, i+j+k, w) {
						for m, way := range b.limits.choices(&p) {
							if n++; m == 0 && n%some == 0 || n%fewer == 0 {
								tried.add(unchecked{way.pipeline(&b.limits, &p), func(t *trials) { tryLinear(t, &p, &way) }})
							}
						}
					}
				}
			}
			for list := range slices.Chunk(tried.list, 200) {
				passAll(t, b, list)
			}
			t.Logf("%d pipelines", len(tried.list))
		})
	}
}
