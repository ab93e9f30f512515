//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

// Some drivers advertise subgroup operations that do not work, or a subgroup size
// that is not the real one. So before any kernel with subgroup operations is checked, a test
// shader must have given the right results.

// subgroupTest is the pipeline of selftest.comp.
func (b *Backend) subgroupTest() pipelineSpec {
	l := &b.limits
	return pipelineSpec{variant: selftestVariant(), spec: shaders.Workgroup{Lanes: min(4*l.SubgroupSize, l.Invocations, l.WorkgroupSize[0])}}
}

func selftestVariant() *shaders.Variant { return shaders.Find("selftest", "") }

// trySubgroups makes the trial of selftest.comp. Subgroups must have the size that
// the limits say, consecutive invocations must be lanes of one subgroup, and subgroupAdd must
// give the right sum.
func trySubgroups(t *trials) {
	const groups = 2
	spec := t.b.subgroupTest()
	size, subgroup := spec.spec.(shaders.Workgroup).Lanes, t.b.limits.SubgroupSize
	r := result{name: "(size, number, lane, sum) of the subgroup of an invocation", dtype: backend.I32, stride: 4}
	for at := range groups * size {
		i := at % size
		first := i / subgroup * subgroup
		sum := uint32(0)
		for j := first; j < min(first+subgroup, size); j++ {
			sum += j*j + 1
		}
		r.want = append(r.want, float64(subgroup), float64(i/subgroup), float64(i%subgroup), float64(sum))
	}
	r.most = make([]float64, len(r.want))
	r.at = t.place(make([]byte, 4*len(r.want)))
	dst := t.tensor(backend.I32, r.at, len(r.want))
	t.add(trial{
		what: "two workgroups", results: []result{r},
		encode: func(e *encoder) error {
			to, _ := e.operand(dst, backend.Write)
			return e.dispatch(spec, nil, [3]uint32{groups, 1, 1}, to)
		},
	})
}
