package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tile writes the kernel that multiplies a strip of weights by a tile of rows.
//
// A group of x is: group bytes of each row, then of each row its scale (f32), what its sums of
// integers begin with (int32), and its scale times the sum of its bytes (f32).
// A group of the strip is: four bytes of each output, for each four inputs; then a scale of each
// output (f32); then, if the type has one, a minimum of each (f32).
//
//	sum += f32(begin + Σ w·x) · (scale of w · scale of x) [+ minimum · scaled sum of x]
//
// Each operation rounds by itself: nothing is fused, so that all kernels give the same bits.
func (s set) tile(k kernel, rows int) {
	TEXT(s.tileName(k, rows), NOSPLIT, "func(dst *float32, dstStride int, init *float32, initStride int, x, panel *byte, groups int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s is for %d rows and %d outputs. Strides are in bytes.", s.tileName(k, rows), rows, s.width()))
	dst, dstStride := Load(Param("dst"), reg.RDI), Load(Param("dstStride"), reg.RSI)
	init, initStride := Load(Param("init"), reg.R8), Load(Param("initStride"), reg.R9)
	xs, panel, groups := Load(Param("x"), reg.RDX), Load(Param("panel"), reg.RBX), Load(Param("groups"), reg.RCX)

	t := tile{set: s, kernel: k, rows: rows, x: Mem{Base: xs}, panel: Mem{Base: panel}}
	for r := range rows {
		for c := range s.columns {
			s.load(Mem{Base: init, Disp: c * s.bits / 8}, t.acc(r, c))
		}
		if r+1 < rows {
			ADDQ(initStride, init)
		}
	}
	if !s.vnni {
		t.constants()
	}
	Label("group")
	t.group()
	add(rows*(k.group+12), xs)
	per := 1
	if k.min {
		per = 2
	}
	add(s.width()*(k.group+4*per), panel)
	DECQ(groups)
	JNZ(LabelRef("group"))
	for r := range rows {
		for c := range s.columns {
			s.store(t.acc(r, c), Mem{Base: dst, Disp: c * s.bits / 8})
		}
		if r+1 < rows {
			ADDQ(dstStride, dst)
		}
	}
	VZEROUPPER()
	RET()
}

// tile is a kernel that is being written. Its registers are: sums of f32, then sums of integers,
// then those for weights and for x, then what AVX2 needs besides.
type tile struct {
	set
	kernel
	rows     int
	x, panel Mem
}

func (t tile) acc(r, c int) int { return r*t.columns + c }
func (t tile) sum(r, c int) int { return t.rows*t.columns + r*t.columns + c }
func (t tile) w(c int) int      { return 2*t.rows*t.columns + c }
func (t tile) xv() int          { return t.w(t.columns) }
func (t tile) tmp(i int) int    { return t.xv() + 1 + i }

// group adds the products of a group.
func (t tile) group() {
	scales := t.rows * t.kernel.group
	for r := range t.rows {
		t.begin(r, t.x.Offset(scales+4*(t.rows+r)))
	}
	for i := range t.kernel.group / 4 {
		for c := range t.columns {
			t.load(t.panel.Offset(4*(i*t.width()+c*t.lanes())), t.w(c))
		}
		if !t.vnni {
			t.four(i)
			continue
		}
		for r := range t.rows {
			VPBROADCASTD(t.x.Offset(r*t.kernel.group+4*i), t.v(t.xv()))
			for c := range t.columns {
				t.dot(t.xv(), t.w(c), t.sum(r, c))
			}
		}
	}
	numbers := t.panel.Offset(t.width() * t.kernel.group)
	for c := range t.columns {
		t.load(numbers.Offset(4*c*t.lanes()), t.w(c))
	}
	for r := range t.rows {
		for c := range t.columns {
			VCVTDQ2PS(t.v(t.sum(r, c)), t.v(t.sum(r, c)))
			t.mulBroadcast(t.x.Offset(scales+4*r), t.w(c), t.xv(), t.xv())
			VMULPS(t.v(t.xv()), t.v(t.sum(r, c)), t.v(t.sum(r, c)))
			if !t.min {
				VADDPS(t.v(t.sum(r, c)), t.v(t.acc(r, c)), t.v(t.acc(r, c)))
			}
		}
	}
	if !t.min {
		return
	}
	for c := range t.columns {
		t.load(numbers.Offset(4*(t.width()+c*t.lanes())), t.w(c))
	}
	for r := range t.rows {
		for c := range t.columns {
			t.mulBroadcast(t.x.Offset(scales+4*(2*t.rows+r)), t.w(c), t.xv(), t.xv())
			VADDPS(t.v(t.xv()), t.v(t.sum(r, c)), t.v(t.sum(r, c)))
			VADDPS(t.v(t.sum(r, c)), t.v(t.acc(r, c)), t.v(t.acc(r, c)))
		}
	}
}

// begin sets the sums of integers of a row.
func (t tile) begin(r int, from Mem) {
	switch {
	case t.bytes == signed || t.bytes == nibbles: // begins with 0; nibbles are added up as words first
		t.zero(t.sum(r, 0))
		return
	}
	VPBROADCASTD(from, t.v(t.sum(r, 0)))
	for c := 1; c < t.columns; c++ {
		VMOVDQA32(t.v(t.sum(r, 0)), t.v(t.sum(r, c)))
	}
}

// tileName is such as tile4Group32AVX512.
func (s set) tileName(k kernel, rows int) string {
	return fmt.Sprintf("tile%dGroup%s%s", rows, k.name(), s.name)
}
