package draw

import (
	"os"

	"golang.org/x/sys/cpu"
)

//go:noescape
func largestAVX512(x *float32, n int) (largest float32, bad uint32)

//go:noescape
func largestAVX2(x *float32, n int) (largest float32, bad uint32)

//go:noescape
func expSumAVX512(x *float32, n int, best float64) float64

//go:noescape
func expSumAVX2(x *float32, n int, best float64) float64

//go:noescape
func weightsAVX512(dst *uint64, x *float32, n int, best, scale float32) uint64

//go:noescape
func weightsAVX2(dst *uint64, x *float32, n int, best, scale float32) uint64

//go:noescape
func weightSumAVX512(x *float32, n int, best, scale float32) uint64

//go:noescape
func weightSumAVX2(x *float32, n int, best, scale float32) uint64

//go:noescape
func aboveAVX512(dst *uint16, x *float32, n int, floor float32)

//go:noescape
func aboveAVX2(dst *uint16, x *float32, n int, floor float32)

// sets are those of this processor, the fastest first. CALDERA_CPU names a lesser one, as for the CPU backend.
var sets = func() (sets []*functions) {
	most := os.Getenv("CALDERA_CPU")
	if most == "go" || most == "sse2" {
		return nil
	}
	x := cpu.X86
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && (most == "" || most == "avx512") {
		sets = append(sets, &functions{largestAVX512, expSumAVX512, weightsAVX512, weightSumAVX512, aboveAVX512})
	}
	if x.HasAVX2 && x.HasFMA {
		sets = append(sets, &functions{largestAVX2, expSumAVX2, weightsAVX2, weightSumAVX2, aboveAVX2})
	}
	return sets
}()
