package backend

// GatedActivationBackward is the gradient of [GatedActivation]. With gate and
// up clamped as there:
//
//	dgate = dy · (up + Shift) · f'(gate)
//	dup   = dy · f(gate)
//
// Where gate is above Limit, dgate is 0, and where up is outside of ±Limit, dup is
// 0, whatever dy is.
type GatedActivationBackward struct {
	DGate Tensor // [..., n] f32
	DUp   Tensor // [..., n] f32
	Gate  Tensor // [..., n] f32
	Up    Tensor // [..., n] f32
	DY    Tensor // [..., n] f32
	Func  Activation
	Limit float32 // 0: none
	Shift float32
}

func (*GatedActivationBackward) Name() string { return "gated_activation_backward" }

func (o *GatedActivationBackward) Operands(yield func(string, *Tensor, Access)) {
	yield("dgate", &o.DGate, Write)
	yield("dup", &o.DUp, Write)
	yield("gate", &o.Gate, Read)
	yield("up", &o.Up, Read)
	yield("dy", &o.DY, Read)
}

func (o *GatedActivationBackward) Check() error {
	return first(
		checkGate(o.Func, o.Limit, o.Shift),
		wantDType("dgate", o.DGate, F32),
		wantDType("dup", o.DUp, F32),
		wantDType("gate", o.Gate, F32),
		wantDType("up", o.Up, F32),
		wantDType("dy", o.DY, F32),
		wantShape("dgate", o.DGate, o.Gate.Shape[:]...),
		wantShape("dup", o.DUp, o.Gate.Shape[:]...),
		wantShape("up", o.Up, o.Gate.Shape[:]...),
		wantShape("dy", o.DY, o.Gate.Shape[:]...),
		wantRows("dgate", o.DGate),
		wantRows("dup", o.DUp),
		wantRows("gate", o.Gate),
		wantRows("up", o.Up),
		wantRows("dy", o.DY),
	)
}

// Bound is the limit as a number to clamp to: +∞ where there is none.
func (o *GatedActivationBackward) Bound() float32 { return bound(o.Limit) }
