//go:build cgo

package vulkan

import (
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// rightInputs are how many inputs products of models have, and other numbers at which rows, padding and subgroups end otherwise.
var rightInputs = []int{16, 48, 64, 96, 128, 192, 232, 320, 448, 576, 768, 960, 1024, 1600, 1632, 2048, 2560, 3072, 4096, 5120, 5456, 6400, 8192}

// rightProducts are products of one row, by weights of a dtype, in all that may
// come before and behind them. n chooses among what there is too much of to try all.
func rightProducts(in, n int, w backend.DType) (list []product) {
	p := product{rows: 1, in: in, out: 24, x: backend.F32, w: w, fours: true, eights: true}
	norms := []uint32{0, 1, 2}
	var xs []product // by what is done to x
	for _, norm := range norms {
		q := p
		q.joined.norm = norm
		xs = append(xs, q)
	}
	if w.Quantized() {
		q := p
		q.x = backend.Q8_A
		xs = append(xs, q)
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

// TestRightKernelsPass has cards that compute rightly check kernels for products of all kinds and lengths: none is refused.
func TestRightKernelsPass(t *testing.T) {
	matrices := []vk.MatrixShape{{M: 16, N: 16, K: 16}}
	for i, c := range []played{
		{name: "32 lanes", lanes: 32, shapes: matrices, clamp: dots},
		{name: "64 lanes", lanes: 64, shapes: matrices, clamp: dots},
		{name: "16 lanes, few registers", lanes: 16, clamp: func(l *Limits) { dots(l); l.FewRegisters = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, tried := c.open(t, nil), 0
			for j, in := range rightInputs {
				var list []product
				for k, w := range backend.DTypes(backend.Weights) {
					list = append(list, rightProducts(in, i+j+k, w)...)
				}
				tried += tryChoices(t, b, list)
			}
			t.Logf("%d pipelines", tried)
		})
	}
}
