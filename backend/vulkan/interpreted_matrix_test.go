//go:build cgo

package vulkan

import (
	"fmt"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/conformance"
)

// TestInterpretedMatrices has cooperative matrices of each shape that cards have, for subgroups of 32 and 64 lanes.
func TestInterpretedMatrices(t *testing.T) {
	for _, s := range []vk.MatrixShape{{M: 16, N: 16, K: 16}, {M: 8, N: 8, K: 16}, {M: 16, N: 8, K: 16}} {
		for _, lanes := range []int{32, 64} {
			t.Run(fmt.Sprintf("%dx%dx%d/%d", s.M, s.N, s.K, lanes), func(t *testing.T) {
				t.Parallel()
				b := played{name: "matrices", lanes: lanes, shapes: []vk.MatrixShape{s}}.open(t, nil)
				b.testMatrices()
				if b.matrixTest.err != nil {
					t.Fatal(b.matrixTest.err)
				}
				if got := b.taken(); !slices.Equal(got, []string{"linear_matrix"}) {
					t.Errorf("%v were taken", got)
				}
			})
		}
	}
}

// TestInterpretedSubgroups opens cards of every size of subgroups, of which the self-test asks each lane.
func TestInterpretedSubgroups(t *testing.T) {
	for lanes := 1; lanes <= 128; lanes *= 2 {
		t.Run(fmt.Sprint(lanes), func(t *testing.T) {
			t.Parallel()
			c := played{name: "subgroups", lanes: lanes}
			b := c.open(t, nil)
			if b.testSubgroups(); b.subgroupTest.err != nil {
				t.Fatal(b.subgroupTest.err)
			}
			conformance.TestGroups(t, func(tb testing.TB) backend.Backend { return c.open(tb, nil) }, "sum_squares")
		})
	}
}
