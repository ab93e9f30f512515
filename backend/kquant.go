package backend

// What the K types of ggml share: blocks of 256 numbers in groups, whose scales are
// integers that a scale of the block multiplies. Scales are searched for as ggml's
// reference does (make_qkx2_quants and make_qx_quants in ggml-quants.c, without an
// importance matrix), and every step rounds to f32, so that the same numbers give the
// same bytes on every machine, and as a rule those of llama.cpp.

import (
	"math"

	"github.com/x448/float16"
)

// tiny is below what a group is taken for zeros.
const tiny = 1e-15

// round is the nearest integer, the even one of two, of magnitudes below 2²².
func round(x float32) int32 {
	return int32(math.Float32bits(x+12582912)&0x7fffff) - 0x400000
}

// clamp is the nearest integer to x within bounds.
func clamp(x float32, low, high int32) int32 {
	switch { // what round does not take, infinities and NaN among it
	case x >= float32(high):
		return high
	case x > float32(low):
		return round(x)
	}
	return low
}

// groupScales are the scales and minima of the eight groups of a block of [Q4_K] or
// [Q5_K], six bits each.
type groupScales [12]byte

// at is those of group g.
func (s *groupScales) at(g int) (scale, minimum byte) {
	if g < 4 {
		return s[g] & 63, s[g+4] & 63
	}
	return s[g+4]&15 | s[g-4]>>6<<4, s[g+4]>>4 | s[g]>>6<<4
}

// set sets those of group g, of which the four before it have been set.
func (s *groupScales) set(g int, scale, minimum byte) {
	if g < 4 {
		s[g], s[g+4] = scale, minimum
		return
	}
	s[g+4] = scale&15 | minimum<<4
	s[g-4] |= scale >> 4 << 6
	s[g] |= minimum >> 4 << 6
}

// decodeK reads what a block of [Q4_K] or [Q5_K] begins with: the factors of group g and
// what is subtracted.
func decodeK(p []byte, g int) (scale, minimum float32) {
	s, m := (*groupScales)(p[4:16]).at(g)
	return half(p) * float32(s), half(p[2:]) * float32(m)
}

// appendK appends what a block begins with, and returns the numbers up to top that
// follow. The search tries steps from scales as of first more numbers on.
func appendK(p []byte, values []float32, d DType, q *[256]byte, top int32, first float32, steps int) ([]byte, error) {
	far, err := largest(values, d)
	if err != nil {
		return nil, err
	}
	var scales, minima [8]float32
	var steepest, deepest float32
	for g := range 8 {
		scales[g], minima[g] = rangeOf((*[32]float32)(values[32*g:]), (*[32]byte)(q[32*g:]), top, first, steps)
		steepest, deepest = max(steepest, scales[g]), max(deepest, minima[g])
	}
	if p, err = appendScale(p, steepest/63, far, d); err != nil {
		return nil, err
	}
	if p, err = appendScale(p, deepest/63, far, d); err != nil {
		return nil, err
	}
	per := func(x float32) float32 {
		if x > 0 {
			return 63 / x
		}
		return 0
	}
	perScale, perMinimum := per(steepest), per(deepest)
	var s groupScales
	for g := range 8 {
		s.set(g, byte(clamp(perScale*scales[g], 0, 63)), byte(clamp(perMinimum*minima[g], 0, 63)))
	}
	p = append(p, s[:]...)
	for g := range 8 {
		scale, minimum := decodeK(p[len(p)-16:], g)
		if scale == 0 {
			continue // any number is 0
		}
		for j, v := range values[32*g:][:32] {
			q[32*g+j] = byte(clamp((v+minimum)/scale, 0, top))
		}
	}
	return p, nil
}

// rangeOf searches for the scale, and for the number that is subtracted, of a group: such that
// the squares of errors are least, of which each is weighted by the magnitude of its value.
func rangeOf(values *[32]float32, q *[32]byte, top int32, first float32, steps int) (scale, minimum float32) {
	squares := float32(0)
	for _, v := range values {
		squares += float32(v * v)
	}
	average := float32(math.Sqrt(float64(squares / 32)))
	var weights [32]float32
	low, high, sumW, sumX := values[0], values[0], float32(0), float32(0)
	for j, v := range values {
		w := average + abs(v)
		weights[j] = w
		low, high = min(low, v), max(high, v)
		sumW += w
		sumX += float32(w * v)
	}
	low = min(low, 0)
	if high == low {
		clear(q[:])
		return 0, -low
	}
	n := float32(top)
	off := func(q *[32]float32, scale, low float32) (sum float32) {
		for j, v := range values {
			e := float32(scale*q[j]) + low - v
			sum += float32(weights[j] * float32(e*e))
		}
		return sum
	}
	var try, best [32]float32
	inverse := n / (high - low)
	for j, v := range values {
		best[j] = float32(clamp(inverse*(v-low), 0, top))
	}
	scale = 1 / inverse
	least := off(&best, scale, low)
	for step := range steps {
		inverse = (first + float32(0.1*float32(step)) + n) / (high - low) // of the best so far
		var sumL, sumL2, sumXL float32
		for j, v := range values {
			l := float32(clamp(inverse*(v-low), 0, top))
			try[j] = l
			wl := float32(weights[j] * l)
			sumL += wl
			sumL2 += float32(wl * l)
			sumXL += float32(wl * v)
		}
		d := float32(sumW*sumL2) - float32(sumL*sumL)
		if !(d > 0) {
			continue
		}
		s, m := (float32(sumW*sumXL)-float32(sumX*sumL))/d, (float32(sumL2*sumX)-float32(sumL*sumXL))/d
		if m > 0 {
			s, m = sumXL/sumL2, 0
		}
		if e := off(&try, s, m); e < least {
			least, scale, low, best = e, s, m, try
		}
	}
	for j, l := range best {
		q[j] = byte(l)
	}
	return scale, -low
}

// signedScale searches for the scale of a group whose numbers are from −n to n − 1.
// Squares of errors are weighted by the squares of values.
func signedScale(values []float32, q []byte, n int32) float32 {
	var far float32
	for _, v := range values {
		if abs(v) > abs(far) {
			far = v
		}
	}
	if abs(far) < tiny {
		clear(q)
		return 0
	}
	fit := func(inverse float32) (sumLX, sumL2 float32) {
		for _, v := range values {
			l, w := float32(clamp(inverse*v, -n, n-1)), float32(v*v)
			sumLX += float32(float32(w*v) * l)
			sumL2 += float32(float32(w*l) * l)
		}
		return sumLX, sumL2
	}
	take := func(inverse float32) {
		for j, v := range values {
			q[j] = byte(clamp(inverse*v, -n, n-1) + n)
		}
	}
	inverse := -float32(n) / far
	take(inverse)
	sumLX, sumL2 := fit(inverse)
	scale := float32(0)
	if sumL2 != 0 {
		scale = sumLX / sumL2
	}
	best := scale * sumLX
	for step := float32(-9); step <= 9; step++ {
		if step == 0 {
			continue
		}
		inverse := -(float32(n) + float32(0.1*step)) / far
		if sumLX, sumL2 := fit(inverse); sumL2 > 0 && float32(sumLX*sumLX) > float32(best*sumL2) {
			take(inverse)
			scale = sumLX / sumL2
			best = scale * sumLX
		}
	}
	return scale
}

// storedHalf is a number as f16 keeps it.
func storedHalf(x float32) float32 { return float16.Fromfloat32(x).Float32() }
