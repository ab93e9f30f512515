package backend

// ExpertSum adds up what experts give for a token, each with its weight:
//
//	dst[b, t] = Σ over c of weights[b, t, c] · x[b, t, c]
type ExpertSum struct {
	Dst     Tensor // [batch, time, width] f32
	X       Tensor // [batch, time, chosen, width] f32
	Weights Tensor // [batch, time, chosen] f32
}

func (*ExpertSum) Name() string { return "expert_sum" }

func (o *ExpertSum) Operands(yield func(string, *Tensor, Access)) {
	yield("dst", &o.Dst, Write)
	yield("x", &o.X, Read)
	yield("weights", &o.Weights, Read)
}

func (o *ExpertSum) Check() error {
	batch, time, chosen, width := o.X.Dim(0), o.X.Dim(1), o.X.Dim(2), o.X.Dim(3)
	return first(
		wantDType("dst", o.Dst, F32),
		wantDType("x", o.X, F32),
		wantDType("weights", o.Weights, F32),
		wantShape("dst", o.Dst, batch, time, width),
		wantShape("weights", o.Weights, batch, time, chosen),
		wantRows("dst", o.Dst),
		wantRows("x", o.X),
		wantRows("weights", o.Weights),
	)
}
