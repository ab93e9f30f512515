//go:build cgo

package vulkan

import (
	"encoding/binary"
	"fmt"

	"caldera/backend"
	"caldera/backend/vulkan/internal/vk"
	"caldera/shaders"
)

// An encoder turns ops into dispatches in a command buffer. It is all that a
// kernel uses of the device:
//
//	l := e.limits()                            // what the device can do
//	x, xBase := e.operand(op.X, backend.Read)  // the bytes of X as a storage buffer,
//	w, wBase, ok := e.texel(op.W, texelF32x4)  // or, where ok, as a texel buffer
//	err := e.dispatch(
//		pipelineSpec{variant: v, spec: shaders.Workgroup{Lanes: 64}},
//		shaders.LinearPush{…}, [3]uint32{groups, 1, 1},
//		dst, x, w, bias, residual)                    // in the order of the variant's table
//
// Barriers follow from the access that is given for each binding: there is one
// between two dispatches if one of them writes bytes that the other accesses,
// also within an op, and nowhere else.
type encoder struct {
	b   *Backend
	rec *recording

	// full is called when rec holds as much work as one submit may. It replaces
	// rec by a new recording.
	full func(e *encoder) error

	index int    // of the current op in its list
	name  string // of the current op
	push  []byte // push constants; reused by each dispatch

	temporary []*buffer // scratch memory, freed after a Run

	shared backend.Tensor // see sharedScratch

	dry *buffer // stands for every buffer where ops are not encoded but only the pipelines that they need are started; else nil

	// taken are the pipelines that are taken as right until the recording is complete. nil:
	// each is checked before it is recorded. See trusts.
	taken *taken

	tried *tried // the pipeline whose trials are being encoded: nothing else is checked; else nil
}

// tried is a pipeline that is being checked.
type tried struct {
	pipelineSpec
	used bool // in a dispatch
}

// pipelineSpec describes a dispatch's compute pipeline.
type pipelineSpec struct {
	variant *shaders.Variant
	spec    any    // struct of specialization constants; nil: the shader's defaults
	work    uint64 // multiply-adds of the dispatch, approximately; 0: negligible beside reading the operands
}

// texelFormat is the format of a texel buffer: what one texelFetch returns.
type texelFormat uint8

const (
	texelF32x4 texelFormat = iota // four f32
	texelF16x4                    // four f16, converted to f32
	texelU16x4                    // four whole numbers of 16 bits
	texelU32x4                    // four of 32 bits: 16 bytes of blocks
)

var texelFormats = [...]struct {
	vk    vk.Format
	bytes uint64
}{
	texelF32x4: {vk.RGBA32F, 16},
	texelF16x4: {vk.RGBA16F, 8},
	texelU16x4: {vk.RGBA16U, 8},
	texelU32x4: {vk.RGBA32U, 16},
}

// binding is a range of a device buffer that a dispatch accesses.
type binding struct {
	buf      *buffer // the backend's dummy for an absent tensor
	handle   vk.Buffer
	texel    bool
	format   texelFormat // of a texel buffer
	from, to uint64      // bytes of handle
	access   backend.Access
	err      error // why the range cannot be bound; dispatch returns it
}

// limits returns the device's limits.
func (e *encoder) limits() *Limits { return &e.b.limits }

// operand binds the bytes of t as a storage buffer. base is the distance from
// the start of the binding to t's first element, in the units of elements: in
// elements of t's dtype, or in 16-bit words if that is quantised. The binding
// includes up to 15 bytes after t's last element, so that shaders can read whole
// words and vectors.
//
// For an absent tensor it binds 256 bytes of zeros, which a shader may only read.
func (e *encoder) operand(t backend.Tensor, a backend.Access) (b binding, base uint32) {
	buf, from, to, err := e.locate(t)
	if err != nil {
		return binding{err: err}, 0
	}
	b = binding{buf: buf, handle: buf.block.Buffer, from: from &^ (e.b.limits.BindingAlign - 1), access: a}
	b.to = min(roundUp(to, 16), max(to, b.from+e.b.limits.BindingRange))
	if n := b.to - b.from; n > e.b.limits.BindingRange {
		b.err = fmt.Errorf("%v spans %d bytes, and a binding of this device at most %d: the kernel must split it",
			t, n, e.b.limits.BindingRange)
	}
	if t.Absent() {
		return b, 0
	}
	return b, elements(t, from-b.from)
}

// elements converts n bytes to elements of t's dtype. For a quantised dtype it
// converts to 16-bit words, because a binding may begin in the middle of a block, or
// leaves bytes where blocks are of bytes alone.
func elements(t backend.Tensor, n uint64) uint32 {
	switch {
	case t.Absent():
		return 0
	case t.DType.Quantized():
		return uint32(n / uint64(min(2, t.DType.Unit())))
	}
	return uint32(n / uint64(t.DType.BlockBytes()))
}

// rowStride returns the distance between rows of t, in the units of elements.
func rowStride(t backend.Tensor) uint32 { return elements(t, uint64(t.DType.Bytes(t.Stride(-2)))) }

// texel binds the bytes of t as a uniform texel buffer, which shaders can only
// read. base is the distance from texel 0 to t's first element, in elements of
// t's dtype; it need not be a whole number of texels. ok is false if the device
// has no texel buffers or t is larger than they may be.
func (e *encoder) texel(t backend.Tensor, f texelFormat) (b binding, base uint32, ok bool) {
	format := texelFormats[f]
	l := &e.b.limits
	buf, from, to, err := e.locate(t)
	if err != nil {
		return binding{err: err}, 0, true
	}
	b = binding{buf: buf, handle: buf.block.Buffer, texel: true, format: f, access: backend.Read}
	b.from = from &^ (l.TexelAlign - 1)
	b.to = roundUp(to, format.bytes)
	if (b.to-b.from)/format.bytes > l.TexelElements {
		return binding{}, 0, false
	}
	return b, elements(t, from-b.from), true
}

// scratch allocates a tensor for intermediate results within an op. Its contents
// are undefined at first.
func (e *encoder) scratch(d backend.DType, dims ...int) (backend.Tensor, error) {
	t := backend.Of(nil, d, 0, dims...)
	if e.dry != nil {
		t.Buf = e.dry
		return t, nil
	}
	buf, err := e.b.allocNow(uint64(t.Size()))
	if err != nil {
		return backend.Tensor{}, fmt.Errorf("scratch memory: %w", err)
	}
	buf.zeroFrom = buf.size
	if e.rec.used != nil { // a Program's: it is freed with the program
		e.rec.resources.scratch = append(e.rec.resources.scratch, buf)
	} else {
		e.temporary = append(e.temporary, buf)
	}
	t.Buf = buf
	return t, nil
}

// sharedScratch is scratch for elements of four bytes. All callers share the
// memory: a tensor is valid until the next call.
func (e *encoder) sharedScratch(d backend.DType, dims ...int) (backend.Tensor, error) {
	t := backend.Of(nil, d, 0, dims...)
	if e.shared.Absent() || e.shared.Len() < t.Len() {
		var err error
		if e.shared, err = e.scratch(backend.F32, t.Len()); err != nil {
			return backend.Tensor{}, err
		}
	}
	t.Buf = e.shared.Buf
	return t, nil
}

// locate returns t's buffer, and the range of bytes of its block in which t's
// elements lie.
func (e *encoder) locate(t backend.Tensor) (buf *buffer, from, to uint64, err error) {
	if t.Absent() {
		return e.b.dummy, e.b.dummy.offset, e.b.dummy.offset + e.b.dummy.size, nil
	}
	first, end := t.Span()
	if e.dry != nil {
		return e.dry, uint64(first), uint64(end), nil
	}
	buf, err = e.b.own(t.Buf)
	if err != nil {
		return nil, 0, 0, err
	}
	if err := buf.zeroRest(); err != nil {
		return nil, 0, 0, err
	}
	return buf, buf.offset + uint64(first), buf.offset + uint64(end), nil
}

// fits reports whether operand can bind the whole of t.
func (e *encoder) fits(t backend.Tensor) bool {
	return fit(&e.b.limits, t)
}

// maxRows returns the largest n such that operand can bind t.Slice(-2, i, i+n)
// for each i. It is at most t.Dim(-2), and 0 if not even one row can be bound.
func (e *encoder) maxRows(t backend.Tensor) int { return e.maxAlong(t, -2) }

// maxAlong is maxRows for a given axis.
func (e *encoder) maxAlong(t backend.Tensor, axis int) int {
	return maxAlong(&e.b.limits, t, axis)
}

func maxAlong(l *Limits, t backend.Tensor, axis int) int {
	limit := int(min(l.BindingRange, 1<<62)) - int(l.BindingAlign) // the offset may be rounded down by almost BindingAlign
	one := t.Slice(axis, 0, 1)
	from, to := one.Span()
	unit := 1 // pieces are multiples of it
	if (axis+4)%4 == 3 {
		unit = t.DType.BlockLen()
	}
	step := t.DType.Bytes(unit * t.Stride(axis))
	switch {
	case to-from > limit:
		return 0
	case step == 0:
		return t.Dim(axis)
	}
	return min(t.Dim(axis), unit*(1+(limit-(to-from))/step))
}

// dispatch records a dispatch of groups workgroups. push is a struct of push
// constants of package shaders. bindings are in the order of the variant's table.
func (e *encoder) dispatch(p pipelineSpec, push any, groups [3]uint32, bindings ...binding) error {
	if err := e.encode(p, push, groups, bindings); err != nil {
		return fmt.Errorf("shader %s: %w", p.variant.Name(), err)
	}
	if e.dry == nil && e.rec.full() {
		return e.full(e)
	}
	return nil
}

func (e *encoder) encode(p pipelineSpec, push any, groups [3]uint32, bindings []binding) error {
	l := &e.b.limits
	for i, n := range groups {
		if n == 0 || n > l.Groups[i] {
			return fmt.Errorf("%v workgroups, this device takes from 1 to %v", groups, l.Groups)
		}
	}
	table := p.variant.Bindings
	if len(bindings) != len(table) {
		return fmt.Errorf("%d bindings, its table has %d", len(bindings), len(table))
	}
	for i, b := range bindings {
		switch {
		case b.err != nil:
			return fmt.Errorf("binding %d (%s): %w", i, table[i].Name, b.err)
		case b.texel != table[i].Texel:
			return fmt.Errorf("binding %d (%s): texel buffer is %v, its table says %v", i, table[i].Name, b.texel, table[i].Texel)
		case b.access.Writes() && table[i].ReadOnly:
			return fmt.Errorf("binding %d (%s) must only be read", i, table[i].Name)
		case b.buf == e.b.dummy && !table[i].ReadOnly:
			return fmt.Errorf("binding %d (%s): an absent tensor must not be bound where the shader may write, "+
				"or dispatches seem to write the same memory: bind what it writes in any case", i, table[i].Name)
		}
	}
	var err error
	if e.push, err = appendPush(e.push[:0], push); err != nil {
		return err
	}
	if len(e.push) > int(l.PushConstants) || len(e.push) != p.variant.PushSize() {
		return fmt.Errorf("%d bytes of push constants, its table has %d and this device takes %d",
			len(e.push), p.variant.PushSize(), l.PushConstants)
	}
	if e.dry != nil {
		e.b.pipes.start(p)
		return nil
	}
	pipe, err := e.b.pipes.get(p)
	if err == nil && (e.tried != nil || !pipe.right) {
		err = e.admit(pipe, p)
	}
	if err != nil {
		return err
	}
	e.rec.note(e.index, e.name)
	if e.b.profile != nil {
		e.b.profile.shader(p.variant)
	}
	return e.rec.dispatch(pipe, e.push, groups, bindings, p.work)
}

// copy records a copy of the bytes of x to dst, without a shader. Both are
// contiguous and have the same dtype and length.
func (e *encoder) copy(dst, x backend.Tensor) error {
	to, toStart, _, err := e.locate(dst)
	if err != nil {
		return err
	}
	from, fromStart, fromEnd, err := e.locate(x)
	if err != nil {
		return err
	}
	if e.dry != nil {
		return nil
	}
	size := fromEnd - fromStart
	e.rec.note(e.index, e.name)
	e.rec.copy(to.block.Buffer, toStart, from.block.Buffer, fromStart, size)
	e.rec.use(to)
	e.rec.use(from)
	if e.rec.work += size / 4; e.rec.full() {
		return e.full(e)
	}
	return nil
}

// appendPush appends a struct of push constants in the layout that shaders expect.
func appendPush(to []byte, push any) ([]byte, error) {
	if push == nil {
		return to, nil
	}
	to, err := binary.Append(to, binary.LittleEndian, push)
	if err != nil {
		return nil, fmt.Errorf("push constants of type %T: %w", push, err)
	}
	return to, nil
}
