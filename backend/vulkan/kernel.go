//go:build cgo

package vulkan

import (
	"fmt"
	"reflect"

	"caldera/backend"
)

// kernel says how this package computes one type of op. To add an op, add a file
// with the op's name that has
//
//	func init() {
//		register(kernel[*backend.Activate]{supports: …, encode: …})
//	}
//
// and its shader in package shaders. No other place lists the ops.
type kernel[O backend.Op] struct {
	// supports reports whether encode can encode op on a device with these
	// limits. It depends only on dtypes, shapes and strides. nil: every op.
	supports func(l *Limits, op O) bool

	// encode records the dispatches that compute op. The barriers between them
	// follow from the access of each binding.
	encode func(e *encoder, op O) error
}

// anyKernel is a kernel without the type parameter.
type anyKernel struct {
	supports func(l *Limits, op backend.Op) bool
	encode   func(e *encoder, op backend.Op) error
}

var kernels = map[reflect.Type]anyKernel{}

func register[O backend.Op](k kernel[O]) {
	t := reflect.TypeFor[O]()
	if _, twice := kernels[t]; twice {
		panic("vulkan: two kernels for " + t.String())
	}
	kernels[t] = anyKernel{
		supports: func(l *Limits, op backend.Op) bool { return k.supports == nil || k.supports(l, op.(O)) },
		encode:   func(e *encoder, op backend.Op) error { return k.encode(e, op.(O)) },
	}
}

// supports reports whether there is a kernel that can encode op.
func supports(l *Limits, op backend.Op) bool {
	k, ok := kernels[reflect.TypeOf(op)]
	return ok && k.supports(l, op)
}

// encodeOp calls the op's kernel.
func encodeOp(e *encoder, op backend.Op) error {
	k, ok := kernels[reflect.TypeOf(op)]
	if !ok {
		return fmt.Errorf("there is no kernel for it: ops must come from backend.Prepare")
	}
	return k.encode(e, op)
}
