package spirv

import (
	"math"
	"math/bits"

	"github.com/x448/float16"
)

// Operations on one number of each operand, which is its bits; a bool is 0 or 1. Instructions of GLSL.std.450 have
// their number plus extended.
const extended = 0x1000

func f32(x uint32) float32  { return math.Float32frombits(x) }
func word(x float32) uint32 { return math.Float32bits(x) }

func truth(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

var unary = map[uint16]func(a uint32) uint32{
	opConvertFToU:              func(a uint32) uint32 { return uint32(int64(clampFloat(f32(a), 0, math.MaxUint32))) },
	opConvertFToS:              func(a uint32) uint32 { return uint32(int32(clampFloat(f32(a), math.MinInt32, math.MaxInt32))) },
	opConvertSToF:              func(a uint32) uint32 { return word(float32(int32(a))) },
	opConvertUToF:              func(a uint32) uint32 { return word(float32(a)) },
	opSNegate:                  func(a uint32) uint32 { return -a },
	opFNegate:                  func(a uint32) uint32 { return a ^ 1<<31 },
	opLogicalNot:               func(a uint32) uint32 { return a ^ 1 },
	opNot:                      func(a uint32) uint32 { return ^a },
	extended + glslFAbs:        func(a uint32) uint32 { return a &^ (1 << 31) },
	extended + glslFloor:       func(a uint32) uint32 { return word(float32(math.Floor(float64(f32(a))))) },
	extended + glslExp2:        func(a uint32) uint32 { return word(float32(math.Exp2(float64(f32(a))))) },
	extended + glslExp:         func(a uint32) uint32 { return word(float32(math.Exp(float64(f32(a))))) },
	extended + glslLog:         func(a uint32) uint32 { return word(float32(math.Log(float64(f32(a))))) },
	extended + glslSqrt:        func(a uint32) uint32 { return word(float32(math.Sqrt(float64(f32(a))))) },
	extended + glslInverseSqrt: func(a uint32) uint32 { return word(float32(1 / math.Sqrt(float64(f32(a))))) },
}

// clampFloat is what hardware does with a number that does not fit: NaN is 0.
func clampFloat(x float32, low, high float64) float64 {
	switch v := float64(x); {
	case v != v:
		return 0
	default:
		return min(max(v, low), high)
	}
}

// half is an f16 as f32.
func half(h uint32) uint32 { return word(float16.Frombits(uint16(h)).Float32()) }

var binary2 = map[uint16]func(a, b uint32) uint32{
	opIAdd:   func(a, b uint32) uint32 { return a + b },
	opISub:   func(a, b uint32) uint32 { return a - b },
	opIMul:   func(a, b uint32) uint32 { return a * b },
	opFAdd:   func(a, b uint32) uint32 { return word(f32(a) + f32(b)) },
	opFSub:   func(a, b uint32) uint32 { return word(f32(a) - f32(b)) },
	opFMul:   func(a, b uint32) uint32 { return word(f32(a) * f32(b)) },
	opFDiv:   func(a, b uint32) uint32 { return word(f32(a) / f32(b)) },
	opUDiv:   func(a, b uint32) uint32 { return unlessZero(b, func() uint32 { return a / b }) },
	opUMod:   func(a, b uint32) uint32 { return unlessZero(b, func() uint32 { return a % b }) },
	opSDiv:   func(a, b uint32) uint32 { return unlessZero(b, func() uint32 { return uint32(int32(a) / int32(b)) }) },
	opUMulHi: func(a, b uint32) uint32 { hi, _ := bits.Mul32(a, b); return hi },

	opLogicalOr:  func(a, b uint32) uint32 { return a | b },
	opLogicalAnd: func(a, b uint32) uint32 { return a & b },
	opBitwiseOr:  func(a, b uint32) uint32 { return a | b },
	opBitwiseXor: func(a, b uint32) uint32 { return a ^ b },
	opBitwiseAnd: func(a, b uint32) uint32 { return a & b },

	// A shift by 32 or more is reported. Hardware takes the last five bits.
	opShiftRightLogical:    func(a, b uint32) uint32 { return a >> (b & 31) },
	opShiftRightArithmetic: func(a, b uint32) uint32 { return uint32(int32(a) >> (b & 31)) },
	opShiftLeftLogical:     func(a, b uint32) uint32 { return a << (b & 31) },

	opIEqual:               func(a, b uint32) uint32 { return truth(a == b) },
	opINotEqual:            func(a, b uint32) uint32 { return truth(a != b) },
	opUGreaterThan:         func(a, b uint32) uint32 { return truth(a > b) },
	opSGreaterThan:         func(a, b uint32) uint32 { return truth(int32(a) > int32(b)) },
	opUGreaterThanEqual:    func(a, b uint32) uint32 { return truth(a >= b) },
	opSGreaterThanEqual:    func(a, b uint32) uint32 { return truth(int32(a) >= int32(b)) },
	opULessThan:            func(a, b uint32) uint32 { return truth(a < b) },
	opSLessThan:            func(a, b uint32) uint32 { return truth(int32(a) < int32(b)) },
	opULessThanEqual:       func(a, b uint32) uint32 { return truth(a <= b) },
	opSLessThanEqual:       func(a, b uint32) uint32 { return truth(int32(a) <= int32(b)) },
	opFOrdEqual:            func(a, b uint32) uint32 { return truth(f32(a) == f32(b)) },
	opFUnordNotEqual:       func(a, b uint32) uint32 { return truth(f32(a) != f32(b)) },
	opFOrdLessThan:         func(a, b uint32) uint32 { return truth(f32(a) < f32(b)) },
	opFOrdGreaterThan:      func(a, b uint32) uint32 { return truth(f32(a) > f32(b)) },
	opFOrdLessThanEqual:    func(a, b uint32) uint32 { return truth(f32(a) <= f32(b)) },
	opFOrdGreaterThanEqual: func(a, b uint32) uint32 { return truth(f32(a) >= f32(b)) },

	extended + glslUMin: func(a, b uint32) uint32 { return min(a, b) },
	extended + glslSMin: func(a, b uint32) uint32 { return uint32(min(int32(a), int32(b))) },
	extended + glslUMax: func(a, b uint32) uint32 { return max(a, b) },
	extended + glslSMax: func(a, b uint32) uint32 { return uint32(max(int32(a), int32(b))) },
	extended + glslFMin: fmin,
	extended + glslFMax: fmax,
}

// opUMulHi is the upper half of OpUMulExtended, opLowHalf and opTopHalf are the halves of UnpackHalf2x16, opPackHalf
// is PackHalf2x16 of two numbers, and opMatrixAdd, opMatrixSub and opMatrixMul work on cooperative matrices: they are no opcodes of
// SPIR-V.
const (
	opUMulHi    = 0xf000
	opLowHalf   = 0xf001
	opTopHalf   = 0xf002
	opPackHalf  = 0xf003
	opMatrixAdd = 0xf004
	opMatrixMul = 0xf005
	opMatrixSub = 0xf006
)

func init() {
	unary[opLowHalf] = func(a uint32) uint32 { return half(a & 0xffff) }
	unary[opTopHalf] = func(a uint32) uint32 { return half(a >> 16) }
	binary2[opPackHalf] = func(a, b uint32) uint32 { return cutHalf(a) | cutHalf(b)<<16 }
}

// cutHalf is the f16 of an f32, rounded towards 0: how PackHalf2x16 rounds is undefined.
func cutHalf(bits uint32) uint32 {
	sign, m := bits>>16&0x8000, bits&0x7fffffff
	switch {
	case m > 0x7f800000:
		return sign | 0x7e00
	case m == 0x7f800000:
		return sign | 0x7c00
	case m >= 0x47800000: // 65536
		return sign | 0x7bff
	case m >= 0x38800000: // 2⁻¹⁴
		return sign | (m-0x38000000)>>13
	}
	return sign | (m&0x7fffff|0x800000)>>min(126-m>>23, 31)
}

func unlessZero(b uint32, f func() uint32) uint32 {
	if b == 0 {
		return ^uint32(0)
	}
	return f()
}

// fmin is y < x ? y : x, and fmax x < y ? y : x, as GLSL has them. Which operand they give where one is NaN, or where
// both are 0, is undefined: one or the other, after their bits.
func fmin(x, y uint32) uint32 {
	a, b := f32(x), f32(y)
	switch {
	case b < a:
		return y
	case a < b:
		return x
	}
	return either(x, y)
}

func fmax(x, y uint32) uint32 {
	a, b := f32(x), f32(y)
	switch {
	case a < b:
		return y
	case b < a:
		return x
	}
	return either(x, y)
}

// either picks one of two numbers in a way that depends on both, and that a shader cannot count on.
func either(x, y uint32) uint32 {
	if x == y || bits.OnesCount32(x*0x9e3779b1^y*0x85ebca77)&1 == 0 {
		return x
	}
	return y
}

var ternary = map[uint16]func(a, b, c uint32) uint32{
	opSelect: func(a, b, c uint32) uint32 {
		if a != 0 {
			return b
		}
		return c
	},
	extended + glslFma:    func(a, b, c uint32) uint32 { return word(fma(f32(a), f32(b), f32(c))) },
	extended + glslFClamp: func(x, low, high uint32) uint32 { return fmin(fmax(x, low), high) },
	opBitFieldSExtract: func(a, offset, count uint32) uint32 {
		if count == 0 || offset+count > 32 {
			return 0
		}
		return uint32(int32(a<<(32-offset-count)) >> (32 - count))
	},
	opBitFieldUExtract: func(a, offset, count uint32) uint32 {
		if count == 0 || offset+count > 32 {
			return 0
		}
		return a << (32 - offset - count) >> (32 - count)
	},
}

// fma is a·b + c, rounded once. A product of two float32 is exact in float64; their sum is rounded there, and then
// again, which differs where the first result lies in the middle between two float32, or is small.
func fma(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := p + float64(c)
	if b := math.Float64bits(s); b&0x1fffffff == 0x10000000 || b>>52&0x7ff < 1023-126 {
		return roundOdd(p, float64(c), s)
	}
	return float32(s)
}

// roundOdd is p + c = s, rounded to odd first (Boldo and Melquiond 2008), so that rounding again does no harm.
func roundOdd(p, c, s float64) float32 {
	v := s - p
	e := (p - (s - v)) + (c - v) // what s lacks (Knuth's TwoSum)
	if b := math.Float64bits(s); e != 0 && e == e && b&1 == 0 && !math.IsInf(s, 0) {
		if (e > 0) == (s > 0) {
			b++
		} else {
			b--
		}
		s = math.Float64frombits(b)
	}
	return float32(s)
}

// undefined says what is undefined in an operation on numbers, or "".
func undefined(op uint16, a, b, c uint32) string {
	switch op {
	case opShiftLeftLogical, opShiftRightLogical, opShiftRightArithmetic:
		if b >= 32 {
			return "shifts by 32 or more"
		}
	case opUDiv, opUMod:
		if b == 0 {
			return "divides by 0"
		}
	case opSDiv:
		if b == 0 || a == 1<<31 && b == math.MaxUint32 {
			return "divides by 0, or the least number by -1"
		}
	case opConvertFToS:
		if x := float64(f32(a)); !(x > math.MinInt32-1 && x < math.MaxInt32+1) {
			return "converts a float that is no int"
		}
	case opConvertFToU:
		if x := float64(f32(a)); !(x > -1 && x < math.MaxUint32+1) {
			return "converts a float that is no uint"
		}
	case opBitFieldSExtract, opBitFieldUExtract:
		if b > 32 || c > 32 || b+c > 32 {
			return "extracts bits that are not there"
		}
	}
	return ""
}

// checked tells the operations for which undefined may say something.
func checked(op uint16) bool {
	switch op {
	case opShiftLeftLogical, opShiftRightLogical, opShiftRightArithmetic, opUDiv, opUMod, opSDiv, opConvertFToS, opConvertFToU,
		opBitFieldSExtract, opBitFieldUExtract:
		return true
	}
	return false
}
