//go:build cgo

// Optional abilities of a device.

package vk

import (
	"reflect"
	"strings"
)

// Features are the optional abilities that the project's shaders may use:
// those that a PhysicalDevice has, or those that a Device is opened with.
//
// The order of the fields is that of the CVK_F bits in calls.h.
type Features struct {
	ShaderFloat16       bool // float16_t arithmetic
	ShaderInt8          bool // int8_t arithmetic
	ShaderInt16         bool // int16_t arithmetic
	ShaderInt64         bool // int64_t arithmetic
	StorageBuffer16     bool // 16-bit members of storage buffers
	StorageBuffer8      bool // 8-bit members of storage buffers
	SubgroupSizeControl bool // a pipeline may name its subgroup size
	FullSubgroups       bool // a pipeline may ask that no subgroup has idle lanes
	IntegerDotProduct   bool // OpSDot and its kind
	CooperativeMatrix   bool // VK_KHR_cooperative_matrix
	TimelineSemaphore   bool
	MemoryModel         bool // the Vulkan memory model, which cooperative matrices need
	MemoryModelDevice   bool // … with device scope
	RobustBufferAccess  bool // out-of-bounds accesses are harmless, and slow
}

func (f Features) bits() (bits uint32) {
	v := reflect.ValueOf(f)
	for i := range v.NumField() {
		if v.Field(i).Bool() {
			bits |= 1 << i
		}
	}
	return bits
}

func featuresFromBits(bits uint32) (f Features) {
	v := reflect.ValueOf(&f).Elem()
	for i := range v.NumField() {
		v.Field(i).SetBool(bits&(1<<i) != 0)
	}
	return f
}

// And gives the features in both.
func (f Features) And(g Features) Features { return featuresFromBits(f.bits() & g.bits()) }

// Or gives the features in either.
func (f Features) Or(g Features) Features { return featuresFromBits(f.bits() | g.bits()) }

// String lists the names of the features that are set.
func (f Features) String() string {
	var names []string
	v := reflect.ValueOf(f)
	for i := range v.NumField() {
		if v.Field(i).Bool() {
			names = append(names, v.Type().Field(i).Name)
		}
	}
	return strings.Join(names, " ")
}
