package isa

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

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

// TestAfterRun: what is asked for is what is read, when runs end too.
func TestAfterRun(t *testing.T) {
	const n, size = 3, 5
	var first []int // the bytes of the first run of all, in the order in which they are read
	for group := range 4 {
		for i := range size {
			first = append(first, group*n*size+i)
		}
	}
	for at, want := range first {
		if got := AfterRun(at, n, size); got != want {
			t.Errorf("byte %d of runs of %d is at %d, expected %d", at, size, got, want)
		}
	}
}

// TestAheadL1: the processor's maker is known to the operating system too.
func TestAheadL1(t *testing.T) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil || runtime.GOARCH != "amd64" {
		t.Skip("only Linux tells who made the processor")
	}
	if want := strings.Contains(string(text), "AuthenticAMD"); AheadL1 != want {
		t.Errorf("AMD made the processor: %t, expected %t", AheadL1, want)
	}
}
