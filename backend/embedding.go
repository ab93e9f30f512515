package backend

import "fmt"

// Embedding looks up the vector of each id, and adds the vector of its position:
//
//	dst[b,t] = tokens[ids[b,t]] + positions[pos]
//
// where pos is the token's position. Without Positions and At it only looks up tokens.
// If an id or a position is outside of its table, that row of dst becomes NaN. If the
// token is padding, it becomes 0.
type Embedding struct {
	Dst       Tensor // [batch, time, width] f32
	Tokens    Tensor // [vocab, width] of a dtype of weights
	Positions Tensor // [context, width] of a plain dtype of weights; may be absent
	IDs       Tensor // [batch, time] i32
	At        Tensor // [2, batch·time] i32: sequence and position of each token; absent with Positions
}

func (*Embedding) Name() string { return "embedding" }

func (o *Embedding) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("tokens", &o.Tokens, Read)
	if !o.Positions.Absent() {
		yield("positions", &o.Positions, Read)
	}
	yield("ids", &o.IDs, Read)
	if !o.At.Absent() {
		yield("at", &o.At, Read)
	}
}

func (o *Embedding) Check() error {
	batch, time, width := o.Dst.Dim(-3), o.Dst.Dim(-2), o.Dst.Dim(-1)
	err := first(
		wantDType("dst", o.Dst, F32),
		wantDType("tokens", o.Tokens, DTypes(Weights)...),
		wantDType("ids", o.IDs, I32),
		wantShape("dst", o.Dst, batch, time, width),
		wantShape("tokens", o.Tokens, o.Tokens.Dim(-2), width),
		wantShape("ids", o.IDs, batch, time),
		wantRows("dst", o.Dst),
		wantRows("tokens", o.Tokens),
	)
	if err != nil || (o.Positions.Absent() && o.At.Absent()) {
		return err
	}
	if o.Positions.Absent() != o.At.Absent() {
		return fmt.Errorf("positions and at go together: positions is %v, at is %v", o.Positions, o.At)
	}
	return first(
		wantDType("positions", o.Positions, PlainDTypes()...),
		wantShape("positions", o.Positions, o.Positions.Dim(-2), width),
		checkPlaces(o.At, batch*time),
		wantRows("positions", o.Positions),
	)
}

// Cost counts the rows of the tables that are looked up.
func (o *Embedding) Cost() (flops, bytes int64) {
	return 0, moved(o, o.Dst.Len(), "tokens", "positions")
}
