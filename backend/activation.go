package backend

import (
	"fmt"
	"strings"
)

// Activation is a function that is applied to each number of a tensor.
//
// Each gives NaN for NaN and +∞ for +∞. ReLU gives 0 for −∞; the others give
// NaN, as −∞ · 0 does. The slope is 1 at +∞, 0 at −∞, and NaN at NaN; that of ReLU
// at 0 is 0.
type Activation uint8

const (
	NoActivation Activation = iota // x
	GELUTanh                       // ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))): GPT-2's gelu_new
	GELUErf                        // ½·x·(1 + erf(x/√2)): the exact GELU (Hendrycks and Gimpel 2016, arXiv:1606.08415, as those beside it)
	GELUSigmoid                    // x·σ(1.702·x): "quick GELU"
	ReLU                           // max(x, 0)
	SiLU                           // x·σ(x), also called swish
)

var activations = [...]string{
	NoActivation: "none", GELUTanh: "gelu_tanh", GELUErf: "gelu_erf", GELUSigmoid: "gelu_sigmoid", ReLU: "relu", SiLU: "silu",
}

func (a Activation) String() string {
	if a.Valid() {
		return activations[a]
	}
	return fmt.Sprintf("activation(%d)", uint8(a))
}

// Valid reports whether a is one of the functions above.
func (a Activation) Valid() bool { return int(a) < len(activations) }

// wantActivation checks that a field of an op names a function; none says
// whether it may be NoActivation.
func wantActivation(field string, a Activation, none bool) error {
	if a.Valid() && (none || a != NoActivation) {
		return nil
	}
	names := activations[:]
	if !none {
		names = names[1:]
	}
	return fmt.Errorf("%s is %v, expected one of %s", field, a, strings.Join(names, ", "))
}
