package main

import (
	"fmt"
	"maps"
	"math"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// vectors are constants of 64 bytes in memory.
var vectors = map[string]Mem{}

// vector makes one of words of 32 bits, which are repeated.
func vector(name string, words ...uint32) {
	m := GLOBL(name, 8|16) // RODATA, NOPTR
	for i := range 16 {
		DATA(4*i, U32(words[i*len(words)/16]))
	}
	vectors[name] = m
}

// data is the constant of a name.
func data(name string) Mem {
	m, ok := vectors[name]
	if !ok {
		panic("there is no constant " + name + ": " + fmt.Sprint(slices.Sorted(maps.Keys(vectors))))
	}
	return m
}

// rotations are how far words of the first half of a vector are turned to the left, and of the second.
func rotations(by []int) Mem { return data(fmt.Sprintf("turn%dand%d", by[0]&31, by[1]&31)) }

// constants makes all of them.
func constants() {
	for _, b := range []uint32{15, 16, 32, 48, 63} {
		vector(fmt.Sprint("bytes", b), b*0x01010101)
	}
	vector("words1", 0x00010001)
	vector("word2", 2)
	vector("denormal", 0x200000)
	vector("bitOfByte", 0x08040201, 0x80402010, 0x08040201, 0x80402010, 0x08040201, 0x80402010, 0x08040201, 0x80402010,
		0x08040201, 0x80402010, 0x08040201, 0x80402010, 0x08040201, 0x80402010, 0x08040201, 0x80402010)
	for i := uint32(0); i < 16; i += 2 { // controls of shuffles that take a byte eight times, then the next one
		low, high := i*0x01010101, (i+1)*0x01010101
		vector(fmt.Sprint("spread", i), low, low, high, high, low, low, high, high, low, low, high, high, low, low, high, high)
	}
	vector("lower24", math.Float32bits(0x1p-24))
	for i := range uint32(4) { // controls of shuffles that take byte i of each word as the lowest, or the highest
		var low, top [16]uint32
		for lane := range uint32(16) {
			low[lane], top[lane] = 0x80808000|(4*(lane%4)+i), 0x00808080|(4*(lane%4)+i)<<24
		}
		vector(fmt.Sprint("byte", i), low[:]...)
		vector(fmt.Sprint("top", i), top[:]...)
	}
	for _, by := range [][]int{{4, 2}, {3, 1}, {0, -2}, {-1, -3}} {
		vector(fmt.Sprintf("turn%dand%d", by[0]&31, by[1]&31), uint32(by[0]&31), uint32(by[1]&31))
	}
}
