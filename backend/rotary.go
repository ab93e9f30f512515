package backend

import "fmt"

// Rotary is rotary position embedding (RoPE; Su et al. 2021, arXiv:2104.09864). It
// rotates pairs (a, b) of each head's elements by angles that depend on the token's
// position p:
//
//	dst = (a · cos − b · sin, b · cos + a · sin)
//
// with cos = Angles[p, i] and sin = Angles[p, pairs+i] for the i-th pair. The host
// computes the table, so that every scaling of positions, and of the result, is data.
// Elements of a head beyond the first 2·pairs are copied. If a position is outside of
// the table, its row becomes NaN. If the token is padding, it becomes 0.
//
// With Inverse it rotates back (−sin in place of sin). That is the gradient of the op
// without Inverse.
type Rotary struct {
	Dst     Tensor // [batch, time, Heads·size] f32
	X       Tensor // [batch, time, Heads·size] f32
	Angles  Tensor // [context, 2·pairs] f32: of each position the cosines, then the sines
	At      Tensor // [2, batch·time] i32: sequence and position of each token
	Heads   int    // number of heads along the last axis
	Pairing Pairing
	Inverse bool
}

// Pairing says which two elements of a head are a pair.
type Pairing uint8

const (
	Halves     Pairing = iota // i and i+pairs, as in checkpoints of Hugging Face ("rotate_half", NeoX)
	Neighbours                // 2·i and 2·i+1, as in Llama's own checkpoints and GGUF files of it (GPT-J)
)

func (p Pairing) String() string {
	switch p {
	case Halves:
		return "halves"
	case Neighbours:
		return "neighbours"
	}
	return fmt.Sprintf("pairing(%d)", uint8(p))
}

func (*Rotary) Name() string { return "rotary" }

func (o *Rotary) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
	yield("angles", &o.Angles, Read)
	yield("at", &o.At, Read)
}

// HeadSize returns the number of elements of a head.
func (o *Rotary) HeadSize() int { return o.X.Dim(-1) / o.Heads }

// Pairs returns the number of pairs of each head that are rotated.
func (o *Rotary) Pairs() int { return o.Angles.Dim(-1) / 2 }

// Places says where pairs are in a head: pair i is elements i·step and i·step + apart.
func (o *Rotary) Places() (step, apart int) {
	if o.Pairing == Neighbours {
		return 2, 1
	}
	return 1, o.Pairs()
}

// Cost counts the rows of angles that are looked up.
func (o *Rotary) Cost() (flops, bytes int64) {
	return 0, moved(o, o.X.Rows()*o.Angles.Dim(-1), "angles")
}

func (o *Rotary) Check() error {
	batch, time, width := o.X.Dim(-3), o.X.Dim(-2), o.X.Dim(-1)
	if o.Heads < 1 || width%o.Heads != 0 {
		return fmt.Errorf("x is %d wide, expected a multiple of its %d heads", width, o.Heads)
	}
	if n := o.Angles.Dim(-1); n%2 != 0 || n > o.HeadSize() {
		return fmt.Errorf("angles is %d wide, expected as many cosines as sines, at most %d in all, the size of a head", n, o.HeadSize())
	}
	if o.Pairing > Neighbours {
		return fmt.Errorf("pairing is %v, expected %v or %v", o.Pairing, Halves, Neighbours)
	}
	return first(
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, F32),
		wantDType("angles", o.Angles, F32),
		wantShape("x", o.X, batch, time, width),
		wantShape("dst", o.Dst, batch, time, width),
		wantShape("angles", o.Angles, o.Angles.Dim(-2), o.Angles.Dim(-1)),
		checkPlaces(o.At, batch*time),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
		wantRows("angles", o.Angles),
	)
}
