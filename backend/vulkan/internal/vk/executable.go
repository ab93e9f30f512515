//go:build cgo

// What the driver made of a pipeline.

package vk

// #include <stdlib.h>
// #include "calls.h"
import "C"

import (
	"errors"
	"math"
	"unsafe"
)

// Executable is machine code that a driver made of a pipeline.
type Executable struct {
	Subgroup   int // invocations of a subgroup
	Statistics []Statistic
	Code       string // as the driver prints it, instruction by instruction; may be empty
}

// Statistic is a number that a driver tells of an executable, under a name of its own.
type Statistic struct {
	Name  string
	Value float64
}

// Executables returns what the driver made of a pipeline: mostly one executable, of some
// drivers one for each subgroup size. The device must be opened with the feature Executables
// before the pipeline is made.
func (d *Device) Executables(p Pipeline) ([]Executable, error) {
	if !d.Features.Executables {
		return nil, errors.New("vkGetPipelineExecutablePropertiesKHR: the device was opened without Executables")
	}
	var sizes [8]C.uint32_t
	var n C.uint32_t
	r := C.cvk_executable_properties(d.table, C.uint64_t(p), &sizes[0], C.uint32_t(len(sizes)), &n)
	if err := check("vkGetPipelineExecutablePropertiesKHR", r); err != nil {
		return nil, err
	}
	list := make([]Executable, n)
	for i := range list {
		e := &list[i]
		e.Subgroup = int(sizes[i])
		all := make([]C.cvk_statistic, C.CVK_STATISTICS)
		var found C.uint32_t
		r := C.cvk_executable_statistics(d.table, C.uint64_t(p), C.uint32_t(i), &all[0], &found)
		if err := check("vkGetPipelineExecutableStatisticsKHR", r); err != nil {
			return nil, err
		}
		for _, s := range all[:found] {
			e.Statistics = append(e.Statistics, Statistic{C.GoString(&s.name[0]), statisticValue(uint32(s.format), uint64(s.value))})
		}
		var text *C.char
		r = C.cvk_executable_code(d.table, C.uint64_t(p), C.uint32_t(i), &text)
		if err := check("vkGetPipelineExecutableInternalRepresentationsKHR", r); err != nil {
			return nil, err
		}
		if text != nil {
			e.Code = C.GoString(text)
			C.free(unsafe.Pointer(text))
		}
	}
	return list, nil
}

// statisticValue reads a VkPipelineExecutableStatisticValueKHR.
func statisticValue(format uint32, bits uint64) float64 {
	switch format {
	case 0: // a VkBool32, of which only the first four bytes are there
		return float64(uint32(bits))
	case 1:
		return float64(int64(bits))
	case 3:
		return math.Float64frombits(bits)
	}
	return float64(bits)
}
