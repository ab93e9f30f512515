package draw

import "os"

//go:noescape
func largestNEON(x *float32, n int) (largest float32, bad uint32)

//go:noescape
func expSumNEON(x *float32, n int, best float64) float64

//go:noescape
func weightsNEON(dst *uint64, x *float32, n int, best, scale float32) uint64

//go:noescape
func weightSumNEON(x *float32, n int, best, scale float32) uint64

//go:noescape
func aboveNEON(dst *uint16, x *float32, n int, floor float32)

// sets are those of this processor: NEON, which all have, unless CALDERA_CPU names less.
var sets = func() []*functions {
	if os.Getenv("CALDERA_CPU") == "go" {
		return nil
	}
	return []*functions{{largestNEON, expSumNEON, weightsNEON, weightSumNEON, aboveNEON}}
}()
