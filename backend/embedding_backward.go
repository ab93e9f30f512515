package backend

import "fmt"

// EmbeddingBackward is the gradient of [Embedding]: it adds each vector of dy to the
// rows that were looked up. It adds in the order of the vectors, so that the sums
// are the same each time:
//
//	dtokens[ids[b,t]]    += dy[b,t]
//	dpositions[pos]     += dy[b,t]
//
// For an id or a position outside of its table nothing is added to that table. For a
// token whose sequence is below 0, such as padding, nothing is added to either.
type EmbeddingBackward struct {
	DTokens    Tensor // [vocab, width] f32
	DPositions Tensor // [context, width] f32; may be absent
	DY         Tensor // [batch, time, width] f32
	IDs        Tensor // [batch, time] i32
	At         Tensor // [2, batch·time] i32: sequence and position of each token; absent with DPositions
}

func (*EmbeddingBackward) Name() string { return "embedding_backward" }

func (o *EmbeddingBackward) Operands(yield func(string, *Tensor, Access)) {
	yield("dtokens", &o.DTokens, Update)
	if !o.DPositions.Absent() {
		yield("dpositions", &o.DPositions, Update)
	}
	yield("dy", &o.DY, Read)
	yield("ids", &o.IDs, Read)
	if !o.At.Absent() {
		yield("at", &o.At, Read)
	}
}

func (o *EmbeddingBackward) Check() error {
	batch, time, width := o.DY.Dim(-3), o.DY.Dim(-2), o.DY.Dim(-1)
	err := first(
		wantDType("dtokens", o.DTokens, F32),
		wantDType("dy", o.DY, F32),
		wantDType("ids", o.IDs, I32),
		wantShape("dy", o.DY, batch, time, width),
		wantShape("dtokens", o.DTokens, o.DTokens.Dim(-2), width),
		wantShape("ids", o.IDs, batch, time),
		wantRows("dtokens", o.DTokens),
		wantRows("dy", o.DY),
	)
	if err != nil || (o.DPositions.Absent() && o.At.Absent()) {
		return err
	}
	if o.DPositions.Absent() != o.At.Absent() {
		return fmt.Errorf("dpositions and at go together: dpositions is %v, at is %v", o.DPositions, o.At)
	}
	return first(
		wantDType("dpositions", o.DPositions, F32),
		wantShape("dpositions", o.DPositions, o.DPositions.Dim(-2), width),
		checkPlaces(o.At, batch*time),
		wantRows("dpositions", o.DPositions),
	)
}

// Cost counts the rows of the gradients that are added to.
func (o *EmbeddingBackward) Cost() (flops, bytes int64) {
	return 0, moved(o, o.DY.Len(), "dtokens", "dpositions")
}
