package backend

import "fmt"

// Route chooses experts of a mixture by their scores, as in gpt-oss: those with the largest
// scores, the largest first, each with its share in a softmax over those that were chosen.
//
//	ids[t, 0…k−1]     = the k largest of x[t], the lower id first where two are equal
//	weights[t, 0…k−1] = softmax(x[t, ids[t]])
//
// Scores have the order of [RouteKey]: NaN counts as the largest, so that a row with one has
// weights that are NaN; both zeros, and what is below the normal numbers, are equal.
type Route struct {
	IDs     Tensor // [..., chosen] i32
	Weights Tensor // [..., chosen] f32
	X       Tensor // [..., experts] f32
}

// MaxChosen is how many experts a row may have, and MaxExperts of how many.
const MaxChosen, MaxExperts = 32, 1024

// RouteKey maps the bits of a score to an integer of the same order: see [Route].
func RouteKey(b uint32) uint32 {
	if b&^(1<<31) > infinity {
		return 1<<32 - 1
	}
	return SampleKey(b)
}

func (*Route) Name() string { return "route" }

func (o *Route) Operands(yield func(string, *Tensor, Access)) {
	yield("ids", &o.IDs, Write)
	yield("weights", &o.Weights, Write)
	yield("x", &o.X, Read)
}

func (o *Route) Check() error {
	dst := o.X.Shape
	dst[3] = o.IDs.Dim(-1)
	if experts := o.X.Dim(-1); dst[3] > min(experts, MaxChosen) || experts > MaxExperts {
		return fmt.Errorf("%d of %d experts are chosen, expected at most %d, of at most %d", dst[3], experts, min(experts, MaxChosen), MaxExperts)
	}
	return first(
		wantDType("ids", o.IDs, I32),
		wantDType("weights", o.Weights, F32),
		wantDType("x", o.X, F32),
		wantShape("ids", o.IDs, dst[:]...),
		wantShape("weights", o.Weights, dst[:]...),
		wantRows("ids", o.IDs),
		wantRows("weights", o.Weights),
		wantRows("x", o.X),
	)
}
