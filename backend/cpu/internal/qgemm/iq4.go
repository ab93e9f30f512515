package qgemm

import "encoding/binary"

// iq4 is ggml's table for numbers of iq4_nl and iq4_xs, with 128 added.
var iq4 = [16]byte{1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241}

// IQ4_NL is backend.IQ4_NL.
var IQ4_NL = Format{
	Len: blockLen, Bytes: 2 + blockLen/2, Group: blockLen, Offset: 128, Top: 241,
	Unpack: func(bytes []byte, scales, _ []float32, block []byte) {
		scales[0] = scaleOf(block)
		lookUp(bytes, block[2:18], &iq4)
	},
	pack: packIQ4NL, one: oneIQ4NL,
}

// IQ4_XS is backend.IQ4_XS.
var IQ4_XS = Format{
	Len: 256, Bytes: 136, Group: 32, Offset: 128, Top: 241,
	Unpack: func(bytes []byte, scales, _ []float32, block []byte) {
		d, high := scaleOf(block), binary.LittleEndian.Uint16(block[2:])
		for g := range 8 {
			s := int(block[4+g/2]>>(g%2*4)&15) | int(high>>(2*g)&3)<<4
			scales[g] = d * float32(s-32)
			lookUp(bytes[32*g:], block[8+16*g:][:16], &iq4)
		}
	},
	pack: packIQ4XS,
}

// lookUp is nibbles of which each is an index of a table.
func lookUp(dst, src []byte, table *[16]byte) {
	for i, b := range src {
		dst[i], dst[i+len(src)] = table[b&15], table[b>>4]
	}
}
