package backend_test

import (
	"math"
	"testing"

	"caldera/backend"
)

// TestPhilox has the known answers of the authors' library, Random123
// (tests/kat_vectors).
func TestPhilox(t *testing.T) {
	const ones = math.MaxUint32
	for _, c := range []struct {
		key           [2]uint32
		counter, want [4]uint32
	}{
		{[2]uint32{}, [4]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[2]uint32{ones, ones}, [4]uint32{ones, ones, ones, ones}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := backend.Philox(c.key, c.counter); got != c.want {
			t.Errorf("key %x, counter %x: %x, expected %x", c.key, c.counter, got, c.want)
		}
	}
}

func TestDropoutRate(t *testing.T) {
	for rate, want := range map[float32]uint32{0: 0, 0.5: 1 << 31, 0.25: 1 << 30} {
		if got := (&backend.Dropout{Rate: rate}).Threshold(); got != want {
			t.Errorf("at a rate of %v words below %d are dropped, expected %d", rate, got, want)
		}
	}
	if got := (&backend.Dropout{Rate: 0.5}).Scale(); got != 2 {
		t.Errorf("half of the elements count %v times, expected twice", got)
	}
}
