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

// tileGo is a tile in Go, for any number of rows.
func (k *Kernels) tileGo(dst []float32, dstStride int, init []float32, initStride, rows int, x, panel []byte, groups int) {
	group, width := k.f.Group, k.Width
	var sums [MaxWidth]int32
	for r := range rows {
		y := dst[r*dstStride:][:width]
		copy(y, init[r*initStride:][:width])
		x, panel := x, panel
		for range groups {
			numbers := x[rows*group+4*r:]
			number := func(i int) uint32 { return binary.LittleEndian.Uint32(numbers[4*i*rows:]) }
			begin := int32(number(1))
			for o := range width {
				sums[o] = begin
			}
			for i, xs := 0, x[r*group:][:group]; i < group; i += 4 {
				x0, x1, x2, x3 := int32(int8(xs[i])), int32(int8(xs[i+1])), int32(int8(xs[i+2])), int32(int8(xs[i+3]))
				of := panel[i/k.piece*k.piece*width+i%k.piece:]
				for o := range width {
					w := of[k.piece*o:][:4]
					sums[o] += int32(w[0])*x0 + int32(w[1])*x1 + int32(w[2])*x2 + int32(w[3])*x3
				}
			}
			scale, scaled := math.Float32frombits(number(0)), math.Float32frombits(number(2))
			of := panel[group*width:]
			for o := range y {
				w := math.Float32frombits(binary.LittleEndian.Uint32(of[4*o:]))
				product := float32(float32(sums[o]) * float32(w*scale))
				if k.f.Min {
					m := math.Float32frombits(binary.LittleEndian.Uint32(of[4*(width+o):]))
					product += float32(m * scaled)
				}
				y[o] += product
			}
			x, panel = x[rows*(group+xNumbers):], panel[k.groupBytes():]
		}
	}
}
