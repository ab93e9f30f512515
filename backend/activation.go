package backend

import "fmt"

// Activation is a function that is applied to each number of a tensor.
type Activation uint8

const (
	NoActivation Activation = iota // x
	GELUTanh                       // ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))): GPT-2's gelu_new
	GELUErf                        // ½·x·(1 + erf(x/√2)): the exact GELU
	GELUSigmoid                    // x·σ(1.702·x): "quick GELU"
	ReLU                           // max(x, 0)
	SiLU                           // x·σ(x), also called swish
)

var activations = [...]string{
	NoActivation: "none", GELUTanh: "gelu_tanh", GELUErf: "gelu_erf", GELUSigmoid: "gelu_sigmoid", ReLU: "relu", SiLU: "silu",
}

func (a Activation) String() string {
	if int(a) < len(activations) {
		return activations[a]
	}
	return fmt.Sprintf("activation(%d)", uint8(a))
}

// Valid reports whether a is one of the functions above.
func (a Activation) Valid() bool { return int(a) < len(activations) }
