package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// ValueType is the type of a value in the metadata, by the format's number.
type ValueType uint32

// The types of values.
const (
	Uint8 ValueType = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array // of any type, arrays included
	Uint64
	Int64
	Float64
)

var valueTypes = [...]struct {
	name string
	size int // in bytes; of a string and of an array, the fewest that one takes
}{
	Uint8: {"uint8", 1}, Int8: {"int8", 1}, Uint16: {"uint16", 2}, Int16: {"int16", 2}, Uint32: {"uint32", 4}, Int32: {"int32", 4},
	Float32: {"float32", 4}, Bool: {"bool", 1}, String: {"string", 8}, Array: {"array", 4 + 8},
	Uint64: {"uint64", 8}, Int64: {"int64", 8}, Float64: {"float64", 8},
}

func (t ValueType) String() string {
	if t.size() == 0 {
		return fmt.Sprintf("value type %d", uint32(t))
	}
	return valueTypes[t].name
}

// size is that of valueTypes, or 0 if the format has no type of this number.
func (t ValueType) size() int {
	if int(t) < len(valueTypes) {
		return valueTypes[t].size
	}
	return 0
}

// Value is a value of the metadata, as the file encodes it. It is decoded only
// when a caller asks for it, so that unused values cost no memory.
type Value struct {
	Type ValueType
	raw  []byte
}

// Int returns a value of any integer type, and false for other types and for an
// integer that an int64 cannot hold.
func (v Value) Int() (int64, bool) {
	if len(v.raw) != v.Type.size() {
		return 0, false
	}
	return v.Type.integer(v.raw)
}

// describe is the type of v and, of an integer, the number, for messages.
func (v Value) describe() string {
	if n, ok := v.Int(); ok {
		return fmt.Sprintf("%v %d", v.Type, n)
	}
	return v.Type.String()
}

// Float returns a value of type Float32 or Float64, and false for other types.
func (v Value) Float() (float64, bool) {
	switch v.Type {
	case Float32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(v.raw))), true
	case Float64:
		return math.Float64frombits(binary.LittleEndian.Uint64(v.raw)), true
	}
	return 0, false
}

// Bool returns a value of type Bool; ok is false for other types.
func (v Value) Bool() (value, ok bool) {
	if v.Type != Bool {
		return false, false
	}
	return v.raw[0] == 1, true
}

// Text returns a value of type String, and false for other types. The format asks
// for UTF-8, which is not checked.
func (v Value) Text() (string, bool) {
	if v.Type != String {
		return "", false
	}
	return string(v.raw[8:]), true
}

// Elements returns the type and the number of the elements of an array, and false
// for a value that is no array.
func (v Value) Elements() (ValueType, int, bool) {
	if v.Type != Array {
		return 0, 0, false
	}
	return ValueType(binary.LittleEndian.Uint32(v.raw)), int(binary.LittleEndian.Uint64(v.raw[4:])), true
}

// Texts returns the elements of an array of strings, and false for other values.
func (v Value) Texts() ([]string, bool) {
	t, n, ok := v.Elements()
	if !ok || t != String {
		return nil, false
	}
	texts := make([]string, n)
	rest := v.raw[12:]
	for i := range texts {
		end := 8 + int(binary.LittleEndian.Uint64(rest))
		texts[i] = string(rest[8:end])
		rest = rest[end:]
	}
	return texts, true
}

// Ints returns the elements of an array of integers, and false for other values.
func (v Value) Ints() ([]int64, bool) {
	t, n, ok := v.Elements()
	if !ok {
		return nil, false
	}
	ints := make([]int64, n)
	for i := range ints {
		if ints[i], ok = t.integer(v.raw[12+i*t.size():]); !ok {
			return nil, false
		}
	}
	return ints, true
}

// Floats returns the elements of an array of floats, and false for other values.
func (v Value) Floats() ([]float64, bool) {
	t, n, ok := v.Elements()
	if !ok || t != Float32 && t != Float64 {
		return nil, false
	}
	floats := make([]float64, n)
	for i := range floats {
		if t == Float32 {
			floats[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(v.raw[12+4*i:])))
		} else {
			floats[i] = math.Float64frombits(binary.LittleEndian.Uint64(v.raw[12+8*i:]))
		}
	}
	return floats, true
}

// integer reads a number of an integer type from the start of p.
func (t ValueType) integer(p []byte) (int64, bool) {
	switch t {
	case Uint8:
		return int64(p[0]), true
	case Int8:
		return int64(int8(p[0])), true
	case Uint16:
		return int64(binary.LittleEndian.Uint16(p)), true
	case Int16:
		return int64(int16(binary.LittleEndian.Uint16(p))), true
	case Uint32:
		return int64(binary.LittleEndian.Uint32(p)), true
	case Int32:
		return int64(int32(binary.LittleEndian.Uint32(p))), true
	case Uint64, Int64:
		n := binary.LittleEndian.Uint64(p)
		return int64(n), t == Int64 || n <= math.MaxInt64
	}
	return 0, false
}

// OfUint32 makes a value of type Uint32, the type of counts and ids.
func OfUint32(n uint32) Value { return Value{Uint32, binary.LittleEndian.AppendUint32(nil, n)} }

// OfInt32 makes a value of type Int32, that of whole numbers that may be negative.
func OfInt32(n int32) Value { return Value{Int32, binary.LittleEndian.AppendUint32(nil, uint32(n))} }

// OfFloat32 makes a value of type Float32.
func OfFloat32(x float32) Value {
	return Value{Float32, binary.LittleEndian.AppendUint32(nil, math.Float32bits(x))}
}

// OfBool makes a value of type Bool.
func OfBool(b bool) Value {
	if b {
		return Value{Bool, []byte{1}}
	}
	return Value{Bool, []byte{0}}
}

// OfText makes a value of type String.
func OfText(s string) Value { return Value{String, appendText(nil, s)} }

// OfTexts makes an array of strings.
func OfTexts(texts []string) Value {
	raw := appendArray(String, len(texts))
	for _, s := range texts {
		raw = appendText(raw, s)
	}
	return Value{Array, raw}
}

// OfInt32s makes an array of type Int32.
func OfInt32s(ints []int32) Value {
	raw := appendArray(Int32, len(ints))
	for _, n := range ints {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(n))
	}
	return Value{Array, raw}
}

// OfBools makes an array of type Bool.
func OfBools(list []bool) Value {
	raw := appendArray(Bool, len(list))
	for _, b := range list {
		raw = append(raw, OfBool(b).raw...)
	}
	return Value{Array, raw}
}

// OfFloat32s makes an array of type Float32.
func OfFloat32s(floats []float64) Value {
	raw := appendArray(Float32, len(floats))
	for _, x := range floats {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(x)))
	}
	return Value{Array, raw}
}

// Bools returns the elements of an array of type Bool, and false for other values.
func (v Value) Bools() ([]bool, bool) {
	t, n, ok := v.Elements()
	if !ok || t != Bool {
		return nil, false
	}
	list := make([]bool, n)
	for i := range list {
		list[i] = v.raw[12+i] == 1
	}
	return list, true
}

// OfBytes makes an array of type Uint8.
func OfBytes(p []byte) Value { return Value{Array, append(appendArray(Uint8, len(p)), p...)} }

func appendArray(t ValueType, n int) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(nil, uint32(t)), uint64(n))
}

func appendText(p []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(p, uint64(len(s))), s...)
}
