package spirv

import (
	"fmt"
	"math"
)

// packedFormat4x8Bit is the format of a word that is four bytes.
const packedFormat4x8Bit = 0

// dotOfBytes lowers an integer dot product of two words to operations on numbers. Other
// operands, vectors of integers, are not known here.
func (c *compiler) dotOfBytes(in *inst, op uint16, args []uint32) *reg {
	operands := 2
	if op >= opSDotAccSat {
		operands = 3
	}
	if len(args) != operands+1 || args[operands] != packedFormat4x8Bit {
		panic(fault{fmt.Sprintf("%s of other operands than two words of four bytes", opcodes[op].name)})
	}
	if t := c.types(in.typ); t.kind != kindInt || t.width != 32 {
		panic(fault{fmt.Sprintf("%s with a result that is no integer of 32 bits", opcodes[op].name)})
	}
	src := make([]*reg, operands)
	for i := range src {
		src[i] = c.scalar(args[i])
	}
	return c.pure(in, op, src...)
}

// signedDot, unsignedDot and mixedDot (the bytes of a signed, those of b not) cannot overflow.
func signedDot(a, b uint32) (sum int64) {
	for i := 0; i < 32; i += 8 {
		sum += int64(int8(a>>i)) * int64(int8(b>>i))
	}
	return sum
}

func unsignedDot(a, b uint32) (sum int64) {
	for i := 0; i < 32; i += 8 {
		sum += int64(uint8(a>>i)) * int64(uint8(b>>i))
	}
	return sum
}

func mixedDot(a, b uint32) (sum int64) {
	for i := 0; i < 32; i += 8 {
		sum += int64(int8(a>>i)) * int64(uint8(b>>i))
	}
	return sum
}

func saturated(v, low, high int64) uint32 { return uint32(min(max(v, low), high)) }

func init() {
	binary2[opSDot] = func(a, b uint32) uint32 { return uint32(signedDot(a, b)) }
	binary2[opUDot] = func(a, b uint32) uint32 { return uint32(unsignedDot(a, b)) }
	binary2[opSUDot] = func(a, b uint32) uint32 { return uint32(mixedDot(a, b)) }
	ternary[opSDotAccSat] = func(a, b, c uint32) uint32 {
		return saturated(signedDot(a, b)+int64(int32(c)), math.MinInt32, math.MaxInt32)
	}
	ternary[opUDotAccSat] = func(a, b, c uint32) uint32 {
		return saturated(unsignedDot(a, b)+int64(c), 0, math.MaxUint32)
	}
	ternary[opSUDotAccSat] = func(a, b, c uint32) uint32 {
		return saturated(mixedDot(a, b)+int64(int32(c)), math.MinInt32, math.MaxInt32)
	}
}
