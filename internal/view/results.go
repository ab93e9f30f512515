package view

import "reflect"

// Results are the types of what views answer, by their names.
var Results = map[string]reflect.Type{
	"tally":  reflect.TypeFor[TallyResult](),
	"tokens": reflect.TypeFor[TokensResult](),
	"lens":   reflect.TypeFor[LensResult](),
}
