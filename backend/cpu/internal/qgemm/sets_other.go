//go:build !amd64 && !arm64

package qgemm

// There is no assembly for this architecture.
var archSets []set

func prefetch(*byte, int) {}

func packQ8(string) packFunc { return nil }
func packQ4(string) packFunc { return nil }
func oneQ8(string) oneKernel { return oneKernel{} }
func oneQ4(string) oneKernel { return oneKernel{} }
