package backend

import "fmt"

// LinearNorm is a norm of the x of a [Linear], which comes before the product: a
// [LayerNorm], or an [RMSNorm] where there is no beta. Without gamma there is none.
type LinearNorm struct {
	Gamma   Tensor  // [in] f32; absent: no norm
	Beta    Tensor  // [in] f32; absent: by the root mean square
	Epsilon float32 // > 0
	Normed  Tensor  // [..., in] f32, scratch for Lower: the norm of x
}

// present reports whether there is a norm.
func (n *LinearNorm) present() bool { return !n.Gamma.Absent() }

func (n *LinearNorm) label() string {
	switch {
	case !n.present():
		return ""
	case n.Beta.Absent():
		return "rmsnorm+"
	}
	return "layernorm+"
}

func (n *LinearNorm) operands(yield func(string, *Tensor, Access)) {
	if n.present() {
		yield("gamma", &n.Gamma, Read)
		if !n.Beta.Absent() {
			yield("beta", &n.Beta, Read)
		}
		yield("normed", &n.Normed, Scratch)
	}
}

// op is the norm of x as an op of its own.
func (n *LinearNorm) op(x Tensor) Op {
	if n.Beta.Absent() {
		return &RMSNorm{Dst: n.Normed, X: x, Gamma: n.Gamma, Epsilon: n.Epsilon}
	}
	return &LayerNorm{Dst: n.Normed, X: x, Gamma: n.Gamma, Beta: n.Beta, Epsilon: n.Epsilon}
}

func (n *LinearNorm) check(x Tensor) error {
	if !n.present() {
		if *n != (LinearNorm{}) {
			return fmt.Errorf("the norm has no gamma, expected none of beta, epsilon and normed either")
		}
		return nil
	}
	if err := n.op(x).Check(); err != nil { // in which normed is dst
		return fmt.Errorf("norm: %w", err)
	}
	return nil
}
