package backend_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/null"
)

func TestHostData(t *testing.T) {
	b := &null.Backend{}
	values := []float32{0, -1.5, 65504, float32(math.Inf(1)), 1.0 / 3, 3e-8}
	for d, want := range map[backend.DType][]float32{
		backend.F32: values,
		backend.F16: {0, -1.5, 65504, float32(math.Inf(1)), 0.33325195, 5.9604645e-8}, // the nearest f16
	} {
		x := tensor(d, 4, 3).Slice(-2, 1, 3)
		if err := backend.SetF32(b, x, values); err != nil {
			t.Fatal(err)
		}
		got := make([]float32, 6)
		if err := backend.GetF32(b, x, got); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: wrote %v, read %v, expected %v", d, values, got, want)
		}
		around := make([]float32, 12)
		if err := backend.GetF32(b, backend.Of(x.Buf, d, 0, 4, 3), around); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(around[:3], []float32{0, 0, 0}) || !slices.Equal(around[3:9], want) || !slices.Equal(around[9:], []float32{0, 0, 0}) {
			t.Errorf("%v: rows 1 and 2 of 4 were written, the tensor holds %v", d, around)
		}
	}
	ids := i32(2, 2)
	if err := backend.SetI32(b, ids, []int32{math.MinInt32, -1, 0, math.MaxInt32}); err != nil {
		t.Fatal(err)
	}
	got := make([]int32, 4)
	if err := backend.GetI32(b, ids, got); err != nil || !slices.Equal(got, []int32{math.MinInt32, -1, 0, math.MaxInt32}) {
		t.Errorf("read %v, %v", got, err)
	}
}

func TestHostDataErrors(t *testing.T) {
	b := &null.Backend{}
	set := func(x backend.Tensor, n int) []error {
		return []error{backend.SetF32(b, x, make([]float32, n)), backend.GetF32(b, x, make([]float32, n))}
	}
	setInts := func(x backend.Tensor, n int) []error {
		return []error{backend.SetI32(b, x, make([]int32, n)), backend.GetI32(b, x, make([]int32, n))}
	}
	outside := f32(3, 4)
	outside.Offset = slack
	for _, c := range []struct {
		errs  []error
		parts []string
	}{
		{set(f32(3, 4), 11), []string{"f32[3 4]", "11 values"}},
		{set(f32(3, 4), 13), []string{"f32[3 4]", "13 values"}},
		{set(f32(3, 4).Slice(-1, 0, 2), 6), []string{"f32[3 2]", "contiguous: false"}},
		{set(f32(3, 4).Transpose(), 12), []string{"f32[4 3]", "contiguous: false"}},
		{set(i32(2), 2), []string{"dtype i32", "expected one of [f32 f16 bf16 q8_a q8_0 q6_k "}},
		{set(backend.Tensor{}, 0), []string{"absent"}},
		{set(outside, 12), []string{"ends at byte"}},
		{setInts(f32(2), 2), []string{"dtype f32", "expected one of [i32]"}},
		{setInts(i32(2), 1), []string{"i32[2]", "1 values"}},
	} {
		for _, err := range c.errs {
			wantError(t, err, c.parts...)
		}
	}
	b.Fault = errDevice
	for _, err := range append(set(f32(2), 2), append(set(tensor(backend.F16, 2), 2), setInts(i32(2), 2)...)...) {
		if !errors.Is(err, errDevice) {
			t.Errorf("the device's error became %v", err)
		}
	}
}

func TestMapHost(t *testing.T) {
	p := []byte{1, 2, 3, 4}
	a := &able{}
	if _, err := backend.MapHost(wrapper{a}, p); err != nil || &a.mapped[0] != &p[0] {
		t.Errorf("a backend that maps got other memory, error %v", err)
	}
	f := &null.Backend{}
	buf, err := backend.MapHost(f, p)
	if err != nil {
		t.Fatal(err)
	}
	p[0] = 9
	got := make([]byte, 4)
	if err := f.Read(got, buf, 0); err != nil || !slices.Equal(got, []byte{1, 2, 3, 4}) {
		t.Errorf("one that does not got %v, %v, expected a copy", got, err)
	}
	_, err = backend.MapHost(&null.Backend{Limit: 3}, p)
	if !errors.Is(err, backend.ErrOutOfMemory) {
		t.Errorf("no memory: %v", err)
	}
	f = &null.Backend{Fault: errDevice} // allocates but cannot write
	if _, err := backend.MapHost(f, p); !errors.Is(err, errDevice) || f.Allocated() != 4 || f.Live() != 0 {
		t.Errorf("a failed copy: %v, of %d buffers %d are live", err, f.Allocated(), f.Live())
	}
}
