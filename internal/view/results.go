package view

import "reflect"

// Results are the types of what views answer, by their names.
var Results = map[string]reflect.Type{
	"tally":     reflect.TypeFor[TallyResult](),
	"tokens":    reflect.TypeFor[TokensResult](),
	"embed":     reflect.TypeFor[EmbedResult](),
	"next":      reflect.TypeFor[NextResult](),
	"attention": reflect.TypeFor[AttentionResult](),
	"mlp":       reflect.TypeFor[MLPResult](),
	"context":   reflect.TypeFor[ContextResult](),
	"lens":      reflect.TypeFor[*LensResult](),
	"forget":    reflect.TypeFor[ForgetResult](),
	"learn":     reflect.TypeFor[LearnResult](),
}
