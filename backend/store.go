package backend

// Store writes vectors to a cache, those of each sequence at its own position:
//
//	dst[b, at[b]+t] = x[b,t]
//
// Other rows of dst keep their contents. Rows that would be outside of dst are not
// written. Numbers are rounded to the nearest that dst can hold, ties to even.
type Store struct {
	Dst Tensor // [batch, context, width] of a dtype of caches
	X   Tensor // [batch, time, width] f32
	At  Tensor // [batch] i32: the row of x[b,0]
}

func (*Store) Name() string { return "store" }

func (o *Store) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Update)
	yield("x", &o.X, Read)
	yield("at", &o.At, Read)
}

func (o *Store) Check() error {
	batch, width := o.X.Dim(-3), o.X.Dim(-1)
	return first(
		wantDType("dst", o.Dst, DTypes(Caches)...),
		wantDType("x", o.X, F32),
		wantDType("at", o.At, I32),
		wantShape("x", o.X, batch, o.X.Dim(-2), width),
		wantShape("dst", o.Dst, batch, o.Dst.Dim(-2), width),
		wantShape("at", o.At, batch),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
	)
}

// Cost counts the rows of dst that are written.
func (o *Store) Cost() (flops, bytes int64) { return 0, moved(o, o.X.Len(), "dst") }
