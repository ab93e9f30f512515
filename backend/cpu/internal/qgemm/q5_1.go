package qgemm

import "encoding/binary"

// Q5_1 is backend.Q5_1.
var Q5_1 = Format{
	Len: blockLen, Bytes: 8 + blockLen/2, Group: blockLen, Min: true, Top: 31,
	Unpack: func(bytes []byte, scales, minima []float32, block []byte) {
		scales[0], minima[0] = scaleOf(block), scaleOf(block[2:])
		nibbles(bytes, block[8:24])
		fifths(bytes, binary.LittleEndian.Uint32(block[4:]))
	},
	pack: packQ51, one: oneQ51,
}
