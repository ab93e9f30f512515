//go:build cgo

// Optional features of a device.

package vk

import (
	"reflect"
	"strings"
)

// Features is a set of optional features: those that a PhysicalDevice has, or
// those that are enabled in a Device.
//
// The fields are in the order of the CVK_F bits in calls.h.
type Features struct {
	ShaderFloat16       bool // float16_t arithmetic
	SubgroupSizeControl bool // a pipeline may name its subgroup size
	FullSubgroups       bool // a pipeline may ask that no subgroup has idle lanes
	CooperativeMatrix   bool // VK_KHR_cooperative_matrix
	MemoryModel         bool // the Vulkan memory model, which cooperative matrices need
	MemoryModelDevice   bool // … with device scope
	Executables         bool // VK_KHR_pipeline_executable_properties: pipelines are made so that Device.Executables tells of them
	IntegerDot          bool // products of four bytes with four
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

// And returns the features that are in both sets.
func (f Features) And(g Features) Features { return featuresFromBits(f.bits() & g.bits()) }

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
