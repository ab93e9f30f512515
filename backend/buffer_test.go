package backend_test

import (
	"math"
	"testing"

	"caldera/backend"
)

func TestCheckRange(t *testing.T) {
	for _, r := range [][2]int{{0, 0}, {0, 100}, {100, 0}, {99, 1}, {50, 50}} {
		if err := backend.CheckRange(100, r[0], r[1]); err != nil {
			t.Errorf("%d bytes at %d of 100: %v", r[1], r[0], err)
		}
	}
	for _, r := range [][2]int{
		{-1, 1}, {0, 101}, {100, 1}, {99, 2}, {101, 0}, {0, -1}, {math.MaxInt, 1}, {math.MaxInt, math.MaxInt}, {1, math.MaxInt}, {math.MinInt, 4},
	} {
		wantError(t, backend.CheckRange(100, r[0], r[1]), "do not lie in a buffer of 100")
	}
}

func TestCheckSize(t *testing.T) {
	if err := backend.CheckSize(1); err != nil {
		t.Error(err)
	}
	for _, n := range []int{0, -1, math.MinInt} {
		wantError(t, backend.CheckSize(n), "a buffer has at least 1")
	}
}
