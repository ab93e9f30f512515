// Package isa tells which instruction sets the kernels of the CPU backend use: those that
// the processor and the operating system have, unless Env names fewer, and how far rows that
// they read at once lie from each other.
package isa

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/cpu"
)

// Env is the environment variable that names the best instruction set that may be used,
// one of Names. It is for tests, which play an older processor with it.
const Env = "CALDERA_CPU"

// Names are the values of Env on this architecture, from none to the best.
var Names = namesOf(runtime.GOARCH)

func namesOf(arch string) []string {
	switch arch {
	case "amd64":
		return []string{"go", "sse2", "avx2", "avxvnni", "avx512"}
	case "arm64":
		return []string{"go", "neon"}
	}
	return []string{"go"}
}

var (
	// SSE2 is on every amd64 processor.
	SSE2 = cpu.X86.HasSSE2 && allowed("sse2")
	// AVX2 stands for FMA, F16C and BMI2 too: every CPU with AVX2 and FMA has them.
	AVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2 && allowed("avx2")
	// AVX512 stands for its parts F, BW, DQ and VL, and for AVX2.
	AVX512 = AVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && allowed("avx512")
	// AVXVNNI multiplies bytes, as AVX512VNNI does.
	AVXVNNI    = AVX2 && cpu.X86.HasAVXVNNI && allowed("avxvnni")
	AVX512VNNI = AVX512 && cpu.X86.HasAVX512VNNI
	// NEON is on every arm64 processor.
	NEON = cpu.ARM64.HasASIMD && allowed("neon")
	// DotProd and I8MM multiply bytes, vectors and matrices of them.
	DotProd = NEON && cpu.ARM64.HasASIMDDP
	I8MM    = DotProd && cpu.ARM64.HasI8MM
)

// allowed reports whether Env lets an instruction set be used.
func allowed(name string) bool {
	most := slices.Index(Names, os.Getenv(Env))
	return most < 0 || slices.Index(Names, name) <= most
}

// Check returns an error if Env has a value that names no instruction set of this architecture.
func Check() error {
	if s := os.Getenv(Env); s != "" && !slices.Contains(Names, s) {
		return fmt.Errorf("%s=%s names no instruction set of %s: expected one of %s, or nothing", Env, s, runtime.GOARCH, strings.Join(Names, ", "))
	}
	return nil
}
