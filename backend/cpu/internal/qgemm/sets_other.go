//go:build !amd64 && !arm64

package qgemm

// There is no assembly for this architecture.
var archSets []set

func prefetch(*byte, int) {}

func packQ8(string) packFunc    { return nil }
func packQ4(string) packFunc    { return nil }
func packQ41(string) packFunc   { return nil }
func packQ50(string) packFunc   { return nil }
func packQ51(string) packFunc   { return nil }
func packQ4K(string) packFunc   { return nil }
func packQ5K(string) packFunc   { return nil }
func packQ6K(string) packFunc   { return nil }
func packIQ4NL(string) packFunc { return nil }
func packIQ4XS(string) packFunc { return nil }
func packMXFP4(string) packFunc { return nil }
func oneQ8(string) oneKernel    { return oneKernel{} }
func oneQ4(string) oneKernel    { return oneKernel{} }
func oneQ4K(string) oneKernel   { return oneKernel{} }
func oneQ5K(string) oneKernel   { return oneKernel{} }
func oneQ6K(string) oneKernel   { return oneKernel{} }
func oneQ41(string) oneKernel   { return oneKernel{} }
func oneQ50(string) oneKernel   { return oneKernel{} }
func oneQ51(string) oneKernel   { return oneKernel{} }
func oneIQ4NL(string) oneKernel { return oneKernel{} }
func oneMXFP4(string) oneKernel { return oneKernel{} }
