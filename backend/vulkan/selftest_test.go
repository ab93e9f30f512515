//go:build cgo

package vulkan

import (
	"encoding/binary"
	"strings"
	"testing"
)

func TestSubgroups(t *testing.T) {
	everywhere(t, func(t *testing.T, b *Backend) {
		advertised := b.limits.SubgroupArithmetic
		b.testSubgroups()
		switch err := b.subgroupTest.err; {
		case advertised && err != nil:
			t.Errorf("self-test: %v", err)
		case !advertised && (err == nil || b.subgroupTest.passed):
			t.Error("the self-test passed on a device without subgroup arithmetic")
		}
	})
}

// TestSubgroupsLie simulates a device that tells another size than it has.
func TestSubgroupsLie(t *testing.T) {
	b := openTest(t, lavapipe, func(l *Limits) { l.SubgroupSize *= 2 })
	b.testSubgroups()
	if b.subgroupTest.passed || !strings.Contains(b.subgroupTest.err.Error(), "a subgroup size of") {
		t.Errorf("self-test of a device with half the subgroup size: passed %v, %v", b.subgroupTest.passed, b.subgroupTest.err)
	}
}

func TestCheckSubgroups(t *testing.T) {
	const subgroup, size = 4, 8
	right := func() []byte {
		var p []byte
		for i := range uint32(2 * size) {
			i %= size
			sum := uint32(0)
			for j := i / subgroup * subgroup; j < (i/subgroup+1)*subgroup; j++ {
				sum += j*j + 1
			}
			for _, v := range []uint32{subgroup, i / subgroup, i % subgroup, sum} {
				p = binary.LittleEndian.AppendUint32(p, v)
			}
		}
		return p
	}
	if err := checkSubgroups(right(), subgroup, size, checkSum); err != nil {
		t.Fatal(err)
	}
	for at := range len(right()) / 4 {
		wrong := right()
		wrong[4*at]++
		if checkSubgroups(wrong, subgroup, size, checkSum) == nil {
			t.Errorf("a wrong word %d goes unnoticed", at)
		}
	}
}
