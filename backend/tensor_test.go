package backend_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/backend/null"
)

func TestDType(t *testing.T) {
	for _, c := range []struct {
		d     backend.DType
		name  string
		bytes int // of 96 elements
	}{{backend.F32, "f32", 384}, {backend.F16, "f16", 192}, {backend.I32, "i32", 384}, {backend.Q8_0, "q8_0", 102}, {backend.Q4_0, "q4_0", 54}} {
		if c.d.String() != c.name || c.d.Bytes(96) != c.bytes || !c.d.Valid() {
			t.Errorf("%v: %d bytes for 96 elements, valid %v; expected %s, %d, true", c.d, c.d.Bytes(96), c.d.Valid(), c.name, c.bytes)
		}
		if got, err := backend.ParseDType(c.name, backend.Weights); c.d != backend.I32 && (got != c.d || err != nil) {
			t.Errorf("ParseDType(%q) = %v, %v", c.name, got, err)
		}
	}
	for _, s := range []string{"", "none", "F32", "q8_1", "i32", "f32 "} {
		_, err := backend.ParseDType(s, backend.Weights)
		wantError(t, err, "unknown dtype", "expected one of "+backend.JoinDTypes(backend.DTypes(backend.Weights)))
	}
	if backend.None.Valid() || backend.DType(200).Valid() {
		t.Error("None and unknown dtypes must not be valid")
	}
	if got := backend.DType(200).String(); got != "dtype(200)" {
		t.Errorf("unknown dtype prints as %q", got)
	}
}

func TestShapesAlignRight(t *testing.T) {
	x := backend.Of(nil, backend.F16, 3, 2, 5)
	if x.Shape != [4]int{1, 1, 2, 5} || x.Strides != [4]int{10, 10, 5, 1} {
		t.Errorf("[2 5] became shape %v, strides %v", x.Shape, x.Strides)
	}
	if x.Dim(-1) != 5 || x.Dim(-2) != 2 || x.Dim(0) != 1 || x.Dim(3) != 5 || x.Stride(-2) != 5 || x.Stride(2) != 5 {
		t.Errorf("axes of %v count wrongly", x)
	}
	if x.Len() != 10 || x.Rows() != 2 || x.Size() != 20 {
		t.Errorf("%v has %d elements in %d rows and %d bytes, expected 10, 2, 20", x, x.Len(), x.Rows(), x.Size())
	}
	if from, to := x.Span(); from != 6 || to != 26 {
		t.Errorf("span %d to %d, expected 6 to 26", from, to)
	}
	for want, x := range map[string]backend.Tensor{
		"f16[2 5]":     x,
		"f32[7]":       backend.Of(nil, backend.F32, 0, 7),
		"i32[1]":       backend.Of(nil, backend.I32, 0),
		"f32[2 1 1 3]": backend.Of(nil, backend.F32, 0, 2, 1, 1, 3),
		"absent":       {},
	} {
		if x.String() != want {
			t.Errorf("printed %q, expected %q", x, want)
		}
	}
}

// offsets lists the offset of each element in row-major order, by definition.
func offsets(x backend.Tensor) []int {
	var out []int
	for i := range x.Shape[0] {
		for j := range x.Shape[1] {
			for k := range x.Shape[2] {
				for l := range x.Shape[3] {
					out = append(out, x.Offset+i*x.Strides[0]+j*x.Strides[1]+k*x.Strides[2]+l*x.Strides[3])
				}
			}
		}
	}
	return out
}

// TestViews compares views of views with the elements that they should contain.
func TestViews(t *testing.T) {
	x := backend.Of(nil, backend.F32, 100, 2, 3, 4, 5)
	all := offsets(x)
	at := func(i, j, k, l int) int { return all[((i*3+j)*4+k)*5+l] }

	s := x.Slice(-1, 1, 4).Slice(1, 2, 3).Slice(-2, 1, 3)
	if want := []int{
		at(0, 2, 1, 1), at(0, 2, 1, 2), at(0, 2, 1, 3), at(0, 2, 2, 1), at(0, 2, 2, 2), at(0, 2, 2, 3),
		at(1, 2, 1, 1), at(1, 2, 1, 2), at(1, 2, 1, 3), at(1, 2, 2, 1), at(1, 2, 2, 2), at(1, 2, 2, 3),
	}; !slices.Equal(offsets(s), want) {
		t.Errorf("slice shows %v, expected %v", offsets(s), want)
	}
	tr := backend.Of(nil, backend.F32, 7, 2, 3).Transpose()
	if want := []int{7, 10, 8, 11, 9, 12}; !slices.Equal(offsets(tr), want) {
		t.Errorf("transpose shows %v, expected %v", offsets(tr), want)
	}
	if r := x.Reshape(6, 20); !slices.Equal(offsets(r), all) || r.Shape != [4]int{1, 1, 6, 20} {
		t.Errorf("reshape gave %v", r)
	}
}

// TestViewProperties holds Contiguous, RowStride, Row and Span to their
// definitions, on random views, transposes and broadcasts.
func TestViewProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var contiguous, lined int
	for range 20000 {
		x := backend.Of(nil, backend.F32, r.IntN(9), 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(3))
		for range r.IntN(3) {
			i := r.IntN(4)
			from := r.IntN(x.Shape[i])
			x = x.Slice(i, from, from+1+r.IntN(x.Shape[i]-from))
		}
		if r.IntN(4) == 0 {
			x = x.Transpose()
		}
		if r.IntN(4) == 0 {
			x.Strides[r.IntN(4)] = 0
		}
		all := offsets(x)

		inRow := true
		for i, o := range all {
			inRow = inRow && o == x.Offset+i
		}
		if x.Contiguous() != inRow {
			t.Fatalf("%v with strides %v: Contiguous is %v, its elements are %v", x, x.Strides, x.Contiguous(), all)
		}
		contiguous += btoi(inRow)

		var starts []int
		for i := range x.Rows() {
			starts = append(starts, all[i*x.Dim(-1)])
			if x.Row(i) != starts[i] {
				t.Fatalf("%v with strides %v: row %d begins at %d, expected %d", x, x.Strides, i, x.Row(i), starts[i])
			}
		}
		stride, ok := x.RowStride()
		even := true
		for i := 2; i < len(starts); i++ {
			even = even && starts[i]-starts[i-1] == starts[1]-starts[0]
		}
		if ok != even || (ok && len(starts) > 1 && stride != starts[1]-starts[0]) {
			t.Fatalf("%v with strides %v: RowStride is %d, %v; its rows begin at %v", x, x.Strides, stride, ok, starts)
		}
		lined += btoi(even)

		from, to := x.Span()
		if from != 4*slices.Min(all) || to != 4*slices.Max(all)+4 {
			t.Fatalf("%v with strides %v: span is %d to %d, its elements are %v", x, x.Strides, from, to, all)
		}
	}
	if contiguous < 1000 || lined < 1000 || contiguous > 19000 || lined > 19000 {
		t.Errorf("of 20000 views %d were contiguous and %d had one row stride: the test sees too little", contiguous, lined)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestNew(t *testing.T) {
	b := &null.Backend{Limit: 1000}
	x, err := backend.New(b, backend.F16, 3, 5)
	if err != nil || x.Buf.Size() != 30 || x.String() != "f16[3 5]" {
		t.Errorf("New gave %v, %v", x, err)
	}
	_, err = backend.New(b, backend.F32, 16, 16)
	wantError(t, err, "f32[16 16]", "1024 bytes wanted", "out of memory")
	if !errors.Is(err, backend.ErrOutOfMemory) {
		t.Errorf("%v is not ErrOutOfMemory", err)
	}
	for _, dims := range [][]int{{0}, {-1}, {3, 0, 2}, {math.MaxInt, math.MaxInt}, {1 << 32, 1 << 32}, {math.MinInt, 2}, {1 << 57}} {
		_, err := backend.New(b, backend.F32, dims...)
		wantError(t, err, "every axis must be at least 1")
	}
	for _, d := range []backend.DType{backend.None, backend.DType(99)} {
		_, err := backend.New(b, d, 2)
		wantError(t, err, "not a dtype")
	}
}

// TestHostileViews makes sure that no view can reach outside its buffer,
// however its fields overflow.
func TestHostileViews(t *testing.T) {
	base := func() backend.Tensor { return backend.Of(memory(96), backend.F32, 0, 2, 3, 4) }
	check := func(x backend.Tensor) error { return backend.Check(&backend.Copy{Dst: f32(2, 3, 4), X: x}) }
	if err := check(base()); err != nil {
		t.Fatal(err)
	}
	huge := []int{math.MinInt, math.MinInt + 1, -1, 1 << 40, 1 << 56, 1<<56 + 1, 1 << 62, math.MaxInt - 1, math.MaxInt}
	for _, h := range huge {
		x := base()
		x.Offset = h
		wantError(t, check(x), "x: f32[2 3 4]", "offset")
		for i := range 4 {
			x := base()
			x.Shape[i] = h
			if err := check(x); err == nil {
				t.Errorf("an axis of %d passed", h)
			}
			x = base()
			x.Strides[i] = h
			if i > 0 { // the length of axis 0 is 1, so its stride is never used
				wantError(t, check(x), "x: f32[2 3 4]", "strides")
			}
		}
	}
	// Sums that overflow to something small again.
	for _, strides := range [][4]int{
		{0, math.MaxInt, math.MaxInt, 2},
		{0, 1 << 62, 1 << 62, 1 << 62},
		{0, 1 << 55, 1 << 55, 1 << 55},
	} {
		x := base()
		x.Strides = strides
		wantError(t, check(x), "x: f32[2 3 4]", "strides")
	}
	x := base()
	x.Offset = 1
	wantError(t, check(x), "x: f32[2 3 4] at offset 1", "ends at byte 100 of a buffer of 96")
	x = base()
	x.DType = backend.DType(77)
	wantError(t, check(x), "x: dtype(77)")
	x = base()
	x.Buf = nil
	wantError(t, check(x), "x: f32[2 3 4] has no buffer")
}
