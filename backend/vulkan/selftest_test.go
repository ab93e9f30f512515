//go:build cgo

package vulkan

import (
	"strings"
	"testing"
)

// subgroups runs the test of subgroups, and returns what it found.
func (b *Backend) subgroups(t *testing.T) error {
	t.Helper()
	found, err := b.tryAll([]unchecked{{b.subgroupTest(), trySubgroups}})
	if err != nil {
		t.Fatal(err)
	}
	return found[0]
}

func TestSubgroups(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		if !b.limits.SubgroupArithmetic {
			return
		}
		if err := b.subgroups(t); err != nil {
			t.Error(err)
		}
	})
}

// TestSubgroupsLie simulates a device that tells another size than it has.
func TestSubgroupsLie(t *testing.T) {
	b := openTest(t, lavapipe, func(l *Limits) { l.SubgroupSize *= 2 })
	if err := b.subgroups(t); err == nil || !strings.Contains(err.Error(), "(size, number, lane, sum) of the subgroup of an invocation at [0, 0]") {
		t.Errorf("the test of a device with half the subgroup size: %v", err)
	}
}
