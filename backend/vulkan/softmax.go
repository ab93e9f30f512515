//go:build cgo

package vulkan

import (
	"caldera/backend"
)

func init() {
	register(kernel[*backend.Softmax]{
		supports: func(l *Limits, op *backend.Softmax) bool { return rowsFit(l, op.Dst, op.X) },
		encode: func(e *encoder, op *backend.Softmax) error {
			return e.rowwise("softmax", op.Dst, op.X)
		},
	})
}
