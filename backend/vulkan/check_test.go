//go:build cgo

package vulkan

import (
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// triedProducts are products for which a device has all kernels there are among their choices.
func triedProducts() (list []product) {
	for _, w := range backend.DTypes(backend.Weights) {
		for _, rows := range []int{1, 3, 20, 600} {
			p := product{rows: rows, in: 96, out: 300, x: backend.F32, w: w, fours: true, texels: w == backend.F32 || w == backend.F16, eights: rows == 1, whole: true}
			p.xTexels = !p.texels
			list = append(list, p)
			if rows > 1 {
				p.residual, p.activation = true, backend.GELUTanh
				list = append(list, p)
			}
			if rows == 1 {
				for _, j := range []joined{
					{norm: 1}, {norm: 2}, {cache: backend.F32}, {cache: backend.F16, table: true, norm: 1}, {apart: 1, head: 20}, {apart: 8, head: 16, cache: backend.BF16},
				} {
					p.joined, p.activation = j, backend.NoActivation
					list = append(list, p)
				}
				p.joined = joined{}
			}
			if !w.Quantized() {
				p.transposed, p.eights = true, false
				p.residual, p.activation = false, backend.SiLU
				list = append(list, p)
			}
			if w == backend.F16 || w.Quantized() {
				p.transposed, p.x, p.texels, p.xTexels = false, backend.F16, false, false
				if w.Quantized() {
					p.x = backend.Q8_A
				}
				list = append(list, p)
			}
		}
		if w == backend.F16 || w == backend.F32 {
			for _, in := range []int{96, 2000} {
				list = append(list, product{rows: 300, in: in, out: 300, x: w, w: w, fours: true, texels: true, transposed: true, columns: true, accumulate: true, whole: true})
			}
		}
	}
	return list
}

// tryChoices runs the trials of all ways to compute products, and returns how many there are.
func tryChoices(t *testing.T, b *Backend, products []product) (tried int) {
	t.Helper()
	var list []unchecked
	seen := map[pipelineKey]bool{}
	for _, p := range products {
		for _, c := range b.limits.choices(&p) {
			u := unchecked{c.pipeline(&b.limits, &p), func(t *trials) { tryLinear(t, &p, &c) }}
			if key := u.key(); !seen[key] {
				seen[key] = true
				list = append(list, u)
			}
		}
	}
	found, err := b.tryAll(list)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range found {
		if err != nil {
			t.Errorf("%s: %v", b.pipelineName(list[i].pipelineSpec), err)
		}
	}
	return len(list)
}

// TestEveryChoice computes products in all ways that there are, the rule's and others: what the
// checks compare with is right, and so is each kernel in each division of its work.
func TestEveryChoice(t *testing.T) {
	for _, c := range []struct {
		name, driver string
		clamp        func(*Limits)
	}{{"software", lavapipe, nil}, {"gpu", lavapipe, gpu}} {
		t.Run(c.name, func(t *testing.T) {
			t.Logf("%d pipelines", tryChoices(t, openTest(t, c.driver, c.clamp), triedProducts()))
		})
	}
	t.Run("matrices", func(t *testing.T) {
		b := played{name: "matrices", lanes: 32, shapes: []vk.MatrixShape{{M: 16, N: 16, K: 16}}}.open(t, nil)
		t.Logf("%d pipelines", tryChoices(t, b, []product{{rows: 20, in: 36, out: 20, x: backend.F16, w: backend.F16, fours: true}}))
	})
}
