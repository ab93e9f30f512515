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
		case b.subgroupTest.shuffles != (advertised && b.limits.SubgroupShuffle):
			t.Errorf("of shuffles: passed is %v, advertised is %v", b.subgroupTest.shuffles, b.limits.SubgroupShuffle)
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
	for _, word := range []selftestWord{checkSum, checkShuffled} {
		right := func() []byte {
			var p []byte
			for i := range uint32(2 * size) {
				i %= size
				first := i / subgroup * subgroup
				for _, v := range []uint32{subgroup, i / subgroup, i % subgroup, word(i, first, first+subgroup)} {
					p = binary.LittleEndian.AppendUint32(p, v)
				}
			}
			return p
		}
		if err := checkSubgroups(right(), subgroup, size, word); err != nil {
			t.Fatal(err)
		}
		for at := range len(right()) / 4 {
			wrong := right()
			wrong[4*at]++
			if checkSubgroups(wrong, subgroup, size, word) == nil {
				t.Errorf("a wrong word %d goes unnoticed", at)
			}
		}
	}
	// Of lanes 4 to 7 number 5 reads 4 and 7, which are apart by 1 and 2, and then 6.
	if got, want := checkSum(5, 4, 8), uint32(17+26+37+50); got != want {
		t.Errorf("the sum is %d, expected %d", got, want)
	}
	if got, want := checkShuffled(5, 4, 8), uint32((17*3+50)*3+37); got != want {
		t.Errorf("what lane 5 reads is %d, expected %d", got, want)
	}
}
