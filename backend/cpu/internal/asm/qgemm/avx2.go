package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// AVX2 has no instruction for a product of four bytes with its sum. VPMADDUBSW gives words:
// w·x of two bytes each, w unsigned, and saturates at ±32,767. x is at most 127 in magnitude.
//
//	nibbles: two products are at most 3,810, so eight of such sums fit a word
//	sixBits: 16,002, so two do
//	signed:  |w| is up to 128, and x takes the sign of w: 32,512, so one does
//
// It has one column of vectors, so there are registers left.

// ones has 1 in each word, flip 128 in each byte.
func (t tile) ones() int { return t.tmp(2) }
func (t tile) flip() int { return t.tmp(3) }

// constants sets what stays.
func (t tile) constants() {
	VPCMPEQW(y[t.ones()], y[t.ones()], y[t.ones()])
	VPSRLW(Imm(15), y[t.ones()], y[t.ones()])
	if t.bytes == signed {
		VPSLLW(Imm(15), y[t.ones()], y[t.flip()])
		VPSLLW(Imm(7), y[t.ones()], y[t.tmp(0)])
		VPOR(y[t.tmp(0)], y[t.flip()], y[t.flip()])
	}
}

// four adds the products of four inputs, which are the i-th.
func (t tile) four(i int) {
	last := i+1 == t.kernel.group/4
	if t.bytes == signed {
		VPXOR(y[t.flip()], y[t.w(0)], y[t.w(0)])
		VPABSB(y[t.w(0)], y[t.tmp(0)])
	}
	for r := range t.rows {
		VPBROADCASTD(t.x.Offset(r*t.kernel.group+4*i), y[t.xv()])
		sum := t.sum(r, 0)
		switch t.bytes {
		case nibbles:
			VPMADDUBSW(y[t.xv()], y[t.w(0)], y[t.xv()])
			VPADDW(y[t.xv()], y[sum], y[sum])
			if last {
				VPMADDWD(y[t.ones()], y[sum], y[sum])
				VPBROADCASTD(t.x.Offset(t.rows*t.kernel.group+4*(t.rows+r)), y[t.xv()])
				VPADDD(y[t.xv()], y[sum], y[sum])
			}
		case sixBits:
			VPMADDUBSW(y[t.xv()], y[t.w(0)], y[t.xv()])
			VPMADDWD(y[t.ones()], y[t.xv()], y[t.xv()])
			VPADDD(y[t.xv()], y[sum], y[sum])
		case signed:
			VPSIGNB(y[t.w(0)], y[t.xv()], y[t.xv()])
			VPMADDUBSW(y[t.xv()], y[t.tmp(0)], y[t.xv()])
			VPMADDWD(y[t.ones()], y[t.xv()], y[t.xv()])
			VPADDD(y[t.xv()], y[sum], y[sum])
		}
	}
}
