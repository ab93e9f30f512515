//go:build cgo

package vulkan

import (
	"fmt"
	"reflect"

	"caldera/backend"
)

// kernel is how this package computes one type of op. To add an op: a file
// named like it with
//
//	func init() {
//		register(kernel[*backend.Activate]{supports: …, encode: …})
//	}
//
// and its shader in package shaders. Nothing else names the op.
type kernel[O backend.Op] struct {
	// supports tells whether encode takes op on a device of these limits.
	// It looks at dtypes, shapes and strides alone. nil takes every op.
	supports func(l *Limits, op O) bool

	// encode records the dispatches that compute op. Order between them
	// comes from the access that each binding names.
	encode func(e *encoder, op O) error

	// cooperative tells whether cooperative matrices may serve for op, so that
	// they are tested before it is encoded. nil: for none.
	cooperative func(op O) bool
}

// anyKernel is a kernel whose type of op is known at run time alone.
type anyKernel struct {
	supports    func(l *Limits, op backend.Op) bool
	encode      func(e *encoder, op backend.Op) error
	cooperative func(op backend.Op) bool
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
	}
}

// supports tells whether some kernel takes op.
func supports(l *Limits, op backend.Op) bool {
	k, ok := kernels[reflect.TypeOf(op)]
	return ok && k.supports(l, op)
}

// testFor runs the self-test that ops ask for, before they are encoded.
func (b *Backend) testFor(ops []backend.Op) {
	for _, op := range ops {
		if k, ok := kernels[reflect.TypeOf(op)]; ok && k.cooperative(op) {
			b.testMatrices()
		}
	}
}

// encodeOp records the dispatches of one op.
func encodeOp(e *encoder, op backend.Op) error {
	k, ok := kernels[reflect.TypeOf(op)]
	if !ok {
		return fmt.Errorf("there is no kernel for it: ops must come from backend.Prepare")
	}
	return k.encode(e, op)
}
