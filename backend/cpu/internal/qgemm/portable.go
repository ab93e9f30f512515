package qgemm

import (
	"encoding/binary"
	"math"
)

// groupBytes is the number of bytes of a group in a panel.
func (k *Kernels) groupBytes() int {
	if k.f.Min {
		return k.Width * (k.f.Group + 8)
	}
	return k.Width * (k.f.Group + 4)
}

// unpacked has room for what a block is unpacked to.
type unpacked struct {
	bytes          [256]byte
	scales, minima [16]float32
}

// packGo brings blocks of some rows of weights into a panel, whose other outputs it leaves alone.
func (k *Kernels) packGo(u *unpacked, panel, w []byte, stride, rows, blocks int) {
	f, width := k.f, k.Width
	minima := u.minima[:0]
	if f.Min {
		minima = u.minima[:]
	}
	for o := range rows {
		p := panel
		for block := w[o*stride:][:blocks*f.Bytes]; len(block) > 0; block = block[f.Bytes:] {
			f.Unpack(u.bytes[:f.Len], u.scales[:], minima, block)
			if k.flip != 0 {
				for i := range u.bytes[:f.Len] {
					u.bytes[i] ^= k.flip
				}
			}
			for g, from := 0, 0; from < f.Len; g, from = g+1, from+f.Group {
				for i := 0; i < f.Group; i += k.piece {
					copy(p[i*width+k.piece*o:][:k.piece], u.bytes[from+i:])
				}
				numbers := p[f.Group*width+4*o:]
				binary.LittleEndian.PutUint32(numbers, math.Float32bits(u.scales[g]))
				if f.Min {
					binary.LittleEndian.PutUint32(numbers[4*width:], math.Float32bits(u.minima[g]))
				}
				p = p[k.groupBytes():]
			}
		}
	}
}

// A pair is a weight of an output, and that of the next one 32 bits higher. Times a number of x it is two
// products, and sums of these are two sums, each within an int32.
type pairs [MaxWidth / 2][32]uint64

// of makes the pairs of a group of the panel.
func (ps *pairs) of(k *Kernels, panel []byte) {
	for i := 0; i < k.f.Group; i += k.piece {
		piece := panel[i*k.Width:][:k.piece*k.Width]
		for o := 0; o < k.Width; o += 2 {
			w0, w1, to := piece[k.piece*o:][:k.piece], piece[k.piece*(o+1):][:k.piece], ps[o/2][i:][:k.piece]
			for j := range to {
				to[j] = uint64(w0[j]) | uint64(w1[j])<<32
			}
		}
	}
}

// tileGo is a tile in Go, for any number of rows.
func (k *Kernels) tileGo(ps *pairs, dst []float32, dstStride int, init []float32, initStride, rows int, x, panel []byte, groups int) {
	f, group, width := k.f, k.f.Group, k.Width
	for r := range rows {
		copy(dst[r*dstStride:][:width], init[r*initStride:])
	}
	for range groups {
		ps.of(k, panel)
		scales := panel[group*width:]
		for r := range rows {
			numbers := x[rows*group+4*r:]
			number := func(i int) uint32 { return binary.LittleEndian.Uint32(numbers[4*i*rows:]) }
			scale, begin, scaled := math.Float32frombits(number(0)), int32(number(1)), math.Float32frombits(number(2))
			var xs [32]uint64
			for i, q := range x[r*group:][:group] {
				xs[i] = uint64(int8(q))
			}
			add := func(to *float32, o int, sum int32) {
				w := math.Float32frombits(binary.LittleEndian.Uint32(scales[4*o:]))
				product := float32(float32(begin+sum) * float32(w*scale))
				if f.Min {
					m := math.Float32frombits(binary.LittleEndian.Uint32(scales[4*(width+o):]))
					product += float32(m * scaled)
				}
				*to += product
			}
			y := dst[r*dstStride:][:width]
			for o := 0; o < width; o += 2 {
				w, sum := &ps[o/2], uint64(0)
				for i := 0; i < group; i += 4 {
					sum += w[i&31]*xs[i&31] + w[(i+1)&31]*xs[(i+1)&31] + w[(i+2)&31]*xs[(i+2)&31] + w[(i+3)&31]*xs[(i+3)&31]
				}
				low := int32(sum)
				add(&y[o], o, low)
				add(&y[o+1], o+1, int32((int64(sum)-int64(low))>>32))
			}
		}
		x, panel = x[rows*(group+xNumbers):], panel[k.groupBytes():]
	}
}
