//go:build cgo

package vulkan

import (
	"fmt"
	"math"

	"caldera/backend"
	"caldera/shaders"
)

// A device binds only so many bytes at once, so an op on larger tensors takes
// several dispatches, each on a window of them. Here is what the ops share for
// that, and for saying where rows lie.

// windows calls f with slices of tensors of the same shape that can be bound,
// which together are the whole. It cuts axes up to last: 2 leaves rows whole.
func (e *encoder) windows(last int, ts []backend.Tensor, f func(ts []backend.Tensor) error) error {
	for _, t := range ts {
		if e.fits(t) {
			continue
		}
		axis, longest := -1, 0 // the axis along which this tensor reaches farthest
		for i := range last + 1 {
			if reach := (t.Dim(i) - 1) * t.Stride(i); reach > longest {
				axis, longest = i, reach
			}
		}
		if axis < 0 {
			return fmt.Errorf("a row of %v is larger than the %d bytes that this device binds at once", t, e.limits().BindingRange)
		}
		n, unit := t.Dim(axis), 1
		if axis == 3 { // blocks are not cut
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
			if err := e.windows(last, part, f); err != nil {
				return err
			}
		}
		return nil
	}
	return f(ts)
}

// rowsFit reports whether single rows of the tensors can be bound.
func rowsFit(l *Limits, ts ...backend.Tensor) bool {
	for _, t := range ts {
		if !t.Absent() && maxAlong(l, oneRow(t), 2) == 0 {
			return false
		}
	}
	return true
}

// oneRow is the first row of t.
func oneRow(t backend.Tensor) backend.Tensor { return t.Slice(0, 0, 1).Slice(1, 0, 1).Slice(2, 0, 1) }

// each calls f with ranges of step, at least 1, that make up [0, n).
func each(n, step int, f func(from, to int) error) error {
	step = max(step, 1)
	for i := 0; i < n; i += step {
		if err := f(i, min(i+step, n)); err != nil {
			return err
		}
	}
	return nil
}

// view tells a shader where the rows of t lie, in units of so many elements.
func view(t backend.Tensor, base uint32, unit int) shaders.View {
	v := shaders.View{Base: base / uint32(unit)}
	for i := range v.Strides {
		if t.Dim(i) > 1 { // else never used, and it may be any number
			v.Strides[i] = uint32(t.Stride(i) / unit)
		}
	}
	return v
}

// inFours reports whether each row of t can be read in fours.
func inFours(t backend.Tensor, base uint32) bool {
	ok := base%4 == 0 && t.Dim(-1)%4 == 0
	for i := range 3 {
		ok = ok && (t.Dim(i) == 1 || t.Stride(i)%4 == 0)
	}
	return ok
}

// groups is how many workgroups of some size n items take, at most what the
// device allows along that axis: shaders step on through the rest.
func (e *encoder) groups(axis, n, size int) uint32 {
	return uint32(min((n+size-1)/size, int(e.limits().Groups[axis])))
}

// rowLanes is the size of the workgroup that reduces a row of n elements: a
// power of two. Software drivers run the lanes of a subgroup together and the
// subgroups of a workgroup one after another, so more of them only cost.
func (e *encoder) rowLanes(n int) uint32 {
	l := e.limits()
	most := min(256, l.Invocations, l.WorkgroupSize[0])
	if l.Software {
		most = min(most, max(l.SubgroupSize, 4))
	}
	lanes := uint32(4)
	for lanes*2 <= most && int(lanes)*8 <= n { // each with four elements at least
		lanes *= 2
	}
	const passes = 6 // over a row, at most
	for int(lanes)*e.maxRounds()/passes < n && lanes*2 <= min(256, l.Invocations, l.WorkgroupSize[0]) {
		lanes *= 2
	}
	return lanes
}

// maxRounds is how many rounds the loops of an invocation may take in all.
// Lavapipe, of Mesa 22.3 at least, leaves them after 65,535, without a word
// (LP_MAX_TGSI_LOOP_ITERATIONS in its lp_bld_limits.h); some are left over for
// short loops. It is a multiple of what vectors and blocks are long.
func (e *encoder) maxRounds() int {
	if e.limits().Software {
		return 60_000
	}
	return math.MaxInt32
}

// elementwise runs a shader from shaders/include/elementwise.glsl on tensors of one
// shape, the destination first, and in fours where all of them allow it.
func (e *encoder) elementwise(shader string, push func(views []shaders.View, rows, n1, n2, n uint32) any, ts ...backend.Tensor) error {
	access := make([]backend.Access, len(ts)) // Read
	access[0] = backend.Write
	return e.overElements(shader, access, shaders.Workgroup{Lanes: elementwiseLanes}, nil, push, ts...)
}

// elementwiseLanes is the size of a workgroup of elementwise.
const elementwiseLanes = 64

// overElements is elementwise with any access to the tensors. spec are the
// shader's constants, more the bindings after the tensors'.
func (e *encoder) overElements(shader string, access []backend.Access, spec any, more []binding,
	push func(views []shaders.View, rows, n1, n2, n uint32) any, ts ...backend.Tensor) error {
	return e.windows(3, ts, func(ts []backend.Tensor) error {
		whole := true
		for _, t := range ts {
			whole = whole && t.Contiguous()
		}
		bindings, bases, fours := make([]binding, len(ts)), make([]uint32, len(ts)), true
		for i, t := range ts {
			if whole { // one long row
				ts[i] = t.Reshape(t.Len())
			}
			bindings[i], bases[i] = e.operand(ts[i], access[i])
			fours = fours && inFours(ts[i], bases[i])
		}
		unit, defines := 1, ""
		if fours {
			unit, defines = 4, "X4"
		}
		views := make([]shaders.View, len(ts))
		for i, t := range ts {
			views[i] = view(t, bases[i], unit)
		}
		dst, n := ts[0], ts[0].Dim(-1)/unit
		return e.dispatch(
			pipelineSpec{variant: shaders.Find(shader, defines), spec: spec},
			push(views, uint32(dst.Rows()), uint32(dst.Dim(1)), uint32(dst.Dim(2)), uint32(n)),
			[3]uint32{e.groups(0, n, elementwiseLanes), e.groups(1, dst.Rows(), 1), 1},
			append(bindings, more...)...)
	})
}

// rowwise runs a shader that takes a row of x for a row of dst, a workgroup for each.
func (e *encoder) rowwise(shader string, dst, x backend.Tensor) error {
	variant := shaders.Find(shader, "")
	return e.windows(2, []backend.Tensor{dst, x}, func(ts []backend.Tensor) error {
		to, toBase := e.operand(ts[0], backend.Write)
		from, fromBase := e.operand(ts[1], backend.Read)
		x := ts[1]
		return e.dispatch(
			pipelineSpec{variant: variant, spec: shaders.Workgroup{Lanes: e.rowLanes(x.Dim(-1))}},
			shaders.RowsPush{
				Dst: view(ts[0], toBase, 1), X: view(x, fromBase, 1),
				Rows: uint32(x.Rows()), N1: uint32(x.Dim(1)), N2: uint32(x.Dim(2)), N: uint32(x.Dim(-1)),
			},
			[3]uint32{e.groups(0, x.Rows(), 1), 1, 1},
			to, from)
	})
}
