package qgemm

import "math"

// fp4 is the numbers of mxfp4, times two, with 12 added.
var fp4 = [16]byte{12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0}

// MXFP4 is backend.MXFP4.
var MXFP4 = Format{
	Len: blockLen, Bytes: 1 + blockLen/2, Group: blockLen, Offset: 12, Top: 24,
	Unpack: func(bytes []byte, scales, _ []float32, block []byte) {
		e := uint32(block[0])
		// 2^(e-128), of which the first two are denormal
		scales[0] = math.Float32frombits(0x200000<<min(e, 2) + (max(e, 2)-2)<<23)
		lookUp(bytes, block[1:17], &fp4)
	},
	pack: packMXFP4, one: oneMXFP4,
}
