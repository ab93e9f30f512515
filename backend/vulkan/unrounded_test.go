//go:build cgo

package vulkan

import (
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
)

// forgetful is a card whose compiler takes ROUND_X for false.
type forgetful struct{ *interpreter }

// roundX is the number of the constant ROUND_X in shaders for products.
var roundX = map[string]int{"linear_one": 9, "linear_rows": 8, "linear_vec": 6, "linear": 7}

func (d forgetful) CreateComputePipeline(info vk.PipelineInfo) (vk.Pipeline, error) {
	d.mu.Lock()
	source := d.modules[info.Module].variant.Source
	d.mu.Unlock()
	if id := roundX[source]; id > 0 {
		info.Spec = slices.Clone(info.Spec)
		info.Spec[id] = 0
	}
	return d.interpreter.CreateComputePipeline(info)
}

// TestUnroundedIsFound: checks refuse kernels that do not round x where they should, whatever else they compute. Of
// many pipelines it takes some.
func TestUnroundedIsFound(t *testing.T) {
	const some = 17
	t.Parallel()
	b, d := played{name: "a card", lanes: 32, checked: true, clamp: dots, shapes: []vk.MatrixShape{{M: 16, N: 16, K: 16}}, cache: t.TempDir()}.openChecked(t)
	b.pipes.dev = forgetful{d}
	var list []unchecked
	n, seen := 0, map[pipelineKey]bool{}
	for i, w := range backend.DTypes(backend.Weights)[1:] {
		var products []product
		for _, in := range []int{64, 256, 768, 4096} {
			products = append(products, rightProducts(in, i, w)...)
		}
		for _, rows := range []int{2, 3, 5, 8, 17, 33} {
			p := product{rows: rows, in: 96, out: 20, x: backend.F32, w: w, fours: true, eights: true, rounded: true}
			products = append(products, p)
			p.residual, p.activation = true, backend.GELUTanh
			products = append(products, p)
			if rows <= 3 {
				products = append(products, product{rows: rows, in: 96, out: 20, x: backend.F32, w: w, fours: true, eights: true, rounded: true, joined: joined{norm: 2}})
			}
		}
		for _, p := range products {
			for _, way := range b.limits.choices(&p) {
				u := unchecked{way.pipeline(&b.limits, &p), func(t *trials) { tryLinear(t, &p, &way) }}
				if !p.rounded || roundX[way.source] == 0 || seen[u.key()] {
					continue
				}
				seen[u.key()] = true
				if n++; n%some == 0 {
					list = append(list, u)
				}
			}
		}
	}
	found, err := b.tryAll(list)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range found {
		if err == nil {
			t.Errorf("%s does not round x, and passes", b.pipelineName(list[i].pipelineSpec))
		}
	}
	t.Logf("%d of %d pipelines", len(list), n)
}
