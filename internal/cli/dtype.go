package cli

import (
	"maps"
	"strings"

	"caldera/backend"

	"github.com/alecthomas/kong"
)

// ActivationFlag chooses how products with quantised weights read what they
// multiply with.
type ActivationFlag struct {
	Activations string `enum:"f32,q8_0" default:"f32" placeholder:"TYPE" help:"Multiply quantised weights with numbers of f32, or rounded to blocks of 8 bits: q8_0, which is less exact (${default})."`
}

// Activation is the dtype of activations. On the command line it has the name that
// other programs give to blocks of 8 bits.
func (f ActivationFlag) Activation() backend.DType {
	if f.Activations == backend.Q8_0.String() {
		return backend.Q8_A
	}
	return backend.F32
}

// Vars adds to the variables of a command's tags those that list what package
// backend knows: ${backends} that are registered, and dtypes, ${dtypes} and
// ${caches} for enum and default, ${weights}, ${plain}, ${blocks} and ${caches}
// for help.
func Vars(of kong.Vars) kong.Vars {
	vars := kong.Vars{
		"backends": strings.Join(backend.Names(), ","),
		"dtypes":   strings.ReplaceAll(backend.JoinDTypes(backend.DTypes(backend.Weights)), " ", ""),
		"weights":  backend.JoinDTypes(backend.DTypes(backend.Weights)),
		"plain":    backend.JoinDTypes(backend.PlainDTypes()),
		"blocks":   backend.JoinDTypes(backend.QuantizedDTypes()),
		"caches":   strings.ReplaceAll(backend.JoinDTypes(backend.DTypes(backend.Caches)), " ", ""),
	}
	maps.Copy(vars, of)
	return vars
}
