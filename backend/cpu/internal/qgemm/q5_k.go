package qgemm

// Q5_K is backend.Q5_K.
var Q5_K = Format{
	Len: 256, Bytes: 176, Group: 32, Min: true, Top: 31,
	Unpack: func(bytes []byte, scales, minima []float32, block []byte) {
		groupScales(scales, minima, block)
		for g := 0; g < 8; g += 2 {
			nibbles(bytes[32*g:], block[48+16*g:][:32])
		}
		for i, high := range block[16:48] {
			for g := range 8 {
				bytes[32*g+i] |= high >> g & 1 << 4
			}
		}
	},
	pack: packQ5K, one: oneQ5K,
}
