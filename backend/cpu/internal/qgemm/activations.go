package qgemm

import (
	"encoding/binary"
	"math"

	"github.com/x448/float16"
)

// xNumbers are the bytes that a group of packed x has for each row, beside its numbers: a
// scale, what the sums of integers begin with, and the scale times the sum of the numbers.
const xNumbers = 12

// tileOf returns the tile that has row r of so many: its first row and its number of rows.
func tileOf(r, rows int) (first, n int) {
	switch whole := rows &^ (TileRows - 1); {
	case r < whole:
		return r &^ (TileRows - 1), TileRows
	case rows&2 != 0 && r < whole+2:
		return whole, 2
	default:
		return r, 1
	}
}

// rowBytes is the number of bytes of so many inputs of a packed row.
func (f *Format) rowBytes(in int) int { return in / f.Group * (f.Group + xNumbers) }

// PackedBytes is the number of bytes that rows of activations take when they are packed for
// products with weights of this format.
func (f *Format) PackedBytes(rows, in int) int { return rows * f.rowBytes(in) }

// PackRow packs row r of so many, in blocks of q8_a, into dst, which has PackedBytes. Blocks are as
// backend.Q8_A says: numbers are at most 127 in magnitude, and their sum is right.
func (f *Format) PackRow(dst []byte, r, rows int, x []byte) {
	first, n := tileOf(r, rows)
	in := len(x) / q8aBytes * blockLen
	tile := dst[first*f.rowBytes(in):][:n*f.rowBytes(in)]
	r -= first
	group := f.Group
	for ; len(x) > 0; x = x[q8aBytes:] {
		d := scaleOf(x)
		sum := int(int16(binary.LittleEndian.Uint16(x[2:])))
		for from := 4; from < q8aBytes; from += group {
			copy(tile[r*group:][:group], x[from:])
			if group < blockLen {
				sum = 0
				for _, q := range x[from:][:group] {
					sum += int(int8(q))
				}
			}
			numbers := tile[n*group+4*r : n*(group+xNumbers)]
			binary.LittleEndian.PutUint32(numbers, math.Float32bits(d))
			binary.LittleEndian.PutUint32(numbers[4*n:], uint32(int32(-f.Offset*sum)))
			binary.LittleEndian.PutUint32(numbers[8*n:], math.Float32bits(d*float32(sum))) // exact
			tile = tile[n*(group+xNumbers):]
		}
	}
}

// scaleOf is the f16 that a block begins with.
func scaleOf(block []byte) float32 {
	return float16.Frombits(binary.LittleEndian.Uint16(block)).Float32()
}
