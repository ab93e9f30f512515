package vec

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/x448/float16"
)

// paths are the values of fast and wide that this processor has, the fastest first.
func paths() [][2]bool {
	return slices.Compact([][2]bool{{fast, wide}, {fast, false}, {false, false}})
}

// eachPath runs a test with the assembly, where there is one, and without.
func eachPath(t *testing.T, f func(t *testing.T)) {
	wasFast, wasWide := fast, wide
	defer func() { fast, wide = wasFast, wasWide }()
	for _, p := range paths() {
		fast, wide = p[0], p[1]
		t.Run(fmt.Sprintf("fast=%v,wide=%v", fast, wide), f)
	}
}

var lengths = []int{1, 7, 8, 9, 16, 31, 40, 67, 1000}

func random(n int, scale float64) []float32 {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * scale)
	}
	return x
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) != math.IsNaN(want) || math.Abs(got-want) > tolerance || math.IsInf(want, 0) && got != want {
		t.Errorf("%s: got %v, want %v ± %v", what, got, want, tolerance)
	}
}

// everyKind is all float32 with a coarse mantissa, and the special ones.
func everyKind() []float32 {
	var x []float32
	for bits := uint64(0); bits < 1<<32; bits += 77773 {
		x = append(x, math.Float32frombits(uint32(bits)))
	}
	for i := -110.0; i < 95; i += 1.0 / 256 { // where exp is neither 0 nor ∞
		x = append(x, float32(i))
	}
	inf := float32(math.Inf(1))
	x = append(x, 0, inf, -inf, float32(math.NaN()), 88.72283, 88.72284, -87.33655, -103.97208, math.MaxFloat32, math.SmallestNonzeroFloat32)
	for len(x)%Lanes != 0 {
		x = append(x, 1)
	}
	return x
}

func TestExp(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		x := everyKind()
		y := make([]float32, len(x))
		Exp(y, x, 0)
		for i, v := range x {
			want := math.Exp(float64(v))
			if want > math.MaxFloat32 {
				if want = math.Inf(1); v < 88.7229 && y[i] == math.MaxFloat32 {
					continue
				}
			}
			near(t, fmt.Sprintf("exp(%v)", v), float64(y[i]), want, want*1.5e-7+math.SmallestNonzeroFloat32*0.6)
		}
		for _, n := range lengths {
			x, y := random(n, 3), make([]float32, n)
			got, want := Exp(y, x, 2), 0.0
			for i := range x {
				near(t, "shifted", float64(y[i]), math.Exp(float64(x[i]-2)), 1e-6*math.Exp(float64(x[i]-2)))
				want += float64(y[i])
			}
			near(t, "sum", got, want, want*1e-12)
		}
	})
}

func TestSoftCap(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, limit := range []float32{1, 0.3, 50} {
			x := everyKind()
			y := append([]float32{}, x...)
			SoftCap(y, limit)
			for i, v := range x {
				want := float64(limit) * math.Tanh(float64(v)/float64(limit))
				near(t, fmt.Sprintf("%v·tanh(%v/%[1]v)", limit, v), float64(y[i]), want, math.Abs(want)*5e-7+float64(limit)*1e-44)
			}
		}
		for _, n := range lengths {
			x := append(random(n, 2), 77)
			want := append([]float32{}, x[:n]...)
			SoftCap(x[:n], 3)
			for i, v := range want {
				near(t, "of any length", float64(x[i]), 3*math.Tanh(float64(v)/3), 1e-6)
			}
			if x[n] != 77 {
				t.Errorf("n=%d: an element past the end was written", n)
			}
		}
	})
}

func TestReductions(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, n := range lengths {
			x := random(n, 1)
			for i := range x {
				x[i] += 1000
			}
			sum, largest := 0.0, math.Inf(-1)
			for _, v := range x {
				sum += float64(v)
				largest = max(largest, float64(v))
			}
			mean, squares := sum/float64(n), 0.0
			for _, v := range x {
				squares += (float64(v) - mean) * (float64(v) - mean)
			}
			near(t, "sum", Sum(x), sum, sum*1e-14)
			near(t, "squares", SumSquares(x, mean), squares, squares*1e-12)
			near(t, "max", float64(Max(x)), largest, 0)
			dot, w := 0.0, random(n, 3)
			for i := range w {
				dot += float64(w[i]) * float64(x[i])
			}
			near(t, "dot", float64(Dot(w, x)), dot, 1e-3*float64(n))
			for _, bits := range []uint32{0x7fc00000, 0x7f800001} { // a quiet NaN, and one that signals
				nan := math.Float32frombits(bits)
				x[n/2] = nan
				if got := Max(x); got != got {
					t.Errorf("max of %d with a NaN, %#x, is NaN", n, bits)
				}
				near(t, "max of NaN alone", float64(Max(slices.Repeat([]float32{nan}, n))), math.Inf(-1), 0)
			}
		}
		near(t, "max of nothing", float64(Max(nil)), math.Inf(-1), 0)
	})
}

func TestElementwise(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, n := range lengths {
			a, b, c, y := random(n, 1), random(n, 2), random(n, 3), make([]float32, n+1)
			y[n] = 77
			Add(y[:n], a, b)
			for i := range n {
				near(t, "add", float64(y[i]), float64(a[i]+b[i]), 0)
			}
			Scale(y[:n], 3)
			for i := range n {
				near(t, "scale", float64(y[i]), float64((a[i]+b[i])*3), 0)
			}
			Mul(y[:n], a, b)
			for i := range n {
				near(t, "mul", float64(y[i]), float64(a[i]*b[i]), 0)
			}
			ScaleBy(y[:n], a, b, 3)
			for i := range n {
				near(t, "scale by", float64(y[i]), float64(a[i]*3*b[i]), 0)
			}
			mean := 1000.00001
			for i := range a {
				a[i] += 1000
			}
			Normalize(y[:n], a, b, c, mean, 0.5)
			for i := range n {
				want := (float64(a[i])-mean)*0.5*float64(b[i]) + float64(c[i])
				near(t, "normalize", float64(y[i]), want, 1e-6*(math.Abs(float64(b[i]))+math.Abs(float64(c[i]))))
			}
			if y[n] != 77 {
				t.Errorf("n=%d: an element past the end was written", n)
			}
		}
	})
}

func TestF16(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		all := make([]uint16, 1<<16)
		for i := range all {
			all[i] = uint16(i)
		}
		x, back := make([]float32, len(all)), make([]uint16, len(all))
		FromF16(x, all)
		ToF16(back, x)
		for i, h := range all {
			want := float16.Frombits(h).Float32()
			one := fromF16(h) // of the elements that fill no vector
			if got := math.Float32bits(x[i]); got != math.Float32bits(want) || math.Float32bits(one) != got {
				t.Fatalf("from %#04x: got %#08x, alone %#08x, expected %#08x", h, got, math.Float32bits(one), math.Float32bits(want))
			}
			if want == want && back[i] != h {
				t.Fatalf("%#04x became %v and came back as %#04x", h, x[i], back[i])
			}
		}
		odd := everyKind()
		half := make([]uint16, len(odd))
		ToF16(half, odd)
		for i, v := range odd {
			if want := float16.Fromfloat32(v); half[i] != want.Bits() {
				t.Fatalf("%v to f16: got %#04x, want %#04x", v, half[i], want.Bits())
			}
		}
	})
}

func TestBF16(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		all := make([]uint16, 1<<16)
		for i := range all {
			all[i] = uint16(i)
		}
		x, back := make([]float32, len(all)), make([]uint16, len(all))
		FromBF16(x, all)
		ToBF16(back, x)
		for i, h := range all {
			if bits := math.Float32bits(x[i]); bits != uint32(h)<<16 {
				t.Fatalf("%#04x became %#08x", h, bits)
			}
			if x[i] == x[i] && back[i] != h || x[i] != x[i] && (back[i]&0x7fff <= 0x7f80) {
				t.Fatalf("%#04x became %v and came back as %#04x", h, x[i], back[i])
			}
		}
		odd := everyKind()
		for i := range len(odd) { // the middle between neighbours
			odd = append(odd, math.Float32frombits(math.Float32bits(odd[i])&^0xffff|0x8000))
		}
		half := make([]uint16, len(odd))
		ToBF16(half, odd)
		for i, v := range odd {
			down := math.Float32frombits(math.Float32bits(v) &^ 0xffff)
			up := math.Float32frombits(math.Float32bits(v)&^0xffff + 0x10000)
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) || math.IsInf(float64(up), 0) {
				continue
			}
			d, u := math.Abs(float64(v)-float64(down)), math.Abs(float64(up)-float64(v))
			want := down
			if u < d || u == d && math.Float32bits(down)>>16&1 == 1 {
				want = up
			}
			if got := fromBF16(half[i]); math.Float32bits(got) != math.Float32bits(want) {
				t.Fatalf("%v to bf16: got %v, want %v", v, got, want)
			}
		}
	})
}

// quantized are blocks of random bytes, with scales that float16 holds.
func quantized(blocks, size int) []byte {
	r := rand.New(rand.NewPCG(uint64(blocks), uint64(size)))
	p := make([]byte, blocks*size)
	for b := range blocks {
		block := p[b*size:]
		binary.LittleEndian.PutUint16(block, float16.Fromfloat32(float32(r.NormFloat64())/16).Bits())
		for j := 2; j < size; j++ {
			block[j] = byte(r.Uint32())
		}
	}
	return p
}

// TestQuantized holds blocks to their formulas: every byte occurs.
func TestQuantized(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, blocks := range []int{1, 2, 3, 24, 100} {
			n := 32 * blocks
			for _, c := range []struct {
				name string
				size int
				at   func(block []byte, j int) int // the number of element j
				from func([]float32, []byte)
			}{
				{"q8_0", 34, func(block []byte, j int) int { return int(int8(block[2+j])) }, FromQ8},
				{"q4_0", 18, func(block []byte, j int) int { return int(block[2+j%16]>>(j/16*4)&15) - 8 }, FromQ4},
			} {
				w := quantized(blocks, c.size)
				got := append(make([]float32, n), 77)
				c.from(got[:n], w)
				for i := range n {
					block := w[i/32*c.size:]
					want := float64(float16.Frombits(binary.LittleEndian.Uint16(block)).Float32()) * float64(c.at(block, i%32))
					near(t, fmt.Sprintf("%s: element %d", c.name, i), float64(got[i]), want, 0)
				}
				if got[n] != 77 {
					t.Errorf("%s, %d blocks: an element past the end was written", c.name, blocks)
				}
			}
		}
	})
}

func BenchmarkVec(b *testing.B) {
	const n = 4096
	x, y, w := random(n, 1), make([]float32, n), make([]uint16, 4*n)
	m, v, move := random(n, 1), make([]float32, n), AdamW{1, 0.9, 0.1, 0.99, 0.01, 1, 1, 1e-8, 0.1, 1e-3}
	q8, q4 := quantized(n/32, 34), quantized(n/32, 18)
	wasFast, wasWide := fast, wide
	defer func() { fast, wide = wasFast, wasWide }()
	for _, p := range paths() {
		fast, wide = p[0], p[1]
		for _, c := range []struct {
			name string
			f    func()
		}{
			{"Exp", func() { Exp(y, x, 1) }},
			{"SoftCap", func() { SoftCap(x, 30) }},
			{"GELUTanh", func() { GELUTanh(y, x) }},
			{"GELUTanhBackward", func() { GELUTanhBackward(y, x, x) }},
			{"GELUErf", func() { GELUErf(y, x) }},
			{"GELUErfBackward", func() { GELUErfBackward(y, x, x) }},
			{"SiLU", func() { SiLU(y, x) }},
			{"SiLUBackward", func() { SiLUBackward(y, x, x) }},
			{"ReLU", func() { ReLU(y, x) }},
			{"ScaleBy", func() { ScaleBy(y, x, x, 1) }},
			{"Gate", func() { Gate(y, x, x, 7, 1) }},
			{"Rotate", func() { Rotate(y[:n/2], y[n/2:], x[:n/2], x[n/2:], x[:n/2], x[n/2:], 1) }},
			{"RotatePairs", func() { RotatePairs(y, x, x[:n/2], x[n/2:], 1) }},
			{"Normalize", func() { Normalize(y, x, x, x, 1, 1) }},
			{"NormalizeSums", func() { NormalizeSums(x, x, x, 1) }},
			{"NormalizeBackward", func() { NormalizeBackward(y, x, x, x, 1, 1, 1, 1) }},
			{"AddNormalized", func() { AddNormalized(y, m, x, x, 1, 1) }},
			{"SoftmaxBackward", func() { SoftmaxBackward(y, x, 1) }},
			{"AdamW", func() { move.Move(y, m, v, x) }},
			{"SumSquares", func() { SumSquares(x, 1) }},
			{"Max", func() { Max(x) }},
			{"Add", func() { Add(y, x, x) }},
			{"FromF16", func() { FromF16(y, w) }},
			{"ToF16", func() { ToF16(w[:n], x) }},
			{"FromQ8", func() { FromQ8(y, q8) }},
			{"FromQ4", func() { FromQ4(y, q4) }},
			{"Dot", func() { Dot(y, x) }},
		} {
			b.Run(fmt.Sprintf("%s/fast=%v,wide=%v", c.name, fast, wide), func(b *testing.B) {
				for b.Loop() {
					c.f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
			})
		}
	}
}
