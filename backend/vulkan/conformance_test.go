//go:build cgo

package vulkan

import (
	"os"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/conformance"
)

// TestConformance runs in parallel to TestKernels.
func TestConformance(t *testing.T) { conformAll(t, testDevices) }

// conformAll takes devices through the suite. Those of SwiftShader go beside others. Those of lavapipe go one after the
// other: if they needed the same shaders at the same time all would compile them, while a later one finds them in Mesa's cache.
func conformAll(t *testing.T, list []conforming) {
	t.Parallel()
	for _, p := range list {
		t.Run(p.name, func(t *testing.T) {
			if p.driver == swiftshader {
				t.Parallel()
			}
			p.conform(t)
		})
	}
}

// TestLong takes simulated devices through all of the suite, and tries random cases on the drivers as they are, and on
// interpreters, for as long as CALDERA_LONG says, as `make test-long` does.
func TestLong(t *testing.T) {
	if os.Getenv("CALDERA_LONG") != "" {
		for _, p := range slices.Concat(testDevices, families) {
			if p.part != whole || p.groups != nil {
				p.part, p.groups = whole, nil
				t.Run(p.name+"-whole", p.conform)
			}
		}
	}
	for _, p := range testDevices {
		if p.clamp == nil {
			t.Run(p.name, func(t *testing.T) {
				conformance.Long(t, func(tb testing.TB) backend.Backend { return openTest(tb, p.driver, nil) })
			})
		}
	}
	for _, c := range cards {
		t.Run("interpreted-"+c.name, func(t *testing.T) {
			conformance.Long(t, func(tb testing.TB) backend.Backend { return c.open(tb, nil) })
		})
	}
}

// TestLongRows runs ops on vectors that a simulated small device may refuse, because it
// cannot bind them. Drivers with their own limits must accept them.
func TestLongRows(t *testing.T) {
	for _, p := range testDevices {
		if p.clamp != nil {
			continue
		}
		b := openTest(t, p.driver, nil)
		x := backend.Of(nil, backend.F32, 0, 2, 262147)
		row, losses, ids := backend.Of(nil, backend.F32, 0, 262147), backend.Of(nil, backend.F32, 0, 2), backend.Of(nil, backend.I32, 0, 2)
		for _, op := range []backend.Op{
			&backend.Softmax{Dst: x, X: x}, &backend.Argmax{Dst: backend.Of(nil, backend.I32, 0, 2, 1), X: x},
			&backend.LayerNorm{Dst: x, X: x, Gamma: row, Beta: row, Epsilon: 1e-5},
			&backend.RMSNorm{Dst: x, X: x, Gamma: row, Epsilon: 1e-5},
			&backend.CrossEntropy{Loss: losses, X: x, Targets: ids, Scale: 1},
		} {
			if !b.Supports(op) {
				t.Errorf("%s does not take %s of 262147", p.name, op.Name())
			}
		}
	}
}
