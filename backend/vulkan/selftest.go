//go:build cgo

package vulkan

import (
	"encoding/binary"
	"errors"
	"fmt"

	"caldera/backend"
	"caldera/shaders"
)

// Some drivers advertise subgroup operations that do not work, or a subgroup size
// that is not the real one. So kernels use subgroup operations only after a test
// shader has given the right results: the self-test, once for each open device.

// testSubgroups runs the self-test at its first call and sets b.subgroupTest.
func (b *Backend) testSubgroups() {
	t := &b.subgroupTest
	if t.done {
		return
	}
	t.done = true
	if t.err = b.subgroupSelfTest(selftestVariant(), checkSum); t.err == nil {
		t.passed = true
		t.shuffles = b.limits.SubgroupShuffle && b.subgroupSelfTest(shuffleVariant(), checkShuffled) == nil
	}
}

// subgroupSelfTest runs a variant of selftest.comp. It checks that subgroups have the size that
// the limits say, that consecutive invocations are lanes of one subgroup, and what the variant
// computes.
func (b *Backend) subgroupSelfTest(v *shaders.Variant, want selftestWord) error {
	l := &b.limits
	if !l.SubgroupArithmetic || l.SubgroupSize == 0 {
		return errors.New("the device advertises no subgroup arithmetic")
	}
	const groups = 2
	size := min(4*l.SubgroupSize, l.Invocations, l.WorkgroupSize[0])
	buf, err := b.alloc(uint64(16 * groups * size))
	if err != nil {
		return err
	}
	defer buf.Free()
	dst := backend.Of(buf, backend.I32, 0, int(4*groups*size))
	err = b.run(func(e *encoder) error {
		e.name = "subgroup self-test"
		to, _ := e.operand(dst, backend.Write)
		spec := pipelineSpec{variant: v, spec: shaders.Workgroup{Lanes: size}}
		return e.dispatch(spec, nil, [3]uint32{groups, 1, 1}, to)
	})
	if err != nil {
		return err
	}
	got := make([]byte, dst.Size())
	if err := b.read(got, buf, 0); err != nil {
		return err
	}
	return checkSubgroups(got, l.SubgroupSize, size, want)
}

// selftestWord is the fourth word of an invocation, by those of its subgroup: from first to
// before end.
type selftestWord func(i, first, end uint32) uint32

// checkSum is that of subgroupAdd.
func checkSum(_, first, end uint32) (sum uint32) {
	for j := first; j < end; j++ {
		sum += j*j + 1
	}
	return sum
}

// checkShuffled is what the lanes have that are apart by powers of two, and the next one.
func checkShuffled(i, first, end uint32) (sum uint32) {
	for apart := uint32(1); apart < end-first; apart *= 2 {
		j := first + (i - first) ^ apart
		sum = sum*3 + j*j + 1
	}
	next := first + (i-first+1)%(end-first)
	return sum*3 + next*next + 1
}

// checkSubgroups compares the results of selftest.comp with what they must be. For
// each invocation these are the subgroup's size and number, the lane and a word.
func checkSubgroups(got []byte, subgroup, size uint32, word selftestWord) error {
	for at := 0; at < len(got)/16; at++ {
		i := uint32(at) % size
		first := i / subgroup * subgroup
		want := [4]uint32{subgroup, i / subgroup, i % subgroup, word(i, first, min(first+subgroup, size))}
		for k, what := range [4]string{"a subgroup size", "a subgroup number", "a lane", "a sum"} {
			if v := binary.LittleEndian.Uint32(got[16*at+4*k:]); v != want[k] {
				return fmt.Errorf("invocation %d of %d has %s of %d, expected %d", i, size, what, v, want[k])
			}
		}
	}
	return nil
}

// takeAsTested makes a device that computes nothing use all that it advertises.
func (b *Backend) takeAsTested() {
	b.subgroupTest.done, b.subgroupTest.passed = true, b.limits.SubgroupArithmetic && b.limits.SubgroupSize > 0
	b.subgroupTest.shuffles = b.subgroupTest.passed && b.limits.SubgroupShuffle
	b.matrixTest.done, b.matrixTest.passed = true, b.limits.Matrix != [3]uint32{}
}

func selftestVariant() *shaders.Variant { return shaders.Find("selftest", "") }

func shuffleVariant() *shaders.Variant { return shaders.Find("selftest", "SHUFFLE SUBGROUP") }
