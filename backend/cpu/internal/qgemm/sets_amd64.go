package qgemm

import "caldera/backend/cpu/internal/isa"

var archSets = []set{
	{name: "avx512", usable: isa.AVX512VNNI, width: 32, lanes: 16, piece: 4, tiles: tilesAVX512, few: &fewAVX512, fast: always, quantize: quantizeAVX512},
	{name: "avxvnni", usable: isa.AVXVNNI, width: 8, lanes: 8, piece: 4, tiles: tilesAVXVNNI, fast: always, quantize: quantizeAVX2},
	{name: "avx2", usable: isa.AVX2, width: 8, lanes: 8, piece: 4, tiles: tilesAVX2, fast: fastAVX2, quantize: quantizeAVX2},
}

func always(*Format) bool { return true }

// fastAVX2 is false for bytes above 63 on processors with AVX-512, whose products of f32 are faster then: words
// would saturate, and signs cost twice the instructions.
func fastAVX2(f *Format) bool { return f.Top <= 63 || !isa.AVX512 }

var fewAVX512 = set{name: "avx512few", width: 16, lanes: 16, piece: 4, tiles: tilesAVX512Few}

// byKind are tiles by group and minimum: 32, 32 with minima, 16, 16 with minima.
type byKind [4][TileRows + 1]tileFunc

func (b *byKind) of(f *Format) [TileRows + 1]tileFunc {
	i := 0
	if f.Group == 16 {
		i = 2
	}
	if f.Min {
		i++
	}
	return b[i]
}

func tilesAVX512(f *Format) [TileRows + 1]tileFunc { return kindsAVX512.of(f) }

var kindsAVX512 = byKind{
	{1: tile1Group32AVX512, 2: tile2Group32AVX512, 4: tile4Group32AVX512},
	{1: tile1Group32MinAVX512, 2: tile2Group32MinAVX512, 4: tile4Group32MinAVX512},
	{1: tile1Group16AVX512, 2: tile2Group16AVX512, 4: tile4Group16AVX512},
	{1: tile1Group16MinAVX512, 2: tile2Group16MinAVX512, 4: tile4Group16MinAVX512},
}

func tilesAVX512Few(f *Format) [TileRows + 1]tileFunc { return kindsAVX512Few.of(f) }

var kindsAVX512Few = byKind{
	{1: tile1Group32AVX512Few, 2: tile2Group32AVX512Few, 4: tile4Group32AVX512Few},
	{1: tile1Group32MinAVX512Few, 2: tile2Group32MinAVX512Few, 4: tile4Group32MinAVX512Few},
	{1: tile1Group16AVX512Few, 2: tile2Group16AVX512Few, 4: tile4Group16AVX512Few},
	{1: tile1Group16MinAVX512Few, 2: tile2Group16MinAVX512Few, 4: tile4Group16MinAVX512Few},
}

func tilesAVXVNNI(f *Format) [TileRows + 1]tileFunc { return kindsAVXVNNI.of(f) }

var kindsAVXVNNI = byKind{
	{1: tile1Group32AVXVNNI, 2: tile2Group32AVXVNNI, 4: tile4Group32AVXVNNI},
	{1: tile1Group32MinAVXVNNI, 2: tile2Group32MinAVXVNNI, 4: tile4Group32MinAVXVNNI},
	{1: tile1Group16AVXVNNI, 2: tile2Group16AVXVNNI, 4: tile4Group16AVXVNNI},
	{1: tile1Group16MinAVXVNNI, 2: tile2Group16MinAVXVNNI, 4: tile4Group16MinAVXVNNI},
}

// tilesAVX2 returns kernels for the bytes of the format. A format whose bytes none of them
// takes is multiplied in Go.
func tilesAVX2(f *Format) [TileRows + 1]tileFunc {
	switch {
	case f.Top <= 15 && f.Group == 32:
		return nibblesAVX2.of(f)
	case f.Top <= 63:
		return sixBitsAVX2.of(f)
	case f.Offset == 128 && f.Group == 32 && !f.Min:
		return [...]tileFunc{1: tile1Group32SignedAVX2, 2: tile2Group32SignedAVX2, 4: tile4Group32SignedAVX2}
	}
	return [TileRows + 1]tileFunc{}
}

var nibblesAVX2 = byKind{
	{1: tile1Group32NibblesAVX2, 2: tile2Group32NibblesAVX2, 4: tile4Group32NibblesAVX2},
	{1: tile1Group32MinNibblesAVX2, 2: tile2Group32MinNibblesAVX2, 4: tile4Group32MinNibblesAVX2},
}

var sixBitsAVX2 = byKind{
	{1: tile1Group32SixBitsAVX2, 2: tile2Group32SixBitsAVX2, 4: tile4Group32SixBitsAVX2},
	{1: tile1Group32MinSixBitsAVX2, 2: tile2Group32MinSixBitsAVX2, 4: tile4Group32MinSixBitsAVX2},
	{1: tile1Group16SixBitsAVX2, 2: tile2Group16SixBitsAVX2, 4: tile4Group16SixBitsAVX2},
	{1: tile1Group16MinSixBitsAVX2, 2: tile2Group16MinSixBitsAVX2, 4: tile4Group16MinSixBitsAVX2},
}

// packer chooses between the functions for vectors of 512 bits, strips for few rows, and vectors of 256 bits.
func packer(set string, wide, few, narrow packFunc) packFunc {
	switch set {
	case "avx512":
		return wide
	case "avx512few":
		return few
	case "avxvnni", "avx2":
		return narrow
	}
	return nil
}

func packQ8(set string) packFunc { return packer(set, packQ8AVX512, packQ8AVX512Few, packQ8AVXVNNI) }
func packQ4(set string) packFunc { return packer(set, packQ4AVX512, packQ4AVX512Few, packQ4AVXVNNI) }
func packQ41(set string) packFunc {
	return packer(set, packQ41AVX512, packQ41AVX512Few, packQ41AVXVNNI)
}
func packQ50(set string) packFunc {
	return packer(set, packQ50AVX512, packQ50AVX512Few, packQ50AVXVNNI)
}
func packQ51(set string) packFunc {
	return packer(set, packQ51AVX512, packQ51AVX512Few, packQ51AVXVNNI)
}
func packQ4K(set string) packFunc {
	return packer(set, packQ4KAVX512, packQ4KAVX512Few, packQ4KAVXVNNI)
}
func packQ5K(set string) packFunc {
	return packer(set, packQ5KAVX512, packQ5KAVX512Few, packQ5KAVXVNNI)
}
func packQ6K(set string) packFunc {
	return packer(set, packQ6KAVX512, packQ6KAVX512Few, packQ6KAVXVNNI)
}
func packIQ4NL(set string) packFunc {
	return packer(set, packIQ4NLAVX512, packIQ4NLAVX512Few, packIQ4NLAVXVNNI)
}
func packIQ4XS(set string) packFunc {
	return packer(set, packIQ4XSAVX512, packIQ4XSAVX512Few, packIQ4XSAVXVNNI)
}
func packMXFP4(set string) packFunc {
	return packer(set, packMXFP4AVX512, packMXFP4AVX512Few, packMXFP4AVXVNNI)
}

// oneRow chooses between the kernels for one row: with AVX-512 VNNI, AVX-VNNI and AVX2.
func oneRow(set string, wide, narrow, plain oneKernel) oneKernel {
	switch set {
	case "avx512few":
		return wide
	case "avxvnni":
		return narrow
	case "avx2":
		return plain
	}
	return oneKernel{}
}

// ofPacked is a kernel for a row of x that has been packed.
func ofPacked(outputs int, run oneFunc) oneKernel { return oneKernel{outputs, true, run} }

func oneQ8(set string) oneKernel {
	return oneRow(set, oneKernel{8, false, oneQ8AVX512One}, oneKernel{8, false, oneQ8AVXVNNI}, oneKernel{8, false, oneQ8AVX2})
}
func oneQ4(set string) oneKernel {
	return oneRow(set, oneKernel{16, false, oneQ4AVX512Few}, oneKernel{8, false, oneQ4AVXVNNI}, ofPacked(8, oneQ4AVX2))
}
func oneQ41(set string) oneKernel {
	return oneRow(set, ofPacked(16, oneQ41AVX512Few), ofPacked(8, oneQ41AVXVNNI), ofPacked(8, oneQ41AVX2))
}
func oneQ50(set string) oneKernel {
	return oneRow(set, ofPacked(16, oneQ50AVX512Few), ofPacked(8, oneQ50AVXVNNI), ofPacked(8, oneQ50AVX2))
}
func oneQ51(set string) oneKernel {
	return oneRow(set, ofPacked(16, oneQ51AVX512Few), ofPacked(8, oneQ51AVXVNNI), ofPacked(8, oneQ51AVX2))
}
func oneQ4K(set string) oneKernel {
	return oneRow(set, ofPacked(16, oneQ4KAVX512Few), ofPacked(8, oneQ4KAVXVNNI), ofPacked(8, oneQ4KAVX2))
}
func oneQ5K(set string) oneKernel {
	return oneRow(set, ofPacked(16, oneQ5KAVX512Few), ofPacked(8, oneQ5KAVXVNNI), ofPacked(8, oneQ5KAVX2))
}
func oneQ6K(set string) oneKernel {
	return oneRow(set, ofPacked(16, oneQ6KAVX512Few), ofPacked(8, oneQ6KAVXVNNI), ofPacked(8, oneQ6KAVX2))
}
func oneIQ4NL(set string) oneKernel {
	return oneRow(set, ofPacked(16, oneIQ4NLAVX512Few), ofPacked(8, oneIQ4NLAVXVNNI), oneKernel{})
}
func oneMXFP4(set string) oneKernel {
	return oneRow(set, ofPacked(16, oneMXFP4AVX512Few), ofPacked(8, oneMXFP4AVXVNNI), ofPacked(8, oneMXFP4AVX2))
}
