//go:build cgo

package vulkan

import (
	"fmt"
	"os"
	"testing"

	"caldera/backend"
	"caldera/internal/gpulab"
)

func TestZZMatrix(t *testing.T) {
	name := os.Getenv("ZZ_CARD")
	if name == "" {
		t.Skip()
	}
	card, err := gpulab.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	l := openLab(t, card)
	for _, d := range backend.DTypes(backend.Weights)[1:] {
		for _, n := range []uint32{4, 2, 1} {
			p := product{rows: 512, in: 768, out: 3072, x: backend.F32, w: d, rounded: true, aligned: true, activation: backend.GELUTanh}
			for _, c := range waysOfMatrix(&l.limits, &p) {
				if c.tile == n {
					_, err := l.pipes.get(c.pipeline(&l.limits, &p))
					l.must(err)
				}
			}
		}
	}
	p := product{rows: 512, in: 768, out: 3072, x: backend.F16, w: backend.F16, aligned: true}
	for _, c := range waysOfMatrix(&l.limits, &p) {
		_, err := l.pipes.get(c.pipeline(&l.limits, &p))
		l.must(err)
	}
	r := l.report(card)
	for _, k := range r.Kernels {
		fmt.Printf("%s {%s} %+v\n", k.Name, k.Spec, k)
	}
	for _, fault := range gpulab.Judge(card, r.Kernels) {
		fmt.Println("FAULT", fault)
	}
	fmt.Println(l.Describe(), l.limits.Matrix, l.limits.MatrixSubgroup)
}
