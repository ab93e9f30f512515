package backend

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// Tensor is a typed, strided view of a Buffer. Copying a Tensor copies no data. The
// zero Tensor stands for an optional operand that is absent.
//
// A Tensor has four axes, and shapes are aligned to the right: a vector of n elements
// is [1 1 1 n], a matrix [1 1 rows columns]. Dim(-1) is the innermost axis.
type Tensor struct {
	Buf     Buffer
	DType   DType
	Offset  int    // of the first element, in elements
	Shape   [4]int // outermost first; unused leading axes are 1
	Strides [4]int // in elements
}

// Of returns a contiguous tensor on buf that begins at element offset.
func Of(buf Buffer, d DType, offset int, dims ...int) Tensor {
	t := Tensor{Buf: buf, DType: d, Offset: offset, Shape: [4]int{1, 1, 1, 1}}
	copy(t.Shape[4-len(dims):], dims)
	n := 1
	for i := 3; i >= 0; i-- {
		t.Strides[i] = n
		n *= t.Shape[i]
	}
	return t
}

// New allocates a contiguous tensor of zeros.
func New(b Backend, d DType, dims ...int) (Tensor, error) {
	t := Of(nil, d, 0, dims...)
	size, err := t.sizeBytes()
	if err != nil {
		return Tensor{}, err
	}
	buf, err := b.Alloc(size)
	if err != nil {
		return Tensor{}, fmt.Errorf("allocating %v: %w", t, err)
	}
	t.Buf = buf
	return t, nil
}

// Absent reports whether t is the zero Tensor: an optional operand that is not given.
func (t Tensor) Absent() bool { return t.DType == None }

// Dim is the length of axis i; negative i count from the last axis.
func (t Tensor) Dim(i int) int { return t.Shape[(i+4)%4] }

// Stride is the distance between neighbours along axis i, in elements; negative i
// count from the last axis.
func (t Tensor) Stride(i int) int { return t.Strides[(i+4)%4] }

// Len is the number of elements.
func (t Tensor) Len() int { return t.Shape[0] * t.Shape[1] * t.Shape[2] * t.Shape[3] }

// Rows is the number of vectors along the last axis.
func (t Tensor) Rows() int { return t.Shape[0] * t.Shape[1] * t.Shape[2] }

// Slice returns a view of the range [from, to) of axis i; negative i count from the
// last axis.
func (t Tensor) Slice(i, from, to int) Tensor {
	i = (i + 4) % 4
	t.Offset += from * t.Strides[i]
	t.Shape[i] = to - from
	return t
}

// Transpose returns a view with the last two axes swapped.
func (t Tensor) Transpose() Tensor {
	t.Shape[2], t.Shape[3] = t.Shape[3], t.Shape[2]
	t.Strides[2], t.Strides[3] = t.Strides[3], t.Strides[2]
	return t
}

// Reshape returns a contiguous tensor t with another shape of the same length.
func (t Tensor) Reshape(dims ...int) Tensor {
	return Of(t.Buf, t.DType, t.Offset, dims...)
}

// Contiguous reports whether the elements are in row-major order without gaps.
func (t Tensor) Contiguous() bool {
	n := 1
	for i := 3; i >= 0; i-- {
		if t.Shape[i] != 1 && t.Strides[i] != n {
			return false
		}
		n *= t.Shape[i]
	}
	return true
}

// RowStride returns the distance between consecutive rows, in elements. ok is false
// if it is not the same for all rows.
func (t Tensor) RowStride() (stride int, ok bool) {
	rows, stride := 1, t.Shape[3]
	for i := 2; i >= 0; i-- {
		switch {
		case t.Shape[i] == 1:
			continue
		case rows == 1: // the innermost axis that has several
			stride = t.Strides[i]
		case t.Strides[i] != rows*stride:
			return 0, false
		}
		rows *= t.Shape[i]
	}
	return stride, true
}

// Row returns the offset of row r in elements. Rows are the vectors along the last
// axis, counted in row-major order.
func (t Tensor) Row(r int) int {
	i2 := r % t.Shape[2]
	r /= t.Shape[2]
	return t.Offset + r/t.Shape[1]*t.Strides[0] + r%t.Shape[1]*t.Strides[1] + i2*t.Strides[2]
}

// Span returns the smallest range of bytes of the Buffer that has all elements.
func (t Tensor) Span() (from, to int) {
	last := t.Offset
	for i := range t.Shape {
		last += (t.Shape[i] - 1) * t.Strides[i]
	}
	block := t.DType.BlockLen()
	return t.DType.Bytes(t.Offset), t.DType.Bytes(last/block*block + block)
}

// Size is the number of bytes of the elements, without gaps between them.
func (t Tensor) Size() int { return t.DType.Bytes(t.Len()) }

// String is the dtype and the shape, for example "f32[2 17 64]".
func (t Tensor) String() string {
	if t.Absent() {
		return "absent"
	}
	return t.DType.String() + shapeString(t.Shape)
}

func shapeString(s [4]int) string {
	i := 0
	for i < 3 && s[i] == 1 {
		i++
	}
	return "[" + strings.Trim(fmt.Sprint(s[i:]), "[]") + "]"
}

// sizeBytes is Size, with an error if the shape or the dtype is not valid.
func (t Tensor) sizeBytes() (int, error) {
	if !t.DType.Valid() {
		return 0, fmt.Errorf("%v is not a dtype of a tensor", t.DType)
	}
	n := uint64(1)
	for _, d := range t.Shape {
		hi, lo := bits.Mul64(n, uint64(d))
		if d < 1 || hi != 0 || lo > 1<<56 {
			return 0, fmt.Errorf("shape %v: every axis must be at least 1 and the product fit in memory", shapeString(t.Shape))
		}
		n = lo
	}
	if t.Shape[3]%t.DType.BlockLen() != 0 {
		return 0, fmt.Errorf("%v: the last axis must be a multiple of %d", t, t.DType.BlockLen())
	}
	return t.DType.Bytes(int(n)), nil
}

// check returns an error unless all of the tensor is inside its buffer.
func (t Tensor) check() error {
	switch {
	case t.Absent():
		return errors.New("absent, expected a tensor")
	case t.Buf == nil:
		return fmt.Errorf("%v has no buffer", t)
	}
	if _, err := t.sizeBytes(); err != nil {
		return err
	}
	last := uint64(t.Offset)
	for i, d := range t.Shape {
		hi, lo := bits.Mul64(uint64(d-1), uint64(t.Strides[i]))
		if last += lo; t.Offset < 0 || t.Strides[i] < 0 || hi != 0 || lo > 1<<56 || last > 1<<56 {
			return fmt.Errorf("%v: offset %d and strides %v must not be negative nor reach past memory", t, t.Offset, t.Strides)
		}
	}
	if err := t.checkBlocks(); err != nil {
		return err
	}
	if _, to := t.Span(); to > t.Buf.Size() {
		return fmt.Errorf("%v at offset %d with strides %v ends at byte %d of a buffer of %d",
			t, t.Offset, t.Strides, to, t.Buf.Size())
	}
	return nil
}

// checkBlocks returns an error if a tensor of a quantised dtype does not consist of
// whole blocks.
func (t Tensor) checkBlocks() error {
	n := t.DType.BlockLen()
	if n == 1 {
		return nil
	}
	ok := t.Offset%n == 0 && t.Strides[3] == 1
	for i := range 3 {
		ok = ok && (t.Shape[i] == 1 || t.Strides[i]%n == 0)
	}
	if !ok {
		return fmt.Errorf("%v: offset %d and strides %v must be multiples of %d, the last stride 1", t, t.Offset, t.Strides, n)
	}
	return nil
}

// repeats reports whether the view may contain an element of the buffer more than
// once. The result of a write to it would depend on the order.
func (t Tensor) repeats() bool {
	axes := []int{0, 1, 2, 3}
	slices.SortFunc(axes, func(i, j int) int { return t.Strides[i] - t.Strides[j] })
	reach := 0 // the furthest element along the axes so far
	for _, i := range axes {
		if t.Shape[i] == 1 {
			continue
		}
		if t.Strides[i] <= reach {
			return true
		}
		reach += (t.Shape[i] - 1) * t.Strides[i]
	}
	return false
}

// Overlaps reports whether t and o may share bytes. It is exact for views that are
// made by slices along axes, such as queries, keys and values side by side in the
// rows of one matrix. For unusual strides it may return true although they share
// none. For elements of less than 32 bits only the spans are compared, because such
// elements share 32-bit words with their neighbours.
func (t Tensor) Overlaps(o Tensor) bool {
	if t.Buf != o.Buf {
		return false
	}
	from, to := t.Span()
	oFrom, oTo := o.Span()
	if from >= oTo || oFrom >= to {
		return false
	}
	word := func(d DType) bool { return d == F32 || d == I32 }
	if !word(t.DType) || !word(o.DType) {
		return true
	}
	// They share an element if the distance between their first elements is a sum of
	// steps, forward along axes of o and back along axes of t.
	axes := []steps{}
	add := func(a steps) { // to those of the same stride
		same := slices.IndexFunc(axes, func(b steps) bool { return b.stride == a.stride })
		switch {
		case a.stride == 0 || a.back == 0 && a.forward == 0:
		case same < 0:
			axes = append(axes, a)
		default:
			axes[same].back, axes[same].forward = axes[same].back+a.back, axes[same].forward+a.forward
		}
	}
	for i := range 4 {
		add(steps{t.Strides[i], t.Shape[i] - 1, 0})
		add(steps{o.Strides[i], 0, o.Shape[i] - 1})
	}
	slices.SortFunc(axes, func(a, b steps) int { return b.stride - a.stride })
	tries := 1000
	return reach(axes, t.Offset-o.Offset, &tries)
}

// steps says how many steps of a stride are possible, back and forward.
type steps struct{ stride, back, forward int }

// reach reports whether steps along the axes, which are in the order of falling
// strides, can have the sum distance. It returns true if it has not found out after
// so many tries.
func reach(axes []steps, distance int, tries *int) bool {
	if *tries--; len(axes) == 0 || *tries < 0 {
		return distance == 0 || *tries < 0
	}
	back, forward := 0, 0 // the furthest that the smaller strides go
	for _, a := range axes[1:] {
		back, forward = back+a.back*a.stride, forward+a.forward*a.stride
	}
	a := axes[0]
	for n := max(-a.back, ceilDiv(distance-forward, a.stride)); n <= a.forward && n*a.stride <= distance+back; n++ {
		if reach(axes[1:], distance-n*a.stride, tries) {
			return true
		}
	}
	return false
}

// ceilDiv returns a/b, rounded up. b must be above 0.
func ceilDiv(a, b int) int {
	if a > 0 {
		return (a + b - 1) / b
	}
	return a / b
}
