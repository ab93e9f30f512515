//go:build cgo

package vulkan

import (
	"fmt"
	"math"

	"caldera/backend"
	"caldera/shaders"
)

// A binding has a largest size. An op on a larger tensor is split: each dispatch
// computes a piece, slices of the tensors that can be bound. This file has what
// kernels share to split ops, to describe tensors to shaders, and to choose the
// sizes of dispatches.

// pieces calls f for each piece of an op. ts are tensors of the same shape; f gets
// the same slice of each, small enough to be bound. The slices are made along the
// axes from 0 to last: with last 2, rows stay whole.
func (e *encoder) pieces(last int, ts []backend.Tensor, f func(ts []backend.Tensor) error) error {
	for _, t := range ts {
		if e.fits(t) {
			continue
		}
		axis, longest := -1, 0 // the axis along which this tensor spans most memory
		for i := range last + 1 {
			if reach := (t.Dim(i) - 1) * t.Stride(i); reach > longest {
				axis, longest = i, reach
			}
		}
		if axis < 0 {
			return fmt.Errorf("a row of %v is larger than the %d bytes that this device binds at once", t, e.limits().BindingRange)
		}
		n, unit := t.Dim(axis), 1
		if axis == 3 { // blocks stay whole
			for _, t := range ts {
				unit = max(unit, t.DType.BlockLen())
			}
		}
		middle := inWhole(n/2, unit, n)
		for _, half := range [][2]int{{0, middle}, {middle, n}} {
			part := make([]backend.Tensor, len(ts))
			for i, t := range ts {
				part[i] = t.Slice(axis, half[0], half[1])
			}
			if err := e.pieces(last, part, f); err != nil {
				return err
			}
		}
		return nil
	}
	return f(ts)
}

// rowsFit reports whether one row of each tensor can be bound. Absent ones can.
func rowsFit(l *Limits, ts ...backend.Tensor) bool {
	for _, t := range ts {
		if !t.Absent() && maxAlong(l, oneRow(t), 2) == 0 {
			return false
		}
	}
	return true
}

// fit reports whether each tensor can be bound as a whole. Absent ones can.
func fit(l *Limits, ts ...backend.Tensor) bool {
	for _, t := range ts {
		if !t.Absent() && maxAlong(l, t, 0) < t.Dim(0) {
			return false
		}
	}
	return true
}

// placesOf returns at, [2, tokens], as [2, batch, time] of x's tokens.
func placesOf(at, x backend.Tensor) backend.Tensor {
	if at.Absent() {
		return at
	}
	at.Shape = [4]int{2, x.Dim(1), x.Dim(2), 1}
	at.Strides = [4]int{at.Strides[2], x.Dim(2), 1, 1}
	return at
}

// placeBases returns where the sequence and the position of the first token are in what
// placesOf returned, or a slice of it, which is bound with a base, and how far the
// batches are apart.
func placeBases(at backend.Tensor, base uint32) (seq, pos, batch uint32) {
	return base, base + uint32(at.Strides[0]), uint32(at.Strides[1])
}

// oneRow returns the first row of t.
func oneRow(t backend.Tensor) backend.Tensor { return t.Slice(0, 0, 1).Slice(1, 0, 1).Slice(2, 0, 1) }

// each splits [0, n) into ranges of length step, the last one perhaps shorter,
// and calls f with each. A step below 1 counts as 1.
func each(n, step int, f func(from, to int) error) error {
	step = max(step, 1)
	for i := 0; i < n; i += step {
		if err := f(i, min(i+step, n)); err != nil {
			return err
		}
	}
	return nil
}

// view describes the layout of t to a shader, in units of unit elements: 4 if the
// shader reads vec4, else 1. base is the one that operand returned.
func view(t backend.Tensor, base uint32, unit int) shaders.View {
	v := shaders.View{Base: base / uint32(unit)}
	for i := range v.Strides {
		if t.Dim(i) > 1 { // the stride of an axis of length 1 is not used and may be any number
			v.Strides[i] = uint32(t.Stride(i) / unit)
		}
	}
	return v
}

// inFours reports whether shaders can read t as vec4: each row begins at a
// multiple of four elements and its length is a multiple of four.
func inFours(t backend.Tensor, base uint32) bool {
	ok := base%4 == 0 && t.Dim(-1)%4 == 0
	for i := range 3 {
		ok = ok && (t.Dim(i) == 1 || t.Stride(i)%4 == 0)
	}
	return ok
}

// groups returns the number of workgroups along an axis for n items, if each
// handles size of them. It is at most the device's limit: shaders then loop over
// the rest.
func (e *encoder) groups(axis, n, size int) uint32 {
	return uint32(min((n+size-1)/size, int(e.limits().Groups[axis])))
}

// rowLanes returns the size of a workgroup that reduces a row of n elements: a
// power of two. Software drivers run the subgroups of a workgroup one after
// another, so there a workgroup is one subgroup.
func (e *encoder) rowLanes(n int) uint32 {
	l := e.limits()
	most := min(256, l.Invocations, l.WorkgroupSize[0])
	if l.Software {
		most = min(most, max(l.SubgroupSize, 4))
	}
	lanes := uint32(4)
	for lanes*2 <= most && int(lanes)*8 <= n { // each lane has at least four elements
		lanes *= 2
	}
	const passes = 6 // the most often that a shader goes over a row
	for int(lanes)*e.maxRounds()/passes < n && lanes*2 <= min(256, l.Invocations, l.WorkgroupSize[0]) {
		lanes *= 2
	}
	return lanes
}

// maxRounds returns the most iterations that all loops of an invocation may have
// together. Lavapipe (Mesa 22.3, perhaps others) ends a loop without an error
// after 65,535 iterations (LP_MAX_TGSI_LOOP_ITERATIONS in lp_bld_limits.h). The
// result leaves some for short loops. It is a multiple of the lengths of vectors
// and quantised blocks.
func (e *encoder) maxRounds() int {
	if e.limits().Software {
		return 60_000
	}
	return math.MaxInt32
}

// elementwise dispatches a shader that uses shaders/include/elementwise.glsl. ts
// have the same shape; the first is written, the others are read. The shader
// works on vec4 if all of them allow it.
func (e *encoder) elementwise(shader string, push func(views []shaders.View, rows, n1, n2, n uint32) any, ts ...backend.Tensor) error {
	access := make([]backend.Access, len(ts)) // Read
	access[0] = backend.Write
	return e.overElements(shader, access, shaders.Workgroup{Lanes: elementwiseLanes}, nil, push, ts...)
}

// elementwiseLanes is the size of a workgroup of elementwise shaders.
const elementwiseLanes = 64

func elementwiseWorkgroup(*shaders.Variant, int) any {
	return shaders.Workgroup{Lanes: elementwiseLanes}
}

// overElements is elementwise with an access for each tensor, with spec as the
// shader's specialization constants, and with more bindings behind the tensors.
func (e *encoder) overElements(shader string, access []backend.Access, spec any, more []binding,
	push func(views []shaders.View, rows, n1, n2, n uint32) any, ts ...backend.Tensor) error {
	return e.pieces(3, ts, func(ts []backend.Tensor) error {
		whole := true
		for _, t := range ts {
			whole = whole && t.Contiguous()
		}
		bindings, bases, fours := make([]binding, len(ts)), make([]uint32, len(ts)), true
		for i, t := range ts {
			if whole { // as one long row
				ts[i] = t.Reshape(t.Len())
			}
			bindings[i], bases[i] = e.operand(ts[i], access[i])
			fours = fours && inFours(ts[i], bases[i])
		}
		p, unit, err := e.inUnits(shader, "", fours, func(*shaders.Variant, int) any { return spec })
		if err != nil {
			return err
		}
		views := make([]shaders.View, len(ts))
		for i, t := range ts {
			views[i] = view(t, bases[i], unit)
		}
		dst, n := ts[0], ts[0].Dim(-1)/unit
		return e.dispatch(p,
			push(views, uint32(dst.Rows()), uint32(dst.Dim(1)), uint32(dst.Dim(2)), uint32(n)),
			[3]uint32{e.groups(0, n, elementwiseLanes), e.groups(1, dst.Rows(), 1), 1},
			append(bindings, more...)...)
	})
}

// rowwise dispatches a shader that computes row i of dst from row i of x, with one
// workgroup for each row.
func (e *encoder) rowwise(shader string, dst, x backend.Tensor) error {
	v := shaders.Find(shader, "")
	return e.pieces(2, []backend.Tensor{dst, x}, func(ts []backend.Tensor) error {
		dst, x := ts[0], ts[1]
		to, toBase := e.operand(dst, backend.Write)
		from, fromBase := e.operand(x, backend.Read)
		return e.dispatch(
			pipelineSpec{variant: v, spec: shaders.Workgroup{Lanes: e.workgroup(v, x.Dim(-1))}},
			shaders.RowsPush{
				Dst: view(dst, toBase, 1), X: view(x, fromBase, 1),
				Rows: uint32(x.Rows()), N1: uint32(x.Dim(1)), N2: uint32(x.Dim(2)), N: uint32(x.Dim(-1)),
			},
			[3]uint32{e.groups(0, x.Rows(), 1), 1, 1},
			to, from)
	})
}
