// Package gemm multiplies matrices of float32, float16 and bfloat16.
package gemm

//go:generate go -C ../asm run ./gemm -out ../gemm/kernels_amd64.s -stubs ../gemm/kernels_amd64.go -pkg gemm
