//go:build !amd64 && !arm64

package gemm

func choose() *kernels { return &portable }

// sets are the kernels that this processor can run.
func sets() []*kernels { return []*kernels{&portable} }
