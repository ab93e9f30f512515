//go:build !unix

package gemm

func fenced(n int) []byte { return make([]byte, n) }
