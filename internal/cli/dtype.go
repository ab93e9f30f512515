package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/gpt/model"

	"github.com/alecthomas/kong"
)

// ActivationFlag chooses how products read what they multiply weights with, where these are
// not f32.
type ActivationFlag struct {
	Activations string `enum:"auto,f16,f32,q8_0" default:"auto" placeholder:"TYPE" help:"How numbers are rounded that weights, unless of f32, are multiplied with: f16, to its precision, as matrix units need it; f32, not at all; q8_0, to blocks of 8 bits beside quantised weights, which is less exact; auto, f16 on a device with matrix units, q8_0 on a CPU that multiplies integers faster where weights are quantised, else f32 (${default})."`
}

// Activation is the dtype of activations, None for auto. On the command line it has the name that
// other programs give to blocks of 8 bits.
func (f ActivationFlag) Activation() backend.DType {
	switch f.Activations {
	case backend.Q8_0.String():
		return backend.Q8_A
	case backend.F32.String():
		return backend.F32
	case backend.F16.String():
		return backend.F16
	}
	return backend.None
}

// ActivationsWarning says that --activations=f16 or q8_0 rounds nothing for a model, as f32. It is empty where that is
// not so. On a device with matrix units auto may round all the same.
func ActivationsWarning(m *model.Model) string {
	if !m.RoundsNothing() {
		return ""
	}
	name := m.Activations
	if name == backend.Q8_A {
		name = backend.Q8_0
	}
	return fmt.Sprintf("%s: warning: --activations=%v is as f32, for the matrices are %v: see --dtype", Self(), name, m.DType())
}

// Vars adds to the variables of a command's tags those that list what package
// backend knows: ${backends} that are registered, and dtypes, ${dtypes} of models, ${types} of
// single matrices and ${caches} for enum and default, ${weights}, ${measured} (of models or of single matrices), ${plain},
// ${blocks} and ${caches} for help.
func Vars(of kong.Vars) kong.Vars {
	targets := backend.DTypes(backend.Targets)
	vars := kong.Vars{
		"backends": strings.Join(backend.Names(), ","),
		"dtypes":   strings.ReplaceAll(backend.JoinDTypes(targets), " ", ""),
		"types":    strings.ReplaceAll(backend.JoinDTypes(backend.DTypes(backend.Weights)), " ", ""),
		"weights":  backend.JoinDTypes(targets),
		"measured": backend.JoinDTypes(backend.DTypes(backend.Targets | backend.Weights)),
		"plain":    backend.JoinDTypes(backend.PlainDTypes()),
		"blocks":   backend.JoinDTypes(slices.DeleteFunc(slices.Clone(targets), func(d backend.DType) bool { return !d.Quantized() })),
		"caches":   strings.ReplaceAll(backend.JoinDTypes(backend.DTypes(backend.Caches)), " ", ""),
	}
	maps.Copy(vars, of)
	return vars
}
