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

	// cooperative tells whether cooperative matrices may serve for op, so that
	// they are tested before it is encoded. nil: for none.
	cooperative func(op O) bool

	// dots tells the same of integer dot products.
	dots func(op O) bool
}

// anyKernel is a kernel without the type parameter.
type anyKernel struct {
	supports    func(l *Limits, op backend.Op) bool
	encode      func(e *encoder, op backend.Op) error
	cooperative func(op backend.Op) bool
	dots        func(op backend.Op) bool
}

var kernels = map[reflect.Type]anyKernel{}

func register[O backend.Op](k kernel[O]) {
	t := reflect.TypeFor[O]()
	if _, twice := kernels[t]; twice {
		panic("vulkan: two kernels for " + t.String())
	}
	kernels[t] = anyKernel{
		supports:    func(l *Limits, op backend.Op) bool { return k.supports == nil || k.supports(l, op.(O)) },
		encode:      func(e *encoder, op backend.Op) error { return k.encode(e, op.(O)) },
		cooperative: func(op backend.Op) bool { return k.cooperative != nil && k.cooperative(op.(O)) },
		dots:        func(op backend.Op) bool { return k.dots != nil && k.dots(op.(O)) },
	}
}

// supports reports whether there is a kernel that can encode op.
func supports(l *Limits, op backend.Op) bool {
	k, ok := kernels[reflect.TypeOf(op)]
	return ok && k.supports(l, op)
}

// testFor runs the self-tests of cooperative matrices and integer dot products if an op may use
// them.
func (b *Backend) testFor(ops []backend.Op) {
	for _, op := range ops {
		k, ok := kernels[reflect.TypeOf(op)]
		if ok && k.cooperative(op) {
			b.testMatrices()
		}
		if ok && k.dots(op) {
			b.testDots()
		}
	}
}

// encodeOp calls the op's kernel.
func encodeOp(e *encoder, op backend.Op) error {
	k, ok := kernels[reflect.TypeOf(op)]
	if !ok {
		return fmt.Errorf("there is no kernel for it: ops must come from backend.Prepare")
	}
	return k.encode(e, op)
}
