package qgemm

// Q4_0 is backend.Q4_0.
var Q4_0 = Format{
	Len: blockLen, Bytes: 2 + blockLen/2, Group: blockLen, Offset: 8, Top: 15,
	Unpack: func(bytes []byte, scales, _ []float32, block []byte) {
		scales[0] = scaleOf(block)
		for i, b := range block[2:18] {
			bytes[i], bytes[i+16] = b&15, b>>4
		}
	},
	pack: packQ4, one: oneQ4,
}
