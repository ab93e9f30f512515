//go:build cgo

package vulkan

import (
	"math/bits"
	"strings"

	"caldera/backend"
	"caldera/shaders"
)

// linear_one.comp multiplies one row on a GPU. All that an invocation reads is asked for
// before any of it is waited for, and what comes before the product and behind it, a norm, a
// rotation and the storing of keys and values, is in the same dispatch.

// oneShape is how linear_one.comp divides a product among workgroups.
type oneShape struct {
	lanes, subgroups uint32 // of a workgroup
	outs             uint32 // of a workgroup
}

// manyOuts is from how many outputs on workgroups have eight: these are enough to fill any GPU,
// and each of them reads x and the norm's gamma and beta.
const manyOuts = 8192

// mostNumbers is how many words a lane may have of what it reads, in registers: of the 256 that
// a lane has on the GPUs of most makers sums and addresses take some, and with 170 or fewer several
// subgroups fit a unit.
const mostNumbers = 128

// shapeOne returns how a product is divided. ok is false if linear_one.comp does not suit the
// device or the product.
//
// A lane has steps of eight inputs for each of its outputs, in registers: 3 steps or less
// of 4 outputs where a workgroup may be large enough, or 2 of 8. A row that is long is shared
// by several subgroups.
func shapeOne(l *Limits, o *linearOp) (s oneShape, ok bool) {
	in, out := o.x.Dim(-1), o.dst.Dim(-1)
	if l.Software || !l.SubgroupArithmetic || l.SubgroupSize < 4 || in%8 != 0 {
		return s, false
	}
	eight, beside := uint32(4), uint32(8) // words of eight elements of w, and of what goes with them: x, gamma and beta
	if o.w.DType == backend.F32 {
		eight = 8
	}
	if !o.norm.Gamma.Absent() {
		beside += 16
	}
	most := min(256, l.Invocations, l.WorkgroupSize[0])
	s.lanes, s.outs = l.SubgroupSize, 4
	wanted := uint32(3)
	if out >= manyOuts {
		s.outs, wanted = 8, 2
	}
	steps := func() uint32 { return (uint32(in/8) + s.lanes - 1) / s.lanes }
	numbers := func() uint32 { return steps() * (s.outs*eight + beside) }
	for steps() > 1 && (steps() > wanted || numbers() > mostNumbers) && s.lanes*2 <= most {
		s.lanes *= 2
	}
	for (numbers() > mostNumbers || s.outs > s.lanes) && s.outs > 2 { // a lane finishes an output
		s.outs /= 2
	}
	s.subgroups = s.lanes / l.SubgroupSize
	groups := (out + int(s.outs) - 1) / int(s.outs)
	return s, s.lanes <= most && steps() <= 8 && numbers() <= mostNumbers && groups <= int(l.Groups[0])
}

// fitsOne reports whether linear_one.comp can read the operands of a product: all that it reads
// in eights and fours lies so.
func fitsOne(o *linearOp, xBase, wBase uint32) bool {
	if o.x.Rows() != 1 || o.x.DType != backend.F32 || o.transposed() || xBase%4 != 0 {
		return false
	}
	unit := 1
	switch {
	case o.w.DType == backend.F32:
		unit = 4
	case !o.w.DType.Quantized():
		unit = 8
	}
	return int(wBase)%unit == 0 && (o.w.Dim(-2) == 1 || o.w.Stride(-2)%unit == 0)
}

// supportsLinear reports whether a product can be encoded as one op. One with a norm before it,
// or a rotation or a store behind it, must suit linear_one.comp. That is for one row: with more
// each workgroup would normalise all of them.
func supportsLinear(l *Limits, op *backend.Linear) bool {
	if !op.Rounded.Absent() {
		return false
	}
	if !op.Joined() {
		return true
	}
	o := linearOpOf(op)
	out := op.Dst.Dim(-1)
	s, ok := shapeOne(l, &o)
	if !ok || l.Bindings < len(linearOneBindings(&o)) || !fitsOne(&o, uint32(op.X.Offset), uint32(op.W.Offset)) ||
		!fit(l, op.Dst, op.X, op.W, op.Bias, op.Residual, op.Norm.Gamma, op.Norm.Beta) || op.Norm.Gamma.Offset%4 != 0 || op.Norm.Beta.Offset%4 != 0 {
		return false
	}
	if r := &op.Rotation; !r.Angles.Absent() {
		size, pairs := out/r.Heads, r.Angles.Dim(-1)/2
		if 2*pairs != size || pairs%int(s.outs/2) != 0 || !fit(l, r.Angles, r.At) {
			return false
		}
	}
	if t := &op.Store; !t.Cache.Absent() {
		if t.Cache.DType != backend.F32 { // outputs are stored in pairs
			for _, n := range []int{t.From, out, t.Cache.Offset, t.Cache.Dim(-1), t.Cache.Stride(-2), t.Cache.Stride(-3)} {
				if n%2 != 0 {
					return false
				}
			}
		}
		// All outputs from one on are stored. One tensor says where the token stands, for both.
		return t.From+t.Cache.Dim(-1) == out && fit(l, t.Cache, t.At, t.Table) && (op.Rotation.At.Absent() || op.Rotation.At == t.At)
	}
	return true
}

// linearOneBindings are those of the variant that a product takes.
func linearOneBindings(o *linearOp) []shaders.Binding { return linearOneVariant(o).Bindings }

func linearOneVariant(o *linearOp) *shaders.Variant {
	defines := storage("", o.w.DType)
	if o.places() {
		defines = append(defines, storage("CACHE_", o.store.Cache.DType)...)
		defines = append(defines, "PLACES")
	}
	return shaders.Find("linear_one", strings.Join(append(defines, "SUBGROUP"), " "))
}

// places reports whether what follows the product depends on where its token stands.
func (o *linearOp) places() bool { return !o.rotation.Angles.Absent() || !o.store.Cache.Absent() }

// suitsOne reports whether linear_one.comp is the kernel for a product of which nothing has
// to be split, and how it is divided.
func suitsOne(e *encoder, o *linearOp) (oneShape, bool) {
	s, ok := shapeOne(e.limits(), o)
	_, xBase := e.operand(o.x, backend.Read)
	_, wBase := e.operand(o.w, backend.Read)
	return s, ok && e.subgroups() && e.limits().Bindings >= len(linearOneBindings(o)) && fitsOne(o, xBase, wBase)
}

// encodeOne encodes the dispatch of a product that suitsOne.
func encodeOne(e *encoder, o *linearOp, s oneShape) error {
	access := backend.Write
	if o.accumulate {
		access = backend.Update
	}
	dst, dstBase := e.operand(o.dst, access)
	x, xBase := e.operand(o.x, backend.Read)
	w, wBase := e.operand(o.w, backend.Read)
	bias, biasBase := e.operand(o.bias, backend.Read)
	if o.bias.Absent() {
		biasBase = shaders.Absent
	}
	residual, residualBase := e.operand(o.residual, backend.Read)
	gamma, gammaBase := e.operand(o.norm.Gamma, backend.Read)
	beta, betaBase := e.operand(o.norm.Beta, backend.Read)
	out := o.dst.Dim(3)
	push := shaders.LinearOnePush{
		Dst: dstBase, X: xBase, W: wBase, WStride: rowStride(o.w), Bias: biasBase, Residual: residualBase, Out: uint32(out),
		Gamma: gammaBase, Beta: betaBase, Epsilon: o.norm.Epsilon,
	}
	spec := shaders.LinearOneSpec{
		LinearEpilogue: shaders.LinearEpilogue{
			Lanes: s.lanes, Accumulate: o.accumulate, Activation: uint32(o.activation), Residual: !o.residual.Absent(),
		},
		Outs: s.outs, In: uint32(o.x.Dim(3)), Norm: normKind(&o.norm), Subgroups: s.subgroups,
	}
	bindings := []binding{dst, x, w, bias, residual, gamma, beta}
	p := pipelineSpec{variant: linearOneVariant(o), work: o.work(), spec: spec}
	groups := [3]uint32{(uint32(out) + s.outs - 1) / s.outs, 1, 1}
	if !o.places() {
		return e.dispatch(p, push, groups, bindings...)
	}
	places, placesSpec, more := onePlaces(e, o)
	places.LinearOnePush, placesSpec.LinearOneSpec = push, spec
	p.spec = placesSpec
	return e.dispatch(p, places, groups, append(bindings, more...)...)
}

// normKind is the shader's number for a norm.
func normKind(n *backend.LinearNorm) uint32 {
	switch {
	case n.Gamma.Absent():
		return 0
	case n.Beta.Absent():
		return 2
	}
	return 1
}

// onePlaces is what the shader is told for a rotation and a store.
func onePlaces(e *encoder, o *linearOp) (push shaders.LinearOnePlacesPush, spec shaders.LinearOnePlacesSpec, bindings []binding) {
	r, t := &o.rotation, &o.store
	place := r.At
	if place.Absent() {
		place = t.At
	}
	at, base := e.operand(place, backend.Read)
	push.Seq, push.Pos = base, base+uint32(place.Stride(-2))
	angles, base := e.operand(r.Angles, backend.Read)
	if !r.Angles.Absent() {
		push.Angles, push.AnglesStride, push.Positions = base, uint32(r.Angles.Stride(-2)), uint32(r.Angles.Dim(-2))
		push.Head = uint32(o.dst.Dim(3) / r.Heads)
		spec.Apart = 1
		if r.Pairing == backend.Halves {
			spec.Apart = push.Head / 2
		}
	}
	table, base := e.operand(t.Table, backend.Read)
	push.Table, push.TableStride = base, uint32(t.Table.Stride(-2))
	var cache binding
	if t.Cache.Absent() { // something that the shader may write must be bound
		cache, _ = e.operand(o.dst, backend.Write)
	} else {
		cache, push.Cache = e.operand(t.Cache, backend.Update)
		op := backend.Store{Dst: t.Cache, Table: t.Table}
		sequences, context := op.Cache()
		push.Stored = uint32(t.From)
		push.CacheStride, push.CacheRow = uint32(t.Cache.Stride(-3)), uint32(t.Cache.Stride(-2))
		push.Sequences, push.Context = uint32(sequences), uint32(context)
		push.Blocks, push.BlockBits = uint32(t.Cache.Dim(-3)), uint32(bits.TrailingZeros(uint(t.Cache.Dim(-2))))
		spec.Store, spec.Table = true, !t.Table.Absent()
	}
	return push, spec, []binding{at, angles, cache, table}
}

// encodeJoined encodes a product with a norm before it, or a rotation or a store behind it:
// as one dispatch, or where subgroups have failed their test as what it lowers to.
func encodeJoined(e *encoder, op *backend.Linear) error {
	o := linearOpOf(op)
	o.dst, o.x, o.residual = matrix(o.dst), matrix(o.x), matrix(o.residual)
	if s, ok := suitsOne(e, &o); ok {
		return encodeOne(e, &o, s)
	}
	for _, part := range op.Lower() {
		if err := encodeOp(e, part); err != nil {
			return err
		}
	}
	return nil
}
