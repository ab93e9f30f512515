package cli

import (
	"maps"
	"strings"

	"caldera/backend"

	"github.com/alecthomas/kong"
)

// Vars adds to the variables of a command's tags those that list dtypes, as the
// table of package backend has them: ${dtypes} and ${caches} for enum and
// default, ${weights}, ${plain}, ${blocks} and ${caches} for help.
func Vars(of kong.Vars) kong.Vars {
	vars := kong.Vars{
		"dtypes":  strings.ReplaceAll(backend.JoinDTypes(backend.DTypes(backend.Weights)), " ", ""),
		"weights": backend.JoinDTypes(backend.DTypes(backend.Weights)),
		"plain":   backend.JoinDTypes(backend.PlainDTypes()),
		"blocks":  backend.JoinDTypes(backend.QuantizedDTypes()),
		"caches":  strings.ReplaceAll(backend.JoinDTypes(backend.DTypes(backend.Caches)), " ", ""),
	}
	maps.Copy(vars, of)
	return vars
}
