package backend

import (
	"math"
	"math/bits"
)

// The arithmetic of Sample, which backends and hosts share. All of it is exact: integers,
// and single operations on f32, each rounded once, of which none can be fused with
// another. Results below the normal numbers of f32 count as 0, because some devices give 0
// for them.

const (
	sampleBits = 40       // of a weight's fraction
	minNormal  = 0x1p-126 // the least normal f32
	infinity   = 0x7f800000
)

// normal is v, or 0 if it is less than the least normal number.
func normal(v float32) float32 {
	if v > -minNormal && v < minNormal {
		return 0
	}
	return v
}

// SampleKey maps the bits of f32 to integers of the same order. Both zeros, and all that
// lies between them and the least normal numbers, have one key. Keys of −∞ and of what is
// not finite are the least, [SampleKeyNone], and above all others.
func SampleKey(b uint32) uint32 {
	magnitude := b & 0x7fffffff
	if magnitude < 0x00800000 {
		return 1 << 31
	}
	if magnitude == b {
		return 1<<31 + magnitude
	}
	if magnitude > infinity { // NaN
		return math.MaxUint32
	}
	return 1<<31 - magnitude
}

// SampleKeyNone is the key of −∞.
const SampleKeyNone = 1<<31 - infinity

// SampleKeyFinite reports whether a key is that of a finite number.
func SampleKeyFinite(key uint32) bool { return key > SampleKeyNone && key < 1<<31+infinity }

// SampleValue is a number with the key, which is that of a finite number.
func SampleValue(key uint32) float32 {
	if key >= 1<<31 {
		return math.Float32frombits(key - 1<<31)
	}
	return -math.Float32frombits(1<<31 - key)
}

// SamplePenalty is the key of a logit with the repeat penalty; key is that of the logit, a
// finite number.
func (s *SampleSettings) SamplePenalty(key uint32) uint32 {
	x := SampleValue(key)
	if x > 0 {
		x = float32(x * s.Inverse)
	} else {
		x = float32(x * s.Penalty)
	}
	return SampleKey(math.Float32bits(max(-math.MaxFloat32, min(x, math.MaxFloat32))))
}

// SampleDistance is how far a logit is below the largest, from their keys.
func SampleDistance(best, key uint32) float32 {
	return normal(min(float32(SampleValue(best)-SampleValue(key)), math.MaxFloat32))
}

// SampleBelow is [SampleDistance] of the logit itself, which is finite; best is the number of
// the largest's key.
func SampleBelow(best, logit float32) float32 {
	d := float32(best - normal(logit))
	if d > math.MaxFloat32 {
		return math.MaxFloat32
	}
	return normal(d)
}

// SampleWeight is 2⁴⁰ · exp(−d), d ≥ 0, with an error of less than 2⁻²⁵ of it, and one for
// rounding down. It is 0 from d = 32 on.
//
// With d in units of 2⁻²⁷, the product with log₂ e, in units of 2⁻³¹, is n + f: bits 58 and
// higher are n, the 32 below that the fraction f. A polynomial gives 2⁻ᶠ = 1 − f·q(f), where
// q interpolates at Chebyshev's nodes; its error is below 1.1·10⁻⁸.
func SampleWeight(d float32) uint64 {
	if !(d < 32) {
		return 0
	}
	p := uint64(uint32(d*(1<<27))) * 0xb8aa3b29
	f := p >> 26 & math.MaxUint32
	// One expression, by Horner's rule, so that Go compiles it into loops.
	return (1<<31 - (0xb17217df-((0x3d7f7506-((0xe353290-((0x274f388-((0x54a612-(0x78809*f>>32))*
		f>>32))*f>>32))*f>>32))*f>>32))*f>>33) << (sampleBits - 31) >> (p >> 58)
}

// SampleScaled is d times a slot's Scale: the distance at its temperature.
func (s *SampleSettings) SampleScaled(d float32) float32 {
	return min(float32(d*s.Scale), math.MaxFloat32)
}

// SampleCell is the cell, 1/16 wide, of a token at distance d. The last one has all that
// are further.
func SampleCell(d float32) int {
	if !(d < SampleCells/16) {
		return SampleCells - 1
	}
	return int(d * 16)
}

// SampleTarget is ⌈p · total⌉: what the weights of the tokens that top-p keeps add up to at
// least.
func (s *SampleSettings) SampleTarget(total uint64) uint64 {
	hi, lo := bits.Mul64(s.TopP, total)
	if lo > 0 {
		hi++
	}
	return hi
}

// SampleRandom is a number from 0 to total−1: word 0 and 1 of [Philox] with the seed as
// key, and a counter of draws and two fixed words, times total / 2⁶⁴.
func (s *SampleSettings) SampleRandom(draws uint32, total uint64) uint64 {
	w := Philox([2]uint32{uint32(s.Seed), uint32(s.Seed >> 32)}, [4]uint32{draws, 0, 0x73616d70, 0x6c650000})
	hi, _ := bits.Mul64(uint64(w[0])|uint64(w[1])<<32, total)
	return hi
}
