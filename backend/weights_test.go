package backend_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"caldera/backend"
)

func TestSampleWeight(t *testing.T) {
	if got := backend.SampleWeight(0); got != 1<<40 {
		t.Errorf("the weight of the largest is %d, expected 2⁴⁰", got)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 {
		d := float32(rng.Float64() * math.Exp2(float64(i%40-34)))
		got, want := float64(backend.SampleWeight(d)), 0x1p40*math.Exp(-float64(d))
		if d >= 32 {
			want = 0
		}
		if math.Abs(got-want) > 0x1p-25*want+1 {
			t.Fatalf("the weight at %v is %v, expected %v", d, got, want)
		}
	}
	for _, d := range []float32{32, 1e9, math.MaxFloat32, float32(math.Inf(1))} {
		if got := backend.SampleWeight(d); got != 0 {
			t.Errorf("the weight at %v is %d, expected 0", d, got)
		}
	}
}

func TestSampleKey(t *testing.T) {
	inf := float32(math.Inf(1))
	ordered := []float32{-inf, -math.MaxFloat32, -1, -0x1p-126, 0, 0x1p-126, 1, 1.5, math.MaxFloat32, inf, float32(math.NaN())}
	for i, x := range ordered {
		key := backend.SampleKey(math.Float32bits(x))
		if i > 0 && key <= backend.SampleKey(math.Float32bits(ordered[i-1])) {
			t.Errorf("the key of %v is not above that of %v", x, ordered[i-1])
		}
		finite := x-x == 0
		if backend.SampleKeyFinite(key) != finite || finite && backend.SampleValue(key) != x {
			t.Errorf("the key of %v is that of a finite number: %v, of %v", x, backend.SampleKeyFinite(key), backend.SampleValue(key))
		}
	}
	for _, x := range []float32{float32(math.Copysign(0, -1)), 1e-45, -1e-45, 1e-38, -1e-38} {
		if key := backend.SampleKey(math.Float32bits(x)); key != backend.SampleKey(0) {
			t.Errorf("the key of %v is not that of 0", x)
		}
	}
	if key := backend.SampleKey(0xffc00000); backend.SampleKeyFinite(key) || key == backend.SampleKeyNone {
		t.Error("the key of a NaN with a sign is that of a number or of −∞")
	}
}
