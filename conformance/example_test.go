package conformance_test

import (
	"fmt"
	"testing"

	"caldera/backend"
	"caldera/conformance"
)

// In the package of a backend this is all that its test needs; the reference
// takes the backend's place here.
func ExampleTest() {
	var t *testing.T // of func TestConformance(t *testing.T)
	conformance.Test(t, func(tb testing.TB) backend.Backend {
		return conformance.Reference()
	})
}

// The reference serves code that is written against package backend and wants
// no hardware in its tests.
func ExampleReference() {
	b := conformance.Reference()
	defer b.Close()
	x, err := backend.New(b, backend.F32, 3)
	if err != nil {
		panic(err)
	}
	y, err := backend.New(b, backend.F32, 3)
	if err != nil {
		panic(err)
	}
	if err := backend.SetF32(b, x, []float32{1, 2, 3}); err != nil {
		panic(err)
	}
	if err := backend.Run(b, &backend.Add{Dst: y, A: x, B: x}); err != nil {
		panic(err)
	}
	sum := make([]float32, 3)
	if err := backend.GetF32(b, y, sum); err != nil {
		panic(err)
	}
	fmt.Println(sum)
	// Output: [2 4 6]
}
