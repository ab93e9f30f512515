package backend

import (
	"errors"
	"fmt"
)

// LinearGate is a [GatedActivation] behind a [Linear]: the first half of its outputs is the
// gate, the second half up. The zero value is none.
type LinearGate struct {
	On    bool
	Func  Activation
	Limit float32 // 0: none
	Shift float32
}

// op is the gated activation of a product, sum, as an op of its own.
func (g *LinearGate) op(dst, sum Tensor) *GatedActivation {
	n := sum.Dim(-1)
	return &GatedActivation{Dst: dst, Gate: sum.Slice(-1, 0, n/2), Up: sum.Slice(-1, n/2, n), Func: g.Func, Limit: g.Limit, Shift: g.Shift}
}

func (o *Linear) checkGate() error {
	g := &o.Gate
	switch {
	case !g.On && *g != (LinearGate{}):
		return errors.New("the result is not gated: expected no function, no limit and no shift of a gate")
	case !g.On:
		return nil
	case o.W.Dim(-2)%2 != 0:
		return fmt.Errorf("w has %d rows, expected as many for the gate as for what it is multiplied with", o.W.Dim(-2))
	case o.Activation != NoActivation || !o.Residual.Absent() || o.Rotation.present():
		return errors.New("the result is gated: expected no activation, no residual and no rotation")
	}
	if err := checkGate(g.Func, g.Limit, g.Shift); err != nil {
		return fmt.Errorf("gate: %w", err)
	}
	return nil
}
