package qgemm

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/x448/float16"

	"caldera/backend/cpu/internal/isa"
)

// The formats that are multiplied here are those of the package and one that is not in use,
// which has what the others lack: two scales for 32 weights, and minima.
var formats = map[string]*Format{
	"q8_0": &Q8_0, "q4_0": &Q4_0, "q4_1": &Q4_1, "q5_0": &Q5_0, "q5_1": &Q5_1, "q4_k": &Q4_K, "q5_k": &Q5_K, "q6_k": &Q6_K,
	"iq4_nl": &IQ4_NL, "iq4_xs": &IQ4_XS, "mxfp4": &MXFP4,
	// As q2_K, with bytes of all sizes, so that AVX2 has no kernel.
	"two scales and minima": {Len: 256, Bytes: 4 + 32 + 256, Group: 16, Min: true, Top: 255, Unpack: func(bytes []byte, scales, minima []float32, block []byte) {
		for g := range 16 {
			scales[g], minima[g] = scaleOf(block)*float32(block[4+g]), -scaleOf(block[2:])*float32(block[20+g])
		}
		copy(bytes, block[36:292])
	}},
}

// setScale sets the f16 that multiplies all weights of a block, if the format has one.
func setScale(f *Format, block []byte, bits uint16) {
	switch f {
	case &MXFP4:
	case &Q6_K:
		binary.LittleEndian.PutUint16(block[208:], bits)
	default:
		binary.LittleEndian.PutUint16(block, bits)
	}
}

// randomWeights are rows of blocks of random bytes, whose scales are f16 of usual sizes.
func randomWeights(r *rand.Rand, f *Format, rows, in, gap int) (w []byte, stride int) {
	stride = in/f.Len*f.Bytes + gap
	w = make([]byte, (rows-1)*stride+in/f.Len*f.Bytes)
	for i := range w {
		w[i] = byte(r.Uint32())
		if r.IntN(8) == 0 {
			w[i] = []byte{0, 127, 128, 255}[r.IntN(4)]
		}
	}
	for o := range rows {
		for b := 0; b < in; b += f.Len {
			block := w[o*stride+b/f.Len*f.Bytes:]
			setScale(f, block, uint16(float16.Fromfloat32(float32(r.NormFloat64()))))
			if f == &MXFP4 {
				block[0] = byte(124 + r.IntN(6))
			}
			if f.Min {
				binary.LittleEndian.PutUint16(block[2:], uint16(float16.Fromfloat32(float32(r.NormFloat64()))))
			}
		}
	}
	return w, stride
}

// reference is Σ in float64, and the sum of the magnitudes of what is added.
func reference(f *Format, w, x []byte) (sum, magnitude float64) {
	var u unpacked
	for ; len(w) > 0; w = w[f.Bytes:] {
		f.Unpack(u.bytes[:f.Len], u.scales[:], u.minima[:], w[:f.Bytes])
		for i := range f.Len {
			block := x[i/32*q8aBytes:]
			v := float64(scaleOf(block)) * float64(int8(block[4+i%32]))
			a := float64(u.scales[i/f.Group]) * float64(int(u.bytes[i])-f.Offset) * v
			sum, magnitude = sum+a, magnitude+math.Abs(a)
			if f.Min {
				m := float64(u.minima[i/f.Group]) * v
				sum, magnitude = sum+m, magnitude+math.Abs(m)
			}
		}
		x = x[f.Len/32*q8aBytes:]
	}
	return sum, magnitude
}

// eachSet calls test with each instruction set of this processor in turn.
func eachSet(t *testing.T, test func(t *testing.T)) {
	used := Set()
	t.Cleanup(func() { Use(used) })
	for _, name := range Sets() {
		Use(name)
		t.Run(name, test)
	}
}

// problem is a product with what it should give.
type problem struct {
	f             *Format
	rows, in, out int
	x             []byte // blocks of rows
	w             []byte
	stride        int
	init          []float32
	initStride    int
}

func newProblem(r *rand.Rand, f *Format, rows, in, out int) problem {
	p := problem{f: f, rows: rows, in: in, out: out}
	values := make([]float32, rows*in)
	for i := range values {
		values[i] = float32(r.NormFloat64() * math.Ldexp(1, r.IntN(4)))
	}
	p.x = make([]byte, rows*in/32*q8aBytes)
	ToQ8A(p.x, values)
	p.w, p.stride = randomWeights(r, f, out, in, 2*r.IntN(3))
	if r.IntN(3) > 0 {
		p.initStride = r.IntN(2) * (out + r.IntN(3))
		p.init = make([]float32, rows*p.initStride+out)
		for i := range p.init {
			p.init[i] = float32(r.NormFloat64())
		}
	}
	return p
}

func (p *problem) xRow(r int) []byte { n := p.in / 32 * q8aBytes; return p.x[r*n:][:n] }

// run computes rows [r0, r1) alone, as [r1 - r0, out].
func (p *problem) run(ws *Workspace, r0, r1 int) []float32 {
	rows := r1 - r0
	k := p.f.Kernels(rows)
	packed := make([]byte, p.f.PackedBytes(rows, p.in))
	for r := range rows {
		p.f.PackRow(packed, r, rows, p.xRow(r0+r))
	}
	if k.Unpacked() {
		packed = p.xRow(r0)
	}
	dst := make([]float32, rows*(p.out+3))
	for i := range dst {
		dst[i] = float32(math.NaN())
	}
	product := Product{
		Kernels: k, Dst: dst, DstStride: p.out + 3, InitStride: p.initStride,
		X: packed, Rows: rows, W: p.w, WStride: p.stride, In: p.in,
	}
	if p.init != nil {
		product.Init = p.init[r0*p.initStride:]
	}
	half := min(p.out, (p.out/2+product.Width-1)/product.Width*product.Width)
	product.Columns(ws, 0, rows, half, p.out)
	product.Columns(ws, 0, rows, 0, half)
	var out []float32
	for r := range rows {
		out = append(out, dst[r*(p.out+3):][:p.out]...)
		for _, v := range dst[r*(p.out+3)+p.out:][:3] {
			if v == v {
				panic("a number behind the row was written")
			}
		}
	}
	return out
}

// sizes are rows, inputs and outputs: where tiles, strips and panels end, and random ones.
func sizes() [][3]int {
	list := [][3]int{
		{1, 32, 1}, {1, 768, 33}, {2, 96, 64}, {3, 32, 7}, {4, 64, 32}, {5, 1024, 40}, {7, 256, 31}, {9, 768, 32}, {11, 288, 70}, {70, 64, 17},
		{2, 4096, 9}, {8, 512, 16}, {8, 544, 15}, {12, 800, 34}, {10, 3104, 8}, {1, 1056, 9},
	}
	r := rand.New(rand.NewPCG(11, 12))
	for range 12 {
		list = append(list, [3]int{1 + r.IntN(70), 32 * (1 + r.IntN(60)), 1 + r.IntN(70)})
	}
	return list
}

// TestProducts holds products of each format in each instruction set to float64, and their bits
// to those of the same row alone, and to those of the other sets.
func TestProducts(t *testing.T) {
	bits := map[string][]float32{} // of the first set
	eachSet(t, func(t *testing.T) {
		var ws Workspace
		for name, f := range formats {
			for i, n := range sizes() {
				rows, in, out := n[0], (n[1]+f.Len-1)/f.Len*f.Len, n[2]
				r := rand.New(rand.NewPCG(uint64(i), 7))
				p := newProblem(r, f, rows, in, out)
				got := p.run(&ws, 0, rows)
				key := fmt.Sprint(name, n)
				if bits[key] == nil {
					bits[key] = got
				} else if !slices.Equal(bits[key], got) {
					t.Errorf("%s %v: other bits than in %s", name, n, Sets()[0])
				}
				for range 3 {
					row := r.IntN(rows)
					if alone := p.run(&ws, row, row+1); !slices.Equal(alone, got[row*out:][:out]) {
						t.Fatalf("%s %v: row %d has other bits alone", name, n, row)
					}
				}
				for range 60 {
					row, o := r.IntN(rows), r.IntN(out)
					want, magnitude := reference(f, p.w[o*p.stride:][:in/f.Len*f.Bytes], p.xRow(row))
					terms := in / f.Group
					if p.init != nil {
						v := float64(p.init[row*p.initStride+o])
						want, magnitude, terms = want+v, magnitude+math.Abs(v), terms+1
					}
					// Each term is rounded up to four times, and then the sum of those before it with it.
					if g := float64(got[row*out+o]); !(math.Abs(g-want) <= float64(terms+6)*0x1p-24*magnitude) {
						t.Fatalf("%s %v: dst[%d,%d] is %v, expected %v", name, n, row, o, g, want)
					}
				}
			}
		}
	})
}

// TestNotFinite wants a block of x that is not finite to make its row NaN and no other, and scales
// of weights that are not finite, as hostile files may have, to make their output infinite or NaN.
func TestNotFinite(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for name, f := range formats {
			if f == &MXFP4 {
				continue // there is no such scale
			}
			const rows, in, out = 7, 512, 35
			p := newProblem(rand.New(rand.NewPCG(5, 6)), f, rows, in, out)
			setScale(f, p.w[17*p.stride:], 0x7c00)
			setScale(f, p.w[34*p.stride:], 0xfe01)
			nan := make([]float32, 32)
			nan[5] = float32(math.NaN())
			ToQ8A(p.xRow(5)[:q8aBytes], nan)
			got := p.run(new(Workspace), 0, rows)
			for i, v := range got {
				r, o := i/out, i%out
				if finite := !math.IsInf(float64(v), 0) && v == v; finite != (r != 5 && o != 17 && o != 34) || r == 5 && v == v {
					t.Errorf("%s: dst[%d,%d] is %v", name, r, o, v)
				}
			}
		}
	})
}

// TestLargest adds up the largest products that bytes give, of every sign: no sum may saturate.
func TestLargest(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for name, f := range formats {
			if f.Top == 255 && f.Offset == 0 {
				continue // sums are held to float64 by TestProducts
			}
			const rows, out = 4, 32
			p := problem{f: f, rows: rows, in: f.Len, out: out}
			p.w, p.stride = randomWeights(rand.New(rand.NewPCG(1, 1)), f, out, f.Len, 0)
			scale := binary.LittleEndian.AppendUint16(nil, 0x3c00)
			for o := range out {
				for i := range p.w[o*p.stride:][:p.stride] {
					p.w[o*p.stride+i] = []byte{0x80, 0x7f, 0xff, 0}[o%4]
				}
				setScale(f, p.w[o*p.stride:], 0x3c00)
				if f == &MXFP4 {
					p.w[o*p.stride] = 128
				}
			}
			for r := range rows {
				for range f.Len / 32 {
					block := append(slices.Clone(scale), 0, 0)
					sum := 0
					for i := range 32 {
						q := []int{127, -127, 127 - 254*(i%2), 1}[r]
						block, sum = append(block, byte(q)), sum+q
					}
					binary.LittleEndian.PutUint16(block[2:], uint16(sum))
					p.x = append(p.x, block...)
				}
			}
			got := p.run(new(Workspace), 0, rows)
			for i, v := range got {
				want, magnitude := reference(f, p.w[i%out*p.stride:][:p.stride], p.xRow(i/out))
				if math.Abs(float64(v)-want) > 30*0x1p-24*magnitude {
					t.Errorf("%s: dst[%d,%d] is %v, expected %v", name, i/out, i%out, v, want)
				}
			}
		}
	})
}

// TestAheadL1: into which cache memory is asked for changes no bit.
func TestAheadL1(t *testing.T) {
	defer func(l1 bool) { isa.AheadL1 = l1 }(isa.AheadL1)
	eachSet(t, func(t *testing.T) {
		for name, f := range formats {
			p := newProblem(rand.New(rand.NewPCG(3, 9)), f, 1, 768, 135)
			isa.AheadL1 = false
			want := p.run(new(Workspace), 0, 1)
			isa.AheadL1 = true
			if got := p.run(new(Workspace), 0, 1); !slices.Equal(got, want) {
				t.Errorf("%s: other numbers when memory is asked for into the L1 cache", name)
			}
		}
	})
}
