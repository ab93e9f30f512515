package vec

import "encoding/binary"

// Blocks of 32 elements with a common scale: ggml's q8_0 and q4_0. See backend.Q8_0
// and backend.Q4_0 for the layouts.
const (
	blockLen = 32
	q8Bytes  = 2 + 32
	q4Bytes  = 2 + 16
)

func scaleOf(block []byte) float32 { return fromF16(binary.LittleEndian.Uint16(block)) }

// FromQ8 converts blocks of q8_0 to float32. len(dst) must be a multiple of 32.
func FromQ8(dst []float32, src []byte) {
	n := len(dst) / blockLen
	src = src[:n*q8Bytes]
	switch {
	case wide && n > 0:
		fromQ8Wide(&dst[0], &src[0], n)
		return
	case fast && n > 0:
		fromQ8Fast(&dst[0], &src[0], n)
		return
	}
	for b := range n {
		block, d := src[b*q8Bytes:], scaleOf(src[b*q8Bytes:])
		for j, q := range block[2:q8Bytes] {
			dst[b*blockLen+j] = d * float32(int8(q))
		}
	}
}

// FromQ4 converts blocks of q4_0 to float32. len(dst) must be a multiple of 32.
func FromQ4(dst []float32, src []byte) {
	n := len(dst) / blockLen
	src = src[:n*q4Bytes]
	switch {
	case wide && n > 0:
		fromQ4Wide(&dst[0], &src[0], n)
		return
	case fast && n > 0:
		fromQ4Fast(&dst[0], &src[0], n)
		return
	}
	for b := range n {
		block, d := src[b*q4Bytes:], scaleOf(src[b*q4Bytes:])
		for j, q := range block[2:q4Bytes] {
			dst[b*blockLen+j] = d * float32(int(q&15)-8)
			dst[b*blockLen+j+16] = d * float32(int(q>>4)-8)
		}
	}
}
