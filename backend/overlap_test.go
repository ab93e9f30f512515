package backend_test

import (
	"math/rand/v2"
	"testing"

	"caldera/backend"
)

// elements are the places in memory that a window shows.
func elements(x backend.Tensor) (at map[int]bool) {
	at = map[int]bool{}
	for i := range x.Len() {
		place := x.Offset
		for axis, n := 3, i; axis >= 0; axis-- {
			place += n % x.Shape[axis] * x.Strides[axis]
			n /= x.Shape[axis]
		}
		at[place] = true
	}
	return at
}

func share(a, b backend.Tensor) bool {
	other := elements(b)
	for at := range elements(a) {
		if other[at] {
			return true
		}
	}
	return false
}

// TestOverlaps counts the elements that random windows share. Slices of one
// tensor along its axes overlap exactly if they share some; other windows at
// least then.
func TestOverlaps(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	buf, other := f32(1000).Buf, f32(1000).Buf
	apart := 0
	for range 20_000 {
		whole := backend.Of(buf, backend.F32, r.IntN(3), 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(4), 1+r.IntN(6))
		slice := func() backend.Tensor {
			x := whole
			for axis := range 4 {
				if from := r.IntN(x.Dim(axis)); r.IntN(2) == 0 {
					x = x.Slice(axis, from, from+1+r.IntN(x.Dim(axis)-from))
				}
			}
			for range r.IntN(3) { // in any order of axes
				i, j := r.IntN(4), r.IntN(4)
				x.Shape[i], x.Shape[j], x.Strides[i], x.Strides[j] = x.Shape[j], x.Shape[i], x.Strides[j], x.Strides[i]
			}
			return x
		}
		a, b := slice(), slice()
		if got, want := a.Overlaps(b), share(a, b); got != want || b.Overlaps(a) != want {
			t.Fatalf("%v at %d with strides %v and %v at %d with %v: overlap is %v, expected %v",
				a, a.Offset, a.Strides, b, b.Offset, b.Strides, got, want)
		} else if !want {
			apart++
		}
		for _, x := range []*backend.Tensor{&a, &b} {
			x.Offset = r.IntN(20)
			for axis := range 4 {
				x.Shape[axis], x.Strides[axis] = 1+r.IntN(3), r.IntN(9)
			}
		}
		if share(a, b) && !a.Overlaps(b) {
			t.Fatalf("%v at %d with strides %v and %v at %d with %v share elements, but do not overlap",
				a, a.Offset, a.Strides, b, b.Offset, b.Strides)
		}
		b = a
		if b.Buf = other; a.Overlaps(b) {
			t.Fatal("windows on different buffers overlap")
		}
	}
	if apart < 1000 {
		t.Errorf("%d pairs of slices lay apart: that shows little", apart)
	}
}

// TestOverlapsHeads has the queries of one matrix with their heads as an axis,
// which lie apart from its keys but not from one another's head.
func TestOverlapsHeads(t *testing.T) {
	const batch, time, heads, size = 2, 3, 4, 5
	qkv := f32(batch, time, 3*heads*size)
	part := func(i int) backend.Tensor { return qkv.Slice(-1, i*heads*size, (i+1)*heads*size) }
	q := part(0)
	q.Shape = [4]int{batch, heads, time, size}
	q.Strides = [4]int{qkv.Stride(1), size, qkv.Stride(2), 1}
	if q.Overlaps(part(1)) || part(2).Overlaps(q) || part(1).Overlaps(part(2)) {
		t.Error("queries, keys and values overlap")
	}
	if !q.Overlaps(part(0)) || !q.Slice(1, 1, 2).Overlaps(q) || q.Slice(1, 1, 2).Overlaps(q.Slice(1, 2, 3)) {
		t.Error("a head overlaps all queries, and no other head")
	}
	op := &backend.Add{Dst: part(0), A: part(1), B: part(2)}
	if err := backend.Check(op); err != nil {
		t.Errorf("the sum of two parts of each row in the third: %v", err)
	}
	op.A = qkv.Slice(-1, heads*size-1, 2*heads*size-1)
	wantError(t, backend.Check(op), "dst and a share memory")
	// Two f16 share a word.
	half := backend.Of(qkv.Buf, backend.F16, 0, 8, 2)
	if !half.Slice(-1, 0, 1).Overlaps(half.Slice(-1, 1, 2)) || half.Slice(-2, 0, 1).Overlaps(half.Slice(-2, 1, 2)) {
		t.Error("of f16, windows overlap where their ranges do")
	}
}
