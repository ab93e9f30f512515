package spirv

import "testing"

// TestDots holds integer dot products to results computed by hand.
func TestDots(t *testing.T) {
	const a, b = 0x80ff017f, 0x02fe0380 // as signed bytes 127, 1, −1, −128 and −128, 3, −2, 2
	for op, want := range map[uint16]int32{
		opSDot:  127*-128 + 1*3 + -1*-2 + -128*2,
		opUDot:  127*128 + 1*3 + 255*254 + 128*2,
		opSUDot: 127*128 + 1*3 + -1*254 + -128*2,
	} {
		if got := int32(binary2[op](a, b)); got != want {
			t.Errorf("%s of %#x and %#x is %d, expected %d", opcodes[op].name, a, b, got, want)
		}
		if got := int32(ternary[op+opSDotAccSat-opSDot](a, b, 1000)); got != want+1000 {
			t.Errorf("%s of %#x, %#x and 1000 is %d, expected %d", opcodes[op+opSDotAccSat-opSDot].name, a, b, got, want+1000)
		}
	}
	for _, c := range []struct {
		op            uint16
		a, b, c, want uint32
	}{
		{opSDotAccSat, 0x7f7f7f7f, 0x7f7f7f7f, 1<<31 - 64516, 1<<31 - 1},
		{opSDotAccSat, 0x7f7f7f7f, 0x81818181, 1<<31 + 64515, 1 << 31},
		{opSUDotAccSat, 0x80808080, 0xffffffff, 1<<31 + 3, 1 << 31},
		{opUDotAccSat, 0xffffffff, 0xffffffff, 1<<32 - 260100, 1<<32 - 1},
		{opUDotAccSat, 0xffffffff, 0xffffffff, 1<<32 - 260101, 1<<32 - 1},
	} {
		if got := ternary[c.op](c.a, c.b, c.c); got != c.want {
			t.Errorf("%s of %#x, %#x and %#x is %#x, expected %#x", opcodes[c.op].name, c.a, c.b, c.c, got, c.want)
		}
	}
}
