package backend

import "fmt"

// Dropout sets elements to 0, each with probability Rate, and scales the others so
// that the expected value stays (Srivastava et al. 2014, JMLR 15):
//
//	dst[i] = r[i] < Rate · 2³² ? 0 : x[i] / (1 − Rate)
//
// i counts the elements in row-major order; strides do not matter. r[i] is word
// i mod 4 of [Philox] with key seed[0], seed[1] and counter i/4, Stream, seed[2],
// seed[3]. So every backend drops the same elements. The gradient is the same op on
// dy. The host changes the seed between steps. A dropped element becomes 0 also if
// it was NaN.
type Dropout struct {
	Dst    Tensor // any shape of up to 2³⁴ elements, f32
	X      Tensor // as dst
	Seed   Tensor // [4] i32: two words of key, two words of counter
	Rate   float32
	Stream uint32 // different for each Dropout of a model
}

func (*Dropout) Name() string { return "dropout" }

func (o *Dropout) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
	yield("seed", &o.Seed, Read)
}

// Threshold returns Rate · 2³²: an element is dropped if its random word is below.
func (o *Dropout) Threshold() uint32 { return uint32(float64(o.Rate) * (1 << 32)) }

// Scale returns 1 / (1 − Rate), the factor of the elements that are not dropped.
func (o *Dropout) Scale() float32 { return float32(1 / (1 - float64(o.Rate))) }

func (o *Dropout) Check() error {
	if !(0 <= o.Rate && o.Rate < 1) {
		return fmt.Errorf("rate is %v, expected a number from 0 to below 1", o.Rate)
	}
	if o.Dst.Len() > 1<<34 {
		return fmt.Errorf("dst is %v, expected at most 2³⁴ elements", o.Dst)
	}
	return first(
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, F32),
		wantDType("seed", o.Seed, I32),
		wantShape("x", o.X, o.Dst.Shape[:]...),
		wantShape("seed", o.Seed, 4),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
	)
}

// Philox is the counter-based random number generator Philox4x32-10 (Salmon et al.
// 2011, Parallel Random Numbers: As Easy as 1, 2, 3, SC '11). It returns four random
// words, which depend only on the key and the counter c.
func Philox(key [2]uint32, c [4]uint32) [4]uint32 {
	for range 10 {
		a := uint64(c[0]) * 0xD2511F53
		b := uint64(c[2]) * 0xCD9E8D57
		c = [4]uint32{uint32(b>>32) ^ c[1] ^ key[0], uint32(b), uint32(a>>32) ^ c[3] ^ key[1], uint32(a)}
		key[0] += 0x9E3779B9
		key[1] += 0xBB67AE85
	}
	return c
}
