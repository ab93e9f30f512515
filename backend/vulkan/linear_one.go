//go:build cgo

package vulkan

import (
	"math/bits"

	"caldera/backend"
	"caldera/shaders"
)

// linear_one.comp multiplies one row on a GPU. All that an invocation reads is asked for
// before any of it is waited for, and what comes before the product and behind it, a norm, a
// rotation and the storing of keys and values, is in the same dispatch.

// What the rule takes: outputs of a workgroup, and twice as many where there are many; and steps of eight inputs that a
// lane has at most, if workgroups may be large enough. No card has been measured to want others: bench tune
// measures them on the card at hand.
const (
	oneOuts  = 4
	oneSteps = 3
)

// manyOuts is from how many outputs on workgroups have eight: these are enough to fill any GPU,
// and each of them reads x and the norm's gamma and beta.
const manyOuts = 8192

// mostNumbers is how many words a lane may have of what it reads, in registers: of the 256 that
// a lane has on the GPUs of most makers sums and addresses take some, and with 170 or fewer several
// subgroups fit a unit. Where there are few, they are 64 for each of 16 lanes. Apple's GPUs have 128, in which 120 such
// words fit: the words of a norm are no longer needed, and their registers are free, when sums and addresses need some.
// A table needs registers too, so 112 fit beside it.
func mostNumbers(l *Limits, p *product) uint32 {
	switch {
	case l.FewRegisters:
		return 40
	case l.maker().halfRegisters && p.joined.table:
		return 112
	case l.maker().halfRegisters:
		return 120
	}
	return 128
}

// mostSteps is how many steps of eight inputs a lane may have, and mostEights how many eights of w, of all outputs: the
// shader has arrays for so many.
const mostSteps, mostEights = 8, 32

// oneNumbers returns how many steps of eight inputs a lane has for each of so many outputs, and
// how many words of what it reads.
func oneNumbers(p *product, lanes, outs uint32) (steps, numbers uint32) {
	if takesRuns(p.w) {
		return runNumbers(p, lanes, outs)
	}
	eight, beside := uint32(4), uint32(8) // words of eight elements of w, and of what goes with them: x, gamma and beta
	switch {
	case p.w.Quantized():
		eight = uint32(p.w.Bytes(32)/16) + 1 // and the word with the scale
	case p.w == backend.F32:
		eight = 8
	}
	switch {
	case p.joined.norm != 0:
		beside += 16
	case p.x.Quantized():
		beside = 3
	}
	steps = (uint32(p.in/8) + lanes - 1) / lanes
	return steps, steps * (outs*eight + beside)
}

// runNumbers is oneNumbers of weights that are read in runs of four eights: see run_eights.glsl.
func runNumbers(p *product, lanes, outs uint32) (steps, numbers uint32) {
	run := uint32(p.w.BlockBytes()*32/p.w.BlockLen()/4 + 1) // words: of a block of 32 all
	if p.w.BlockLen() > 32 {                                // of others the scales, and high bits that two runs share, too
		run *= 2
	}
	steps = (uint32(p.in/8) + lanes - 1) / lanes
	runs := (steps + 3) / 4
	if steps > 2 {
		steps = 4 * runs
	}
	// x, gamma and beta, which is not of both norms: see normKind.
	return steps, runs*outs*run + steps*8*[]uint32{1, 3, 2}[p.joined.norm]
}

// leastBytes is how many bytes a lane asks for before it waits, at least.
const leastBytes = 128

// oneBytes returns how many bytes a lane reads of w, x and what a norm takes. Two eights that lie side by side
// have one scale.
func oneBytes(p *product, lanes, outs uint32) uint32 {
	steps, words := oneNumbers(p, lanes, outs)
	if takesRuns(p.w) {
		return 4 * words
	}
	if p.w.Quantized() && steps%2 == 0 {
		words -= steps / 2 * outs
	}
	if p.joined.norm == 2 { // which has no beta
		words -= steps * 8
	}
	return 4 * words
}

// waysOfOne is how linear_one.comp can divide a product among workgroups: none if it does not
// suit the device or the product. By the rule
// a lane has steps of eight inputs for each of its outputs, in registers: 3 steps or less
// of 4 outputs where a workgroup may be large enough, or 2 of 8. A row that is long is shared
// by several subgroups, of as few that each lane has enough in flight. Blocks are taken in twos, which eight lanes share, or in runs of four eights, of which a
// lane has one for each output, or two; activations in blocks, or that become such, are multiplied with integer dot products alone.
//
// The number of subgroups in a workgroup is a constant, so their size must be known: devices
// that have several sizes, and cannot be asked for one, do without.
func waysOfOne(l *Limits, p *product) (list []linearChoice) {
	dots := p.x.Quantized() || p.joined.blocks != backend.None
	if l.Software || !l.sumSubgroups() || !l.SubgroupShuffle || l.SubgroupVaries || !p.eights || p.columns || dots && !l.FastDot {
		return nil
	}
	runs, unit := takesRuns(p.w), 2*max(4, p.w.BlockLen())
	if runs {
		unit = p.w.BlockLen()
	}
	if p.in%unit != 0 {
		return nil
	}
	most := min(256, l.Invocations, l.WorkgroupSize[0])
	least := l.SubgroupSize
	if p.w.Quantized() && !runs {
		least = max(8, least)
	}
	lanes, outs, wanted := least, uint32(oneOuts), uint32(oneSteps)
	if p.out >= manyOuts {
		outs, wanted = 2*outs, wanted*2/3
	}
	if runs { // whole ones, and as few outputs as fit beside them
		wanted = 4
	}
	for {
		steps, numbers := oneNumbers(p, lanes, outs)
		if steps <= 1 || steps <= wanted && (runs || numbers <= mostNumbers(l, p)) || lanes*2 > most {
			break
		}
		lanes *= 2
	}
	fits := func(lanes, outs uint32) bool { // a lane of each subgroup has the sum of an output
		steps, numbers := oneNumbers(p, lanes, outs)
		return lanes >= least && lanes <= most && outs <= min(8, l.SubgroupSize) && steps <= mostSteps && steps*outs <= mostEights && numbers <= mostNumbers(l, p)
	}
	for outs > 2 && !fits(lanes, outs) {
		outs /= 2
	}
	for runs && !fits(lanes, outs) && lanes*2 <= most { // few registers
		lanes *= 2
	}
	for oneBytes(p, lanes, outs) < leastBytes { // as of q4_0
		if fits(lanes/2, outs) {
			lanes /= 2
		} else if fits(lanes, 2*outs) {
			outs *= 2
		} else {
			break
		}
	}
	for _, lanes := range ruleFirst(lanes, least, 2*least, 4*least, 8*least) {
		for _, outs := range ruleFirst(outs, 2, 4, 8) {
			groups := (p.out + int(outs) - 1) / int(outs)
			if fits(lanes, outs) && groups <= int(l.Groups[0]) && !p.joined.divides(outs) {
				list = append(list, linearChoice{source: "linear_one", dots: dots, subgroup: true, rows: 1, outs: int(outs), lanes: lanes, outsEach: outs})
			}
		}
	}
	return list
}

// divides reports whether workgroups of so many outputs would divide those that one of them must have: pairs that
// are rotated, and neighbours that are stored in one word. Of outputs that are rotated with those of the other half of
// a head a workgroup has as many of each half, so that two of them are no neighbours.
func (j *joined) divides(outs uint32) bool {
	return j.apart > 0 && j.head/2%int(outs/2) != 0 || j.apart > 1 && j.pairs() && outs == 2
}

// specOfOne is the constants of linear_one.comp.
func specOfOne(l *Limits, p *product, c *linearChoice) any {
	spec := shaders.LinearOneSpec{
		LinearEpilogue: epilogue(p, c), Outs: c.outsEach, In: uint32(p.in), Norm: p.joined.norm, Subgroups: c.lanes / l.SubgroupSize,
		Put: l.maker().slowConversions, RoundX: p.rounded,
	}
	if !p.joined.places() {
		return shaders.LinearOneGateSpec{LinearOneSpec: spec, Gated: p.joined.gate}
	}
	return shaders.LinearOnePlacesSpec{LinearOneSpec: spec, Apart: uint32(p.joined.apart), Store: p.joined.cache != backend.None, Table: p.joined.table}
}

// fitsOne reports whether linear_one.comp can read the operands of a product: all that it reads
// in eights and fours lies so. wBase is in elements, or of blocks in any unit of which each has an
// odd number: every other one begins with a word.
func fitsOne(o *linearOp, xBase, wBase uint32) bool {
	if o.x.Rows() != 1 || o.x.DType != backend.F32 && o.x.DType != backend.Q8_A || o.transposed() || o.x.DType == backend.F32 && xBase%4 != 0 {
		return false
	}
	unit := 8
	switch {
	case takesRuns(o.w.DType): // they begin with any half word, or as all memory of their type does
		return true
	case o.w.DType.Quantized():
		return wBase%2 == 0 && (o.w.Dim(-2) == 1 || o.w.Stride(-2)/o.w.DType.BlockLen()%2 == 0)
	case o.w.DType == backend.F32:
		unit = 4
	}
	return int(wBase)%unit == 0 && (o.w.Dim(-2) == 1 || o.w.Stride(-2)%unit == 0)
}

// supportsLinear reports whether a product can be encoded as one op. One with a norm or a conversion
// to blocks before it, or a rotation, a gate or a store behind it, must suit linear_one.comp, which is for one row. A norm
// of up to four rows must suit linear_rows.comp: with more each workgroup would normalise too many of them.
// Kernels for software drivers do not round x.
func supportsLinear(l *Limits, op *backend.Linear) bool {
	if !op.Rounded.Absent() && !op.InBlocks() && l.Software {
		return false
	}
	if !op.Joined() {
		return true
	}
	o := linearOpOf(op)
	if !haveRowStride(o.dst, o.x, o.residual) {
		return false
	}
	o.dst, o.x, o.residual = matrix(o.dst), matrix(o.x), matrix(o.residual)
	p := describe(&o, uint32(op.X.Offset), uint32(op.W.Offset/op.W.DType.BlockLen()))
	ways := waysOfOne(l, &p)
	if p.rows > 1 && p.joined == (joined{norm: p.joined.norm}) {
		ways = waysOfRows(l, &p)
	}
	if len(ways) == 0 || !fit(l, op.Dst, op.X, op.W, op.Bias, op.Residual, op.Norm.Gamma, op.Norm.Beta) || op.Norm.Gamma.Offset%4 != 0 || op.Norm.Beta.Offset%4 != 0 {
		return false
	}
	if v, ok := ways[0].variant(&p); !ok || l.Bindings < len(v.Bindings) {
		return false
	}
	if r := &op.Rotation; !r.Angles.Absent() {
		if 2*(r.Angles.Dim(-1)/2) != p.joined.head || p.out%p.joined.head != 0 || !fit(l, r.Angles, r.At) {
			return false
		}
	}
	if t := &op.Store; !t.Cache.Absent() {
		if p.joined.pairs() {
			for _, n := range []int{t.From, p.out, t.Cache.Offset, t.Cache.Dim(-1), t.Cache.Stride(-2), t.Cache.Stride(-3)} {
				if n%2 != 0 {
					return false
				}
			}
		}
		// All outputs from one on are stored. One tensor says where the token stands, for both.
		return t.From+t.Cache.Dim(-1) == p.out && fit(l, t.Cache, t.At, t.Table) && (op.Rotation.At.Absent() || op.Rotation.At == t.At)
	}
	return true
}

// encodeOne encodes the dispatch of a product by linear_one.comp.
func encodeOne(e *encoder, o *linearOp, p *product, c *linearChoice, spec pipelineSpec) error {
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
	out := o.w.Dim(2)
	push := shaders.LinearOnePush{
		Dst: dstBase, X: xBase, W: wBase, WStride: rowStride(o.w), Bias: biasBase, Residual: residualBase, Out: uint32(out),
		Gamma: gammaBase, Beta: betaBase, Epsilon: o.norm.Epsilon,
	}
	bindings := []binding{dst, x, w, bias, residual}
	if !o.x.DType.Quantized() { // of blocks there is no norm
		bindings = append(bindings, gamma, beta)
	}
	spec.work = o.work()
	groups := [3]uint32{uint32((out + c.outs - 1) / c.outs), 1, 1}
	if !p.joined.places() {
		gate := backend.GatedActivation{Limit: o.gate.Limit}
		return e.dispatch(spec, shaders.LinearOneGatePush{LinearOnePush: push, Limit: gate.Bound(), Shift: o.gate.Shift}, groups, bindings...)
	}
	places, more := onePlaces(e, o)
	places.LinearOnePush = push
	return e.dispatch(spec, places, groups, append(bindings, more...)...)
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
func onePlaces(e *encoder, o *linearOp) (push shaders.LinearOnePlacesPush, bindings []binding) {
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
		push.Turned = uint32(o.turned)
		push.Head = push.Turned / uint32(r.Heads)
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
	}
	return push, []binding{at, angles, cache, table}
}

// encodeJoined encodes a product with a norm or a conversion to blocks before it, or a rotation, a gate or a
// store behind it: as one dispatch, or where the kernel has failed its check as what it lowers to.
func encodeJoined(e *encoder, op *backend.Linear) error {
	o := linearOpOf(op)
	o.dst, o.x, o.residual = matrix(o.dst), matrix(o.x), matrix(o.residual)
	p := e.productOf(&o)
	if ways := e.inOrder(&p); len(ways) > 0 { // the others are the same shader, divided otherwise
		c := ways[0]
		spec := c.pipeline(e.limits(), &p)
		ok, err := e.trusts(spec, func(t *trials) { tryLinear(t, &p, &c) })
		if err != nil {
			return err
		}
		if ok {
			return linearDispatch(e, &o, &p, &c, spec)
		}
	}
	for _, part := range op.Lower() {
		if err := encodeOp(e, part); err != nil {
			return err
		}
	}
	return nil
}
