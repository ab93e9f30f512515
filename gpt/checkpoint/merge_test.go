package checkpoint

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"caldera/backend"
)

// TestToOdd: rounding to f32 and from there to fewer digits gives the number of these that is nearest, of two that are
// equally near the even one, as one rounding does.
func TestToOdd(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	numbers := []float64{0, math.Copysign(0, -1), 1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-11 - 0x1p-40, 1 + 0x1p-8 + 0x1p-50, -1 - 0x1p-8 - 0x1p-50, 0x1p-25 + 0x1p-60, 0x1p-150 + 0x1p-170, 3}
	for range 20000 {
		x := (1 + r.Float64()) * math.Exp2(float64(r.IntN(28)-20)) // within f16, subnormals too
		if r.IntN(2) == 0 {                                        // near the middle between two
			x = math.Float64frombits(math.Float64bits(x)&^(1<<43-1) + 1<<uint(41+r.IntN(4)) + uint64(r.IntN(3)-1))
		}
		numbers = append(numbers, x, -x)
	}
	for _, d := range []backend.DType{backend.F16, backend.BF16} {
		wrong := 0 // with plain rounding
		for _, x := range numbers {
			got := encoded(t, d, toOdd(x))
			want, distance := uint16(0), math.Inf(1)
			for _, near := range []uint16{got - 1, got, got + 1} {
				if off := math.Abs(float64(decoded(d, near)) - x); off < distance || off == distance && near%2 == 0 {
					want, distance = near, off
				}
			}
			if got != want && decoded(d, got) != decoded(d, want) {
				t.Fatalf("%v: %v becomes %v, expected %v", d, x, decoded(d, got), decoded(d, want))
			}
			if encoded(t, d, float32(x)) != got {
				wrong++
			}
		}
		if wrong == 0 {
			t.Errorf("%v: rounding twice is never wrong: the numbers try nothing", d)
		}
	}
	if y := toOdd(math.Inf(1)); !math.IsInf(float64(y), 1) {
		t.Errorf("infinity becomes %v", y)
	}
	if y := toOdd(1e300); !math.IsInf(float64(y), 1) {
		t.Errorf("1e300 becomes %v", y)
	}
	if y := toOdd(-math.MaxFloat32 * (1 + 0x1p-30)); y != -math.MaxFloat32 {
		t.Errorf("a little beyond the largest number becomes %v", y)
	}
}

func encoded(t *testing.T, d backend.DType, x float32) uint16 {
	t.Helper()
	p, err := backend.Encode(nil, d, []float32{x})
	if err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.Uint16(p)
}

func decoded(d backend.DType, bits uint16) float32 {
	var x [1]float32
	decode(x[:], d, binary.LittleEndian.AppendUint16(nil, bits))
	return x[0]
}
