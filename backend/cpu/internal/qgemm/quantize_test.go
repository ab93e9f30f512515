package qgemm

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"

	"caldera/backend"
)

// TestToQ8A holds blocks of numbers of every size, of ties and of what lies beside these, of
// infinities and NaN, to the rule of backend.Q8_A, to the bit, and to what package backend encodes.
func TestToQ8A(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		var x [3 * blockLen]float32
		var got [3*q8aBytes + 1]byte
		for i := range 10_000 {
			var want []byte
			for b := range 3 {
				block := x[b*blockLen:][:blockLen]
				randomBlock(r, i, block)
				want = append(want, quantized(block)...)
			}
			got[len(want)] = 99
			ToQ8A(got[:], x[:])
			encoded, err := backend.Encode(nil, backend.Q8_A, x[:])
			if err != nil || !bytes.Equal(got[:len(want)], want) || !bytes.Equal(encoded, want) || got[len(want)] != 99 {
				t.Fatalf("%v:\ngot      % x\nencoded  % x, %v\nexpected % x", x, got, encoded, err, want)
			}
		}
	})
}

// randomBlock is the i-th block of numbers.
func randomBlock(r *rand.Rand, i int, x []float32) {
	size := r.IntN(300) - 160
	step := math.Ldexp(float64(1024+r.IntN(1024)), size/8-10)
	if i%2 == 0 { // a denormal scale
		step = math.Ldexp(float64(1+r.IntN(1023)), -24)
	}
	for j := range x {
		x[j] = float32(math.Ldexp(r.NormFloat64(), size))
		if i%3 == 0 { // a tie, or a neighbour of one
			x[j] = float32(step * (float64(r.IntN(128)) - 0.5))
			x[j] = math.Nextafter32(x[j], []float32{-math.MaxFloat32, x[j], math.MaxFloat32}[r.IntN(3)])
		}
		switch r.IntN(40) {
		case 0:
			x[j] = float32(math.Copysign(0, -1))
		case 1:
			x[j] = -x[j]
		}
	}
	if i%3 == 0 {
		x[r.IntN(blockLen)] = float32(step * 127)
	}
	switch i % 50 {
	case 1:
		x[r.IntN(blockLen)] = float32(math.NaN())
	case 2:
		x[r.IntN(blockLen)] = float32(math.Inf(r.IntN(2) - 1))
	}
}

// quantized is the block of x by the rule, in float64.
func quantized(x []float32) []byte {
	largest, sum := float32(0), 0
	for _, v := range x {
		largest = max(largest, float32(math.Abs(float64(v)))) // NaN where one is
	}
	half := float16.Fromfloat32(largest * (1.0 / 127))
	d := float64(half.Float32())
	if !half.IsFinite() {
		half, d = 0x7e00, 0
	}
	want := binary.LittleEndian.AppendUint16(nil, uint16(half))
	want = append(want, 0, 0)
	for _, v := range x {
		n := 0
		for n < 127 && d > 0 && math.Abs(float64(v)) >= d*(float64(n)+0.5) { // exact
			n++
		}
		if v < 0 {
			n = -n
		}
		sum += n
		want = append(want, byte(n))
	}
	binary.LittleEndian.PutUint16(want[2:], uint16(sum))
	return want
}
