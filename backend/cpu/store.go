package cpu

import (
	"caldera/backend"
)

func init() {
	register(func(b *Backend, op *backend.Store) {
		b.parallel(op, op.X.Rows(), 0.2*float64(op.X.Shape[3]), storeRows)
	})
}

func storeRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.Store)
	sequences, context := o.Cache()
	for r := from; r < to; r++ {
		seq, pos := placeOf(&o.At, r)
		if seq < 0 || seq >= sequences || pos < 0 || pos >= context {
			continue
		}
		if !o.Table.Absent() {
			seq, pos = blockOf(&o.Table, seq, pos, o.Dst.Shape[2])
		}
		if seq < 0 || seq >= o.Dst.Shape[1] { // a block that is none
			continue
		}
		if p := pairs(o.Dst.DType); p != nil {
			p.To(row[uint16](&o.Dst, seq*o.Dst.Shape[2]+pos), row[float32](&o.X, r))
		} else {
			copy(row[float32](&o.Dst, seq*o.Dst.Shape[2]+pos), row[float32](&o.X, r))
		}
	}
}

// blockOf returns the number of the block, of so many positions, that a table has for a
// position, which may be any number, and the position in it.
func blockOf(table *backend.Tensor, seq, pos, block int) (number, rest int) {
	return int(at[int32](table, seq, pos/block)), pos % block
}
