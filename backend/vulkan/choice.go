//go:build cgo

package vulkan

import (
	"fmt"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/shaders"
)

// Most products can be computed by several kernels, and by each of them with several
// divisions of the work. The rule by which one of them is taken is the table below and
// choices, which reads it: functions of the device's limits and of the product alone. What a
// maker's GPUs differ in beside limits is in makers.go. Where a kernel has failed its check
// (check.go), the next one is taken; where another one was measured to be faster (tune.go),
// that one.

// linearChoice is a way to compute a product: a shader, and how much a workgroup computes.
// What an alternative differs in is here; the rest of its constants follows from the product.
type linearChoice struct {
	source   string
	texel    bool // x and w are read through the texture unit
	xTexel   bool // x alone is
	words    bool // x is, and w as whole numbers
	fours    bool // x and w are read in fours
	dots     bool // bytes are multiplied with integer dot products
	subgroup bool // sums are formed with subgroup arithmetic

	rows, outs int // of dst that a workgroup computes

	lanes, lanesY      uint32 // of a workgroup; 0: they are fixed
	rowsEach, outsEach uint32 // that an invocation computes, or of linear_one.comp a workgroup
	tile               uint32 // of linear.comp and linear_matrix.comp: the edge of a tile, in 32
}

// String names the choice as files of tuning and tests have it: "linear_rows x4, 8 rows, 2
// outputs". Two choices for one product have different names.
func (c *linearChoice) String() string {
	parts := []string{c.source}
	for _, m := range []struct {
		is   bool
		name string
	}{{c.texel, " texel"}, {c.xTexel, " x_texel"}, {c.words, " words"}, {c.fours, " x4"}, {c.dots, " dot"}, {c.subgroup, " subgroup"}} {
		if m.is {
			parts[0] += m.name
		}
	}
	for _, n := range []struct {
		n    uint32
		what string
	}{{32 * c.tile, "tile"}, {c.lanes, "lanes"}, {c.rowsEach, "rows"}, {c.outsEach, "outputs"}} {
		if n.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.n, n.what))
		}
	}
	return strings.Join(parts, ", ")
}

// linearKernel is a kernel for products: a row of the table.
type linearKernel struct {
	source string

	// suits reports whether the rule takes it for a product that it can compute, before
	// the kernels that follow in the table.
	suits func(l *Limits, p *product) bool

	// ways lists how it can compute p on a device, that which the rule takes first. None:
	// it cannot. Ways of which there is no variant are left out by choices.
	ways func(l *Limits, p *product) []linearChoice

	// spec returns the specialization constants.
	spec func(l *Limits, p *product, c *linearChoice) any
}

// linearKernels are all kernels for products, in the order in which the rule asks them.
//
// One row is bound by reading w: each workgroup reads some of it once. Several rows, of
// a step of as many sequences, read it once for all of them, and keep the sums of each in
// registers. Many rows are bound by arithmetic: tiles that reuse what they have read.
//
// A software driver pays for each barrier and for each load of a lane on its
// own, but loads a texel for all lanes at once, and has few lanes: registers
// in place of shared memory, and a workgroup no larger than a subgroup. On
// lavapipe that made the difference between 2.8 and 45 GFLOP/s with many rows,
// and between 2.6 and 17 GB/s with one.
//
// The last two rows and linear_backward compute every product on every device: in their
// plainest way they are what the others fall back on.
var linearKernels = []linearKernel{{
	source: "linear_one",
	suits:  func(*Limits, *product) bool { return true },
	ways:   waysOfOne,
	spec:   specOfOne,
}, {
	source: "linear_spread",
	suits:  func(_ *Limits, p *product) bool { return p.rows > fewRows },
	ways:   waysOfSpread,
	spec:   specOfSpread,
}, {
	source: "linear_lanes",
	suits:  func(*Limits, *product) bool { return true },
	ways:   waysOfLanes,
	spec: func(_ *Limits, p *product, c *linearChoice) any {
		return shaders.LinearLanesSpec{LinearEpilogue: epilogue(p, c), Rows: c.rowsEach, Outs: c.outsEach, Steps: laneSteps(p, c)}
	},
}, {
	source: "linear_texel",
	suits:  func(_ *Limits, p *product) bool { return p.rows > 1 },
	ways:   waysOfTexel,
	spec: func(_ *Limits, p *product, c *linearChoice) any {
		return shaders.LinearTexelSpec{LinearEpilogue: epilogue(p, c), Transposed: p.transposed, Rows: c.rowsEach, Outs: c.outsEach}
	},
}, {
	source: "linear_matrix",
	suits:  func(l *Limits, p *product) bool { return !l.Software && (p.columns || p.rows > fewRows) },
	ways:   waysOfMatrix,
	spec:   matrixSpec,
}, {
	source: "linear_rows",
	suits:  func(l *Limits, p *product) bool { return !l.Software && p.rows <= someRows },
	ways:   waysOfRows,
	spec: func(l *Limits, p *product, c *linearChoice) any {
		spec := shaders.LinearRowsSpec{LinearVecTSpec: vecTSpec(p, c), Put: l.maker().slowConversions, RoundX: p.rounded}
		if p.joined.norm == 0 {
			return spec
		}
		return shaders.LinearRowsNormSpec{LinearRowsSpec: spec, Kind: p.joined.norm, Sublanes: l.SubgroupSize, Steps: normedSteps(p, c)}
	},
}, {
	source: "linear",
	suits:  func(l *Limits, p *product) bool { return p.columns && !l.Software || !p.columns && p.rows > fewRows },
	ways:   waysOfTiles,
	spec: func(_ *Limits, p *product, c *linearChoice) any {
		tile := shaders.LinearSpec{LinearEpilogue: epilogue(p, c), Transposed: p.transposed, Size: c.tile / 2, XTransposed: p.columns}
		return shaders.LinearTileSpec{LinearSpec: tile, RoundX: p.rounded}
	},
}, {
	source: "linear_backward",
	suits:  func(*Limits, *product) bool { return true },
	ways:   waysOfBackward,
	spec: func(_ *Limits, p *product, c *linearChoice) any {
		return shaders.LinearBackwardSpec{Lanes: c.lanes, Accumulate: p.accumulate}
	},
}, {
	source: "linear_vec_t",
	suits:  func(*Limits, *product) bool { return true },
	ways:   waysOfVecT,
	spec:   func(_ *Limits, p *product, c *linearChoice) any { return vecTSpec(p, c) },
}, {
	source: "linear_vec",
	suits:  func(*Limits, *product) bool { return true },
	ways:   waysOfVec,
	spec: func(_ *Limits, p *product, c *linearChoice) any {
		return shaders.LinearVecSpec{LinearEpilogue: epilogue(p, c), Rows: c.rowsEach, Outs: c.outsEach, RoundX: p.rounded}
	},
}}

// kernelOf is the row of a choice.
func kernelOf(c *linearChoice) *linearKernel {
	i := slices.IndexFunc(linearKernels, func(k linearKernel) bool { return k.source == c.source })
	return &linearKernels[i]
}

// choices lists all ways to compute a product on a device with these limits, that which the
// rule takes first. It is a function of its arguments alone.
func (l *Limits) choices(p *product) (list []linearChoice) {
	var others []linearChoice // which can, but do not suit
	for i := range linearKernels {
		k := &linearKernels[i]
		if p.rounded && !slices.Contains([]string{"linear_one", "linear_matrix", "linear_rows", "linear", "linear_vec"}, k.source) {
			continue // x is rounded by an op of its own
		}
		if p.joined != (joined{}) && k.source != "linear_one" && !(k.source == "linear_rows" && p.joined == (joined{norm: p.joined.norm})) {
			continue // what it falls back on are ops of their own
		}
		ways := slices.DeleteFunc(k.ways(l, p), func(c linearChoice) bool {
			v, ok := c.variant(p)
			return !ok || len(v.Bindings) > max(l.Bindings, minBindings)
		})
		if k.suits(l, p) {
			list = append(list, ways...)
		} else {
			others = append(others, ways...)
		}
	}
	if n := len(list); n > 0 { // what all devices can goes last
		return slices.Concat(list[:n-1], others, list[n-1:])
	}
	return others
}

// variant is the shader's variant for a product. ok is false if there is none.
func (c *linearChoice) variant(p *product) (v *shaders.Variant, ok bool) {
	var macros []string
	switch {
	case c.texel:
		macros = []string{"TEXEL"}
	case c.source == "linear_one":
		macros = append(append(storage("", p.w), storage("X_", p.x)...), storage("TO_", p.joined.blocks)...)
		if c.dots {
			macros = append(macros, "DOT")
		}
		if p.joined.places() {
			macros = append(append(macros, storage("CACHE_", p.joined.cache)...), "PLACES")
		}
	case c.words:
		macros = append(storage("", p.w), "X_TEXEL", "WORDS")
	case c.xTexel:
		if macros = storage("", p.w); !p.w.Quantized() {
			macros = append(macros, "X4")
		}
		macros = append(macros, "X_TEXEL")
	default:
		macros = append(storage("", p.w), storage("X_", p.x)...)
		if c.fours {
			macros = append(macros, "X4")
		}
		if c.dots {
			macros = append(macros, "DOT")
		}
		if p.joined.norm != 0 {
			macros = append(macros, "NORM")
		}
	}
	if c.subgroup {
		macros = append(macros, "SUBGROUP")
	}
	return shaders.Lookup(c.source, strings.Join(macros, " "))
}

// pipeline is what a choice makes of a product. The choice is one of those for it.
func (c *linearChoice) pipeline(l *Limits, p *product) pipelineSpec {
	v, _ := c.variant(p)
	q := *p
	if c.parts(l, p) > 1 { // they are added up elsewhere
		q = p.withoutEpilogue()
	}
	return pipelineSpec{variant: v, spec: kernelOf(c).spec(l, &q, c)}
}

// epilogue is what the constants of linear*.comp begin with.
func epilogue(p *product, c *linearChoice) shaders.LinearEpilogue {
	return shaders.LinearEpilogue{Lanes: c.lanes, Accumulate: p.accumulate, Activation: uint32(p.activation), Residual: p.residual}
}

func vecTSpec(p *product, c *linearChoice) shaders.LinearVecTSpec {
	return shaders.LinearVecTSpec{LinearEpilogue: epilogue(p, c), Rows: c.rowsEach, Outs: c.outsEach, LanesY: c.lanesY}
}

// fewRows is how many rows of x are few, where nothing else is said: with more, a tile
// of the product is computed at once; with these, w is read for up to half of them at a time.
const fewRows = 8

// someRows is how many rows linear_rows.comp takes: with more, tiles of 64 rows that
// share what they read of x are no longer mostly padding.
const someRows = 32

// subgroupLanes is the size of a workgroup: on a software driver that of a subgroup.
func (l *Limits) subgroupLanes() uint32 {
	if l.Software {
		return max(l.SubgroupSize, 4)
	}
	return 64
}

// softwareShuffles reports whether the device is a software driver whose subgroups suit linear_lanes.comp,
// linear_spread.comp and attention_spread.comp, with so many rows of x, or
// queries: at most 16 lanes, as each of linear_lanes.comp finishes one of 16 sums.
func (l *Limits) softwareShuffles(rows int) bool {
	return l.Software && l.SubgroupShuffle && l.SubgroupArithmetic && l.SubgroupSize >= 4 && l.SubgroupSize <= 16 && (rows == 1 || !l.maker().slowShuffles)
}

// waysOfLanes: lanes that share the inputs, on a software driver.
func waysOfLanes(l *Limits, p *product) (list []linearChoice) {
	if !l.softwareShuffles(p.rows) || p.columns || p.transposed || !p.texels && !p.words {
		return nil
	}
	rows := []uint32{1}
	if p.rows > 1 {
		rows = ruleFirst(rowTile(p.rows, 8), 2, 4, 8)
	}
	for _, n := range rows {
		list = append(list, linearChoice{source: "linear_lanes", texel: p.texels, words: !p.texels, subgroup: true,
			lanes: l.SubgroupSize, rows: int(n), outs: 16, rowsEach: n, outsEach: 16})
	}
	return list
}

// laneSteps is how many fours of each row a lane of linear_lanes.comp takes at once.
func laneSteps(p *product, c *linearChoice) uint32 {
	if p.in%int(2*4*c.lanes) == 0 {
		return 2
	}
	return 1
}

// waysOfTexel: registers in place of shared memory, for several rows on a software driver.
func waysOfTexel(l *Limits, p *product) (list []linearChoice) {
	if !l.Software || p.columns || !p.texels && !p.xTexels {
		return nil
	}
	outs := []uint32{16, 8}
	if p.transposed {
		outs = outs[1:]
	}
	for _, rows := range ruleFirst(rowTile(p.rows, 8), 2, 4, 8) {
		for _, n := range outs {
			c := linearChoice{source: "linear_texel", texel: p.texels, xTexel: !p.texels, lanes: l.subgroupLanes(), rowsEach: rows, outsEach: n}
			c.rows, c.outs = int(rows), int(c.lanes*n)
			list = append(list, c)
		}
	}
	return list
}

// waysOfRows: a few rows, of which each invocation keeps several in registers.
func waysOfRows(l *Limits, p *product) (list []linearChoice) {
	if p.columns || p.transposed || p.rows == 1 {
		return nil
	}
	if p.joined.norm != 0 {
		return waysOfNormedRows(l, p)
	}
	for _, rows := range ruleFirst(rowTile(p.rows, 16), 2, 4, 8, 16) {
		c := linearChoice{source: "linear_rows", rowsEach: rows, outsEach: 2, lanes: 32, lanesY: 2}
		c.rows, c.outs = int(rows), int(c.outsEach*c.lanesY)
		list = append(list, c)
	}
	return dotsToo(l, p, p.inFoursToo(list))
}

// normedNumbers is how many numbers of normalised rows fit the shared memory that linear_rows.comp
// takes for them, and normedShared all that it takes then, in bytes.
const (
	normedNumbers = 4096
	normedShared  = 28 << 10
)

// waysOfNormedRows: up to four rows, and a norm of them first. A workgroup normalises all of them, for 16 outputs:
// so it is 256 lanes, in which a row is whole subgroups.
func waysOfNormedRows(l *Limits, p *product) []linearChoice {
	const lanes, outs = 256, 16
	rows, numbers := int(rowTile(p.rows, 4)), normedNumbers
	if l.FewRegisters { // with more the driver spills three of them
		numbers = normedNumbers / 4 * 3
	}
	if l.Software || p.rows > 4 || rows*p.in > numbers || tiles(p.out, outs) > int(l.Groups[1]) || !p.fours || p.x != backend.F32 || !l.sumSubgroups() || l.SubgroupVaries ||
		int(l.SubgroupSize) > lanes/rows || l.Invocations < lanes || l.WorkgroupSize[1] < lanes/32 || l.SharedMemory < normedShared {
		return nil
	}
	return []linearChoice{{source: "linear_rows", fours: true, subgroup: true, rows: rows, outs: outs, rowsEach: uint32(rows), outsEach: 2, lanes: 32, lanesY: lanes / 32}}
}

// normedSteps is how many fours of the rows a lane of linear_rows.comp normalises.
func normedSteps(p *product, c *linearChoice) uint32 {
	lanes := c.lanes * c.lanesY
	return (c.rowsEach*uint32(p.in)/4 + lanes - 1) / lanes
}

// dotsToo puts before the choices the same with integer dot products, where activations are in
// blocks and the device has an instruction for it.
func dotsToo(l *Limits, p *product, list []linearChoice) []linearChoice {
	if !l.FastDot || p.x != backend.Q8_A {
		return list
	}
	dots := slices.Clone(list)
	for i := range dots {
		dots[i].dots = true
	}
	return append(dots, list...)
}

// waysOfTiles: tiles of the product in shared memory. Twice as long an edge halves what is
// read, if there is work for all of the device.
func waysOfTiles(l *Limits, p *product) (list []linearChoice) {
	if !l.fitTiles() {
		return nil
	}
	sizes := []uint32{1, 2}
	if l.largeTiles(p) {
		sizes = []uint32{2, 1}
	}
	for _, n := range sizes {
		list = append(list, linearChoice{source: "linear", rows: int(64 * n), outs: int(64 * n), tile: 2 * n})
	}
	return p.inFoursToo(list)
}

// waysOfBackward: the gradient of a matrix in registers alone.
func waysOfBackward(l *Limits, p *product) []linearChoice {
	if !p.columns {
		return nil
	}
	lanes := l.subgroupLanes()
	c := linearChoice{source: "linear_backward", lanes: lanes, rows: 8, outs: int(lanes) * 8}
	return p.asTexelsToo(p.inFoursToo([]linearChoice{c}))
}

// waysOfVecT: w stored as [in, out], for a few rows at a time.
func waysOfVecT(l *Limits, p *product) []linearChoice {
	if p.columns || !p.transposed {
		return nil
	}
	rows := min(p.rows, fewRows/2)
	c := linearChoice{source: "linear_vec_t", rows: rows, lanes: 32, lanesY: min(8, l.Invocations/32), rowsEach: uint32(rows), outsEach: 1}
	if l.Software {
		c.lanes, c.lanesY, c.outsEach = l.subgroupLanes(), 1, 2
	}
	c.outs = int(c.lanes * c.outsEach)
	list := p.asTexelsToo(p.inFoursToo([]linearChoice{c}))
	for i := range list {
		if list[i].texel || list[i].fours {
			list[i].outs *= 4
		}
	}
	return list
}

// waysOfVec: w stored as [out, in], for a few rows at a time.
func waysOfVec(l *Limits, p *product) (list []linearChoice) {
	if p.columns || p.transposed {
		return nil
	}
	rows := min(p.rows, fewRows/2)
	outs := []uint32{4, 8, 2}
	if l.Software {
		outs = []uint32{8, 4}
	}
	for _, n := range outs {
		c := linearChoice{source: "linear_vec", lanes: l.subgroupLanes(), rows: rows, outs: int(n), rowsEach: uint32(rows), outsEach: n}
		for _, c := range p.asTexelsToo(p.inFoursToo([]linearChoice{c})) {
			sums := c.rowsEach * c.outsEach
			if l.sumSubgroups() && p.x == backend.F32 && sums*c.lanes/l.SubgroupSize <= 256 { // floats of shared memory
				c := c
				c.subgroup = true
				list = append(list, c)
			}
			if sums*c.lanes <= 1024 { // likewise
				list = append(list, c)
			}
		}
	}
	return list
}

// sumSubgroups reports whether kernels may form sums with subgroup arithmetic, if that passes its check.
func (l *Limits) sumSubgroups() bool { return l.SubgroupArithmetic && l.SubgroupSize >= 4 }

// inFoursToo puts before the choices the same that read x and w in fours, where they lie so.
func (p *product) inFoursToo(list []linearChoice) []linearChoice {
	if !p.fours || p.x.Quantized() {
		return list
	}
	fours := slices.Clone(list)
	for i := range fours {
		fours[i].fours = true
	}
	return append(fours, list...)
}

// asTexelsToo puts before the choices the same that read x and w as texels, where that can be.
func (p *product) asTexelsToo(list []linearChoice) []linearChoice {
	if !p.texels {
		return list
	}
	c := list[0]
	c.texel, c.fours = true, false
	return append([]linearChoice{c}, list...)
}

// ruleFirst is first, and then those of the others that are not.
func ruleFirst(first uint32, others ...uint32) []uint32 {
	return append([]uint32{first}, slices.DeleteFunc(others, func(n uint32) bool { return n == first })...)
}

// rowTile is how many rows of so many an invocation takes: a power of two from 2 to most,
// so that pipelines are few.
func rowTile(rows, most int) uint32 {
	tile := 2
	for tile < min(rows, most) {
		tile *= 2
	}
	return uint32(tile)
}

// linearShared is how many bytes of shared memory linear.comp takes.
const linearShared = 2 * 16 * (128 + 4) * 4

// fitTiles reports whether linear.comp fits the device.
func (l *Limits) fitTiles() bool {
	return min(l.Invocations, l.WorkgroupSize[0]) >= 256 && l.SharedMemory >= linearShared
}

// largeTiles reports whether tiles of 128 rows and outputs suit a product.
func (l *Limits) largeTiles(p *product) bool {
	return min(p.rows, p.out) >= l.LargeTileEdge && p.rows*p.out >= l.LargeTileSize && !l.FewRegisters
}
