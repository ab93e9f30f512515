package qgemm

// Q4_K is backend.Q4_K.
var Q4_K = Format{
	Len: 256, Bytes: 144, Group: 32, Min: true, Top: 15,
	Unpack: func(bytes []byte, scales, minima []float32, block []byte) {
		groupScales(scales, minima, block)
		for g := 0; g < 8; g += 2 {
			nibbles(bytes[32*g:], block[16+16*g:][:32])
		}
	},
	pack: packQ4K, one: oneQ4K,
}

// groupScales reads what a block of a K type begins with: a scale of the scales of eight groups, that of
// their minima, then six bits of each.
func groupScales(scales, minima []float32, block []byte) {
	d, m, s := scaleOf(block), -scaleOf(block[2:]), block[4:16]
	for i := range 4 {
		scales[i], minima[i] = d*float32(s[i]&63), m*float32(s[i+4]&63)
		scales[i+4], minima[i+4] = d*float32(s[i+8]&15|s[i]>>6<<4), m*float32(s[i+8]>>4|s[i+4]>>6<<4)
	}
}
