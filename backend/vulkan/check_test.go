//go:build cgo

package vulkan

import (
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// triedProducts are products that take every kernel, in every dtype with one of its own.
var triedProducts = []product{
	{rows: 1, in: 96, out: 300, x: backend.F32, w: backend.F32, fours: true, texels: true, eights: true},
	{rows: 1, in: 96, out: 300, x: backend.F32, w: backend.F16, fours: true, texels: true, eights: true, joined: joined{norm: 1, cache: backend.F16, table: true}},
	{rows: 1, in: 96, out: 300, x: backend.F32, w: backend.BF16, fours: true, xTexels: true, eights: true, joined: joined{norm: 2, apart: 1, head: 20}},
	{rows: 1, in: 96, out: 300, x: backend.F32, w: backend.Q8_0, fours: true, xTexels: true, eights: true, joined: joined{apart: 8, head: 16, cache: backend.F32}},
	{rows: 1, in: 96, out: 300, x: backend.F32, w: backend.Q4_0, fours: true, xTexels: true, eights: true, activation: backend.SiLU},
	{rows: 1, in: 96, out: 300, x: backend.F32, w: backend.F16, fours: true, texels: true, eights: true, activation: backend.SiLU, joined: joined{norm: 2, gate: true}},
	{rows: 3, in: 96, out: 300, x: backend.F32, w: backend.F16, fours: true, texels: true, residual: true},
	{rows: 3, in: 96, out: 300, x: backend.Q8_A, w: backend.Q8_0, activation: backend.GELUErf},
	{rows: 20, in: 96, out: 300, x: backend.F32, w: backend.Q4_0, fours: true, xTexels: true},
	{rows: 300, in: 96, out: 300, x: backend.F32, w: backend.BF16, fours: true, xTexels: true, activation: backend.GELUTanh, residual: true, accumulate: true},
	{rows: 3, in: 96, out: 300, x: backend.F32, w: backend.F32, fours: true, texels: true, transposed: true, residual: true},
	{rows: 300, in: 96, out: 300, x: backend.F16, w: backend.F16, fours: true, transposed: true},
	{rows: 300, in: 96, out: 300, x: backend.F32, w: backend.F32, fours: true, texels: true, transposed: true, columns: true, accumulate: true, whole: true},
	{rows: 300, in: 2000, out: 300, x: backend.F16, w: backend.F16, fours: true, transposed: true, columns: true, accumulate: true, whole: true},
}

// tryChoices runs the trials of ways to compute products, one of each kernel that the device is for,
// and returns how many there are.
func tryChoices(t *testing.T, b *Backend, products []product) (tried int) {
	t.Helper()
	var list []unchecked
	seen := map[pipelineKey]bool{}
	for _, p := range products {
		ways := map[string]bool{}
		for _, c := range b.limits.choices(&p) {
			if ways[c.source] || !kernelOf(&c).suits(&b.limits, &p) {
				continue
			}
			ways[c.source] = true
			u := unchecked{c.pipeline(&b.limits, &p), func(t *trials) { tryLinear(t, &p, &c) }}
			if key := u.key(); !seen[key] {
				seen[key] = true
				list = append(list, u)
			}
		}
	}
	passAll(t, b, list)
	return len(list)
}

// TestEveryChoice computes products in all ways that there are, the rule's and others: what the
// checks compare with is right, and so is each kernel in each division of its work.
func TestEveryChoice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, driver string
		clamp        func(*Limits)
	}{{"software", lavapipe, nil}, {"gpu", lavapipe, gpu}} {
		t.Run(c.name, func(t *testing.T) {
			t.Logf("%d pipelines", tryChoices(t, openTest(t, c.driver, c.clamp), triedProducts))
		})
	}
	t.Run("matrices", func(t *testing.T) {
		b := played{name: "matrices", lanes: 32, shapes: []vk.MatrixShape{{M: 16, N: 16, K: 16}}}.open(t, nil)
		t.Logf("%d pipelines", tryChoices(t, b, []product{{rows: 20, in: 36, out: 20, x: backend.F16, w: backend.F16, fours: true}}))
	})
}

// passAll has a device that computes rightly check pipelines: none is refused.
func passAll(t *testing.T, b *Backend, list []unchecked) {
	t.Helper()
	found, err := b.tryAll(list)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range found {
		if err != nil {
			t.Errorf("%s: %v", b.pipelineName(list[i].pipelineSpec), err)
		}
	}
}
