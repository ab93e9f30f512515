package conformance

import (
	"testing"

	"caldera/backend"
)

func newReference(testing.TB) backend.Backend { return Reference() }

func TestReference(t *testing.T) { Test(t, newReference) }

// A few of Long's cases: on the oracle itself more of them show nothing new.
func TestReferenceSweep(t *testing.T) { run(t, newReference, sweep(8)) }

func BenchmarkReference(b *testing.B) {
	if testing.Short() {
		b.Skip("the reference is slow")
	}
	Bench(b, newReference)
}
