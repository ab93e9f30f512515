package checkpoint

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"caldera/backend"
)

// TestTransposed: elements change their places and keep their bits, whatever the piece or
// tile in which they lie.
func TestTransposed(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, d := range []backend.DType{backend.F32, backend.F16, backend.BF16} {
		for _, shape := range [][]int{{1, 1}, {3, 70}, {70, 3}, {64, 96}, {1100, 1000}, {2, pieceLen + 1}} {
			rows, cols := shape[0], shape[1]
			data := make([]byte, d.Bytes(rows*cols))
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			c := converter{stored: d, data: data, dtype: d, shape: shape, transpose: true}
			var got []byte
			err := c.pieces(func(p []byte) error {
				if len(p) > d.Bytes(max(pieceLen, cols)) {
					t.Errorf("%v %v: a piece of %d bytes", d, shape, len(p))
				}
				got = append(got, p...)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			want, n := make([]byte, 0, len(data)), d.BlockBytes()
			for r := range rows {
				for i := range cols {
					want = append(want, data[n*(i*rows+r):][:n]...)
				}
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%v %v: the result is not the transposed matrix", d, shape)
			}
		}
	}
}
