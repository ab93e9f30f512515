package isa

import "testing"

// TestRunRows: runs hold all columns but few, and rows of the same place spread over the sets of a cache.
func TestRunRows(t *testing.T) {
	for _, stride := range []int{18, 34, 612, 1088, 2176, 2304, 3072, 8704} {
		for _, n := range []int{4, 6, 8, 16} {
			for columns := range 300 {
				rows := RunRows(columns, n, stride)
				if left := columns - n*rows; left < 0 || left >= 2*n {
					t.Fatalf("%d columns, %d runs of %d rows: %d are left", columns, n, rows, left)
				}
				if rows > 1 && rows*stride%2048 == 0 && stride%2048 != 0 {
					t.Errorf("%d columns, %d runs of %d rows of %d bytes are %d bytes from each other", columns, n, rows, stride, rows*stride)
				}
			}
		}
	}
}
