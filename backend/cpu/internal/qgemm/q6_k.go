package qgemm

// Q6_K is backend.Q6_K.
var Q6_K = Format{
	Len: 256, Bytes: 210, Group: 16, Offset: 32, Top: 63,
	Unpack: func(bytes []byte, scales, _ []float32, block []byte) {
		d := scaleOf(block[208:])
		for g, s := range block[192:208] {
			scales[g] = d * float32(int8(s))
		}
		for h := range 2 {
			half := bytes[128*h:][:128]
			nibbles(half, block[64*h:][:64])
			for i, high := range block[128+32*h:][:32] {
				for q := range 4 {
					half[32*q+i] |= high >> (2 * q) & 3 << 4
				}
			}
		}
	},
	pack: packQ6K, one: oneQ6K,
}
