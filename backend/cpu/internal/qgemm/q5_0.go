package qgemm

import "encoding/binary"

// Q5_0 is backend.Q5_0.
var Q5_0 = Format{
	Len: blockLen, Bytes: 6 + blockLen/2, Group: blockLen, Offset: 16, Top: 31,
	Unpack: func(bytes []byte, scales, _ []float32, block []byte) {
		scales[0] = scaleOf(block)
		nibbles(bytes, block[6:22])
		fifths(bytes, binary.LittleEndian.Uint32(block[2:]))
	},
	pack: packQ50, one: oneQ50,
}

// fifths sets the fifth bits of numbers.
func fifths(bytes []byte, bits uint32) {
	for i := range bytes[:32] {
		bytes[i] |= byte(bits>>i&1) << 4
	}
}
