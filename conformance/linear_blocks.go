package conformance

import (
	"slices"

	"caldera/backend"
)

// Types of blocks beyond those for which backends have kernels of their own. A block is read in
// one place, whatever the kernel: so a few shapes show what all would.

// fully is those of some types that every shape is tried with.
func fully(ds []backend.DType) []backend.DType {
	return slices.DeleteFunc(slices.Clone(ds), func(d backend.DType) bool {
		return d.Quantized() && d != backend.Q8_0 && d != backend.Q4_0
	})
}

// simpleCases are products with the other types.
func simpleCases() []Case {
	var cases []Case
	for _, d := range backend.QuantizedDTypes() {
		if len(fully([]backend.DType{d})) > 0 {
			continue
		}
		n := d.BlockLen()
		for i, rows := range [][]int{{1}, {2, 3}, {9}, {70}} {
			s := linearShape{rows: rows, in: n * (1 + i%2), out: []int{67, 33, 68, 130}[i], w: d, noBias: i == 1, layout: Layouts[i]}
			cases = append(cases, s.linear())
			s.blocks = true
			if i < 3 {
				cases = append(cases, s.linear())
			}
		}
		long := linearShape{rows: []int{1}, in: 1536, out: 36, w: d, residual: true, activation: backend.GELUTanh, layout: exact}
		cases = append(cases, long.linear())
		long.rows, long.in, long.rounded = []int{40}, 512, true
		cases = append(cases, long.linear())
		one := linearShape{rows: []int{1, 1}, in: 512, out: 48, w: d, layout: exact}
		cases = append(cases, joinedShape{linearShape: one, norm: "rmsnorm", heads: 2, plain: 1, cache: backend.F16, from: 16}.joined())
		one.converted = true
		cases = append(cases, joinedShape{linearShape: one, norm: "layernorm"}.joined())
		one.rows = []int{1, 3}
		cases = append(cases, joinedShape{linearShape: one, norm: "rmsnorm", gate: backend.LinearGate{On: true, Func: backend.SiLU}}.joined())
	}
	return cases
}
