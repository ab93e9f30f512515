package conformance

import (
	"testing"

	"caldera/backend"
)

func newReference(testing.TB) backend.Backend { return Reference() }

func TestReference(t *testing.T) { Test(t, newReference) }

// A few of Long's cases: on the oracle itself more of them show nothing new.
func TestReferenceRandom(t *testing.T) {
	var few []check
	for _, name := range names() {
		for n := range uint32(8) {
			if kinds[name].Random != nil {
				few = append(few, random(name, n))
			}
		}
	}
	run(t, newReference, few)
}

func BenchmarkReference(b *testing.B) {
	if testing.Short() {
		b.Skip("the reference is slow")
	}
	Bench(b, newReference)
}
