package qgemm

import (
	"encoding/binary"
	"math"

	"github.com/x448/float16"
)

// Blocks of activations: see backend.Q8_A for the layout.
const (
	blockLen = 32
	q8aBytes = 4 + blockLen
)

// FromQ8A converts blocks of q8_a to float32. len(dst) must be a multiple of 32.
func FromQ8A(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[blockLen:], src[q8aBytes:] {
		d := scaleOf(src)
		for j, q := range src[4:q8aBytes] {
			dst[j] = d * float32(int8(q))
		}
	}
}

// ToQ8A converts to blocks of q8_a, by the rule of backend.Q8_A. len(src) must be a
// multiple of 32.
func ToQ8A(dst []byte, src []float32) {
	if n := len(src) / blockLen; n > 0 && current.quantize != nil {
		current.quantize(&dst[:n*q8aBytes][0], &src[:n*blockLen][0], n)
		return
	}
	for ; len(src) > 0; src, dst = src[blockLen:], dst[q8aBytes:] {
		toQ8ABlock((*[q8aBytes]byte)(dst), (*[blockLen]float32)(src))
	}
}
func toQ8ABlock(dst *[q8aBytes]byte, x *[blockLen]float32) {
	largest := uint32(0)
	for _, v := range x {
		largest = max(largest, math.Float32bits(v)&0x7fffffff)
	}
	half := float16.Fromfloat32(math.Float32frombits(largest) * (1.0 / 127))
	if half&0x7c00 == 0x7c00 {
		half = 0x7e00
	}
	clear(dst[:])
	binary.LittleEndian.PutUint16(dst[:], half.Bits())
	d := half.Float32()
	if !(d > 0) {
		return
	}
	inverse, sum := 1/d, 0
	for j, v := range x {
		magnitude := math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
		// An estimate that may be wrong by one. The comparisons below are exact.
		n := min(int(magnitude*inverse+0.5), 127)
		if magnitude < d*(float32(n)-0.5) {
			n--
		} else if n < 127 && magnitude >= d*(float32(n)+0.5) {
			n++
		}
		if v < 0 {
			n = -n
		}
		sum += n
		dst[4+j] = byte(n)
	}
	binary.LittleEndian.PutUint16(dst[2:], uint16(sum))
}
