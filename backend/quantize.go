package backend

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/x448/float16"
)

// The quantised types are those of the same names in ggml, to the byte: a
// block of 32 neighbours x[j] along the last axis shares a scale d, an f16.
//
//	q8_0  d, then 32 int8 q[j]:          x[j] = d · q[j]
//	q4_0  d, then 16 bytes, of which byte j holds q[j] in its low four bits and
//	      q[j+16] in its high four:      x[j] = d · (q[j] − 8)
//
// The scale is chosen as ggml's reference does (quantize_row_q8_0_ref and
// quantize_row_q4_0_ref in ggml-quants.c), so that a file converted here is
// the one that llama.cpp would have made.

// Encode appends values, rounded to dtype d, to p: f32, f16 or a quantised
// type, of which values are whole blocks. A number that d cannot hold, such as
// 70,000 in f16, is an error.
func Encode(p []byte, d DType, values []float32) ([]byte, error) {
	if len(values)%d.BlockLen() != 0 {
		return nil, fmt.Errorf("%d values are not whole blocks of %v, which has %d in each", len(values), d, d.BlockLen())
	}
	switch d {
	case F32:
		for _, v := range values {
			p = binary.LittleEndian.AppendUint32(p, math.Float32bits(v))
		}
		return p, nil
	case F16:
		for _, v := range values {
			h := float16.Fromfloat32(v)
			if h.IsInf(0) && !math.IsInf(float64(v), 0) {
				return nil, fmt.Errorf("the number %g does not fit f16, whose largest number is 65504: use f32", v)
			}
			p = binary.LittleEndian.AppendUint16(p, h.Bits())
		}
		return p, nil
	case Q8_0, Q4_0:
		for ; len(values) > 0; values = values[32:] {
			var err error
			if p, err = encodeBlock(p, d, (*[32]float32)(values)); err != nil {
				return nil, err
			}
		}
		return p, nil
	}
	return nil, fmt.Errorf("cannot store numbers as %v", d)
}

func encodeBlock(p []byte, d DType, x *[32]float32) ([]byte, error) {
	largest := float32(0) // by magnitude, with its sign
	for _, v := range x {
		if v != v {
			return nil, fmt.Errorf("NaN cannot be stored as %v", d)
		}
		if abs(v) > abs(largest) {
			largest = v
		}
	}
	scale := abs(largest) / 127
	if d == Q4_0 {
		scale = largest / -8
	}
	half := float16.Fromfloat32(scale)
	if half.IsInf(0) {
		return nil, fmt.Errorf("the number %g is too large for %v: use f32", largest, d)
	}
	inverse := float32(0)
	if abs(scale) > 0x1p-126 { // else it has no inverse, and is 0 as an f16
		inverse = 1 / scale
	}
	p = binary.LittleEndian.AppendUint16(p, half.Bits())
	if d == Q8_0 {
		for _, v := range x {
			p = append(p, byte(int8(roundAway(v*inverse))))
		}
		return p, nil
	}
	for j := range 16 {
		low, high := x[j]*inverse, x[j+16]*inverse
		p = append(p, nibble(low)|nibble(high)<<4)
	}
	return p, nil
}

// nibble is ggml's MIN(15, (int8_t)(x + 8.5f)).
func nibble(x float32) byte { return byte(min(15, int8(x+8.5))) }

// roundAway is C's roundf: halves go away from zero.
func roundAway(x float32) int32 {
	if x < 0 {
		return -roundAway(-x)
	}
	n := int32(x)
	if x-float32(n) >= 0.5 {
		n++
	}
	return n
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// Decode reads dst's elements, whole blocks, from p, which holds them as dtype
// d: f32, f16 or a quantised type.
func Decode(dst []float32, d DType, p []byte) error {
	if len(dst)%d.BlockLen() != 0 || len(p) < d.Bytes(len(dst)) {
		return fmt.Errorf("%d bytes do not hold %d values of %v", len(p), len(dst), d)
	}
	switch d {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(p[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = float16.Frombits(binary.LittleEndian.Uint16(p[2*i:])).Float32()
		}
	case Q8_0:
		for ; len(dst) > 0; dst, p = dst[32:], p[34:] {
			scale := float16.Frombits(binary.LittleEndian.Uint16(p)).Float32()
			for j, q := range p[2:34] {
				dst[j] = scale * float32(int8(q))
			}
		}
	case Q4_0:
		for ; len(dst) > 0; dst, p = dst[32:], p[18:] {
			scale := float16.Frombits(binary.LittleEndian.Uint16(p)).Float32()
			for j, q := range p[2:18] {
				dst[j] = scale * float32(int(q&15)-8)
				dst[j+16] = scale * float32(int(q>>4)-8)
			}
		}
	default:
		return fmt.Errorf("%v holds no numbers to decode", d)
	}
	return nil
}
