//go:build cgo

package vulkan

import (
	"caldera/backend"
)

// Compile implements [backend.Compiler].
func (b *Backend) Compile(ops ...backend.Op) {
	if b.ready() != nil {
		return
	}
	b.startPipelines(ops)
}

// startPipelines begins to compile the pipelines that ops need, several at once. Encoding the ops
// says which; those that are not checked yet are taken as right (check.go). Errors are left to whoever encodes the ops
// again, to run them.
func (b *Backend) startPipelines(ops []backend.Op) {
	e := encoder{b: b, dry: &buffer{b: b, block: &block{}}, taken: &taken{}}
	for _, op := range ops {
		_ = encodeOp(&e, op)
	}
}
