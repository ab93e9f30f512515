package backend_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/x448/float16"

	"caldera/backend"
)

// formulas are the published layouts of blocks, each written from the table of ggml's
// types and not from this package: number i of block p, in float64.
var formulas = map[backend.DType]func(p []byte, i int) float64{
	backend.Q8_0: func(p []byte, i int) float64 { return f16At(p, 0) * float64(int8(p[2+i])) },
	backend.Q4_0: func(p []byte, i int) float64 { return f16At(p, 0) * (nibbleAt(p[2:], i) - 8) },
	backend.Q4_1: func(p []byte, i int) float64 { return f16At(p, 0)*nibbleAt(p[4:], i) + f16At(p, 2) },
	backend.Q5_0: func(p []byte, i int) float64 {
		return f16At(p, 0) * (nibbleAt(p[6:], i) + 16*bitAt(p[2:], i) - 16)
	},
	backend.Q5_1: func(p []byte, i int) float64 {
		return f16At(p, 0)*(nibbleAt(p[8:], i)+16*bitAt(p[4:], i)) + f16At(p, 2)
	},
	backend.Q4_K: func(p []byte, i int) float64 {
		scale, minimum := kScales(p, i/32)
		return scale*chunkAt(p[16:], i) - minimum
	},
	backend.Q5_K: func(p []byte, i int) float64 {
		scale, minimum := kScales(p, i/32)
		return scale*(chunkAt(p[48:], i)+16*bitAt(p[16+i%32:], i/32)) - minimum
	},
	backend.Q6_K: func(p []byte, i int) float64 {
		h, l := i/128, i%128
		low := p[64*h+l%64] & 15
		if l >= 64 {
			low = p[64*h+l%64] >> 4
		}
		high := p[128+32*h+l%32] >> (2 * (l / 32)) & 3
		return f16At(p, 208) * float64(int8(p[192+i/16])) * float64(int(low)+16*int(high)-32)
	},
	backend.IQ4_NL: func(p []byte, i int) float64 { return f16At(p, 0) * iq4Table[int(nibbleAt(p[2:], i))] },
	backend.IQ4_XS: func(p []byte, i int) float64 {
		g := i / 32
		low := p[4+g/2] & 15
		if g%2 == 1 {
			low = p[4+g/2] >> 4
		}
		scale := int(low) + 16*int(binary.LittleEndian.Uint16(p[2:])>>(2*g)&3) - 32
		return f16At(p, 0) * float64(scale) * iq4Table[int(nibbleAt(p[8+16*g:], i%32))]
	},
	backend.MXFP4: func(p []byte, i int) float64 {
		q := int(nibbleAt(p[1:], i))
		v := []float64{0, 0.5, 1, 1.5, 2, 3, 4, 6}[q&7] * math.Ldexp(1, int(p[0])-127)
		if q >= 8 {
			return -v
		}
		return v
	},
}

var iq4Table = []float64{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func f16At(p []byte, at int) float64 {
	return float64(float16.Frombits(binary.LittleEndian.Uint16(p[at:])).Float32())
}

// nibbleAt is number i of 32 in 16 bytes: the first half in low bits.
func nibbleAt(p []byte, i int) float64 {
	if i < 16 {
		return float64(p[i] & 15)
	}
	return float64(p[i-16] >> 4)
}

// chunkAt is number i of a K type: 64 in each 32 bytes.
func chunkAt(p []byte, i int) float64 {
	b := p[i/64*32+i%32]
	if i%64 < 32 {
		return float64(b & 15)
	}
	return float64(b >> 4)
}

// bitAt is bit i of p, from the lowest bit of the first byte on.
func bitAt(p []byte, i int) float64 { return float64(p[i/8] >> (i % 8) & 1) }

func kScales(p []byte, j int) (scale, minimum float64) {
	s := p[4:16]
	sc, m := s[j%4]&63, s[j%4+4]&63
	if j >= 4 {
		sc, m = s[j+4]&15|s[j-4]>>6<<4, s[j+4]>>4|s[j]>>6<<4
	}
	return f16At(p, 0) * float64(sc), f16At(p, 2) * float64(m)
}

// TestFormulas holds what Decode makes of random bytes to the formulas.
func TestFormulas(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, d := range backend.QuantizedDTypes() {
		formula := formulas[d]
		if formula == nil {
			t.Errorf("%v has no formula here", d)
			continue
		}
		got, p := make([]float32, 2*d.BlockLen()), make([]byte, 2*d.BlockBytes())
		for range 2000 {
			for i := range p {
				p[i] = byte(r.Uint32())
			}
			if err := backend.Decode(got, d, p); err != nil {
				t.Fatal(err)
			}
			for i, v := range got {
				block := p[i/d.BlockLen()*d.BlockBytes():][:d.BlockBytes()]
				want := formula(block, i%d.BlockLen())
				bound := 0x1p-23 * math.Abs(want)
				if d == backend.Q4_1 || d == backend.Q5_1 || d == backend.Q4_K || d == backend.Q5_K { // a difference, rounded once
					bound = 0x1p-24*math.Abs(want) + 0x1p-149
				}
				if !same(float64(v), float64(float32(want))) && !(math.Abs(float64(v)-want) <= bound) {
					t.Fatalf("%v: number %d of % x is %v, expected %v", d, i%d.BlockLen(), block, v, want)
				}
			}
		}
	}
}

// same reports whether both are NaN, or equal.
func same(a, b float64) bool { return a == b || a != a && b != b }

// ggml is what scripts/blocks.py writes.
type ggml struct {
	Values []byte
	Types  map[string]struct{ Encoded, Blocks, Decoded []byte }
}

// TestGGML holds blocks to what ggml itself makes of the same bytes and numbers: what it
// reads, to the bit; and quantising, whose errors are no larger and as a rule the
// same.
func TestGGML(t *testing.T) {
	data, err := os.ReadFile("testdata/ggml.json")
	if err != nil {
		t.Fatal(err)
	}
	var all ggml
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	floats := func(p []byte) []float32 {
		x := make([]float32, len(p)/4)
		if err := backend.Decode(x, backend.F32, p); err != nil {
			t.Fatal(err)
		}
		return x
	}
	values := floats(all.Values)
	for _, d := range backend.QuantizedDTypes() {
		c, ok := all.Types[d.String()]
		if !ok {
			t.Errorf("%v: there are no blocks of ggml: run scripts/blocks.py", d)
			continue
		}
		want := floats(c.Decoded)
		got := make([]float32, len(want))
		if err := backend.Decode(got, d, c.Blocks); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%v: number %d is %v, ggml has %v", d, i, got[i], want[i])
				break
			}
		}
		p, err := backend.Encode(nil, d, values)
		if err != nil || len(p) != len(c.Encoded) {
			t.Fatalf("%v: %d bytes, %v", d, len(p), err)
		}
		equal := 0
		for at := 0; at < len(p); at += d.BlockBytes() {
			if bytes.Equal(p[at:][:d.BlockBytes()], c.Encoded[at:][:d.BlockBytes()]) {
				equal++
			}
		}
		for row := 0; row < len(values); row += 256 {
			ours, theirs := squares(t, d, p, values, row), squares(t, d, c.Encoded, values, row)
			if ours > theirs*1.0001 {
				t.Errorf("%v: row %d has errors of %.4g, ggml's %.4g", d, row/256, math.Sqrt(ours/256), math.Sqrt(theirs/256))
			}
		}
		t.Logf("%v: %d of %d blocks are those of ggml", d, equal, len(p)/d.BlockBytes())
	}
}

// squares is the sum of squares of what is off in 256 values.
func squares(t *testing.T, d backend.DType, p []byte, values []float32, row int) (sum float64) {
	got := make([]float32, 256)
	if err := backend.Decode(got, d, p[d.Bytes(row):]); err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		e := float64(v) - float64(values[row+i])
		sum += e * e
	}
	return sum
}
