package conformance

import (
	"fmt"
	"math/rand/v2"
	"reflect"

	"caldera/backend"
)

// Kind is what the suite knows about one op: how to compute it, and what to try it
// with. The kinds of the ops of package backend are registered here; an op of
// another package is held to the same checks once its kind is registered too.
type Kind struct {
	// Op is a pointer to the op's zero struct.
	Op backend.Op

	// Oracle computes the op in float64: [Oracle] makes one of a function that
	// takes the op's own type. It may be nil where the op is a
	// [backend.Lowerer], which is then held to what it lowers to.
	Oracle func(Memory, backend.Op)

	// Cases returns the chosen cases: shapes that are small, odd and large, and
	// data that are extreme. Each layout of [Layouts] should occur.
	Cases func() []Case

	// NonFinite returns the cases with NaN and infinities. Its cases have a
	// Poison, and their Fill puts the numbers in where run is 1.
	NonFinite func() []Case

	// Random returns a case of any shape and layout, for [Long]. What it
	// chooses must follow from r alone. It may be nil.
	Random func(r *rand.Rand) Case

	// Training marks an op that only training needs. A backend may lack it.
	Training bool
}

// all are the chosen cases.
func (k Kind) all() []Case {
	all := k.Cases()
	if k.NonFinite != nil {
		all = append(all, k.NonFinite()...)
	}
	return all
}

// kinds are those that are registered, by the names of their ops.
var kinds = map[string]Kind{}

// Register makes the kind of an op known to [Test], [Long], [TestGroups] and
// [Reference] of this program. Call it in init of a test of the package that the
// op belongs to. It panics if the kind lacks something, or if another op has the
// same name.
func Register(k Kind) {
	refuse := func(found string) {
		panic(fmt.Sprintf("conformance.Register(%T): %s", k.Op, found))
	}
	v := reflect.ValueOf(k.Op)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		refuse("Op is not a pointer to a struct")
	}
	name := k.Op.Name()
	_, lowers := k.Op.(backend.Lowerer)
	switch known, taken := kinds[name]; {
	case name == "":
		refuse("the op's Name is empty")
	case taken:
		refuse(fmt.Sprintf("%T has the name %q too: give the op another one", known.Op, name))
	case k.Oracle == nil && !lowers:
		refuse("Oracle is nil, and the op does not lower to others: add an oracle")
	case k.Cases == nil:
		refuse("Cases is nil: add a function that returns the cases to try")
	}
	kinds[name] = k
}

// kindOf is the kind of an op. Another op of the same name is not known.
func kindOf(op backend.Op) (Kind, bool) {
	k, ok := kinds[op.Name()]
	return k, ok && reflect.TypeOf(k.Op) == reflect.TypeOf(op)
}
