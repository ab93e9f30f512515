//go:build cgo

package vulkan

import "caldera/backend"

func init() {
	register(kernel[*backend.Argmax]{
		supports: func(l *Limits, op *backend.Argmax) bool { return rowsFit(l, op.X) },
		encode:   func(e *encoder, op *backend.Argmax) error { return e.rowwise("argmax", op.Dst, op.X) },
	})
}
