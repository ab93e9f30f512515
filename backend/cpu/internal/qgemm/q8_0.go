package qgemm

import "encoding/binary"

// Q8_0 is backend.Q8_0.
var Q8_0 = Format{
	Len: blockLen, Bytes: 2 + blockLen, Group: blockLen, Offset: 128, Top: 255,
	Unpack: func(bytes []byte, scales, _ []float32, block []byte) {
		scales[0] = scaleOf(block)
		for i := 0; i < blockLen; i += 8 {
			binary.LittleEndian.PutUint64(bytes[i:], binary.LittleEndian.Uint64(block[2+i:])^0x8080808080808080)
		}
	},
	pack: packQ8, one: oneQ8,
}
