package qgemm

// Q4_1 is backend.Q4_1.
var Q4_1 = Format{
	Len: blockLen, Bytes: 4 + blockLen/2, Group: blockLen, Min: true, Top: 15,
	Unpack: func(bytes []byte, scales, minima []float32, block []byte) {
		scales[0], minima[0] = scaleOf(block), scaleOf(block[2:])
		nibbles(bytes, block[4:20])
	},
	pack: packQ41, one: oneQ41,
}

// nibbles writes the low four bits of each byte, then the high four bits.
func nibbles(dst, src []byte) {
	for i, b := range src {
		dst[i], dst[i+len(src)] = b&15, b>>4
	}
}
