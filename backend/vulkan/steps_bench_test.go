//go:build cgo

package vulkan

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"caldera/backend"
)

// BenchmarkSteps measures steps of several sequences of GPT-2 124M, a token of each: all
// its products, and the attention of all its layers.
func BenchmarkSteps(b *testing.B) {
	dev, err := Open(Options{Device: benchIndex(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer dev.Close()
	const layers, most = 12, 32
	values := make([]float32, 768*50257)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range values { // no denormals, which are slow
		values[i] = float32(r.NormFloat64())
	}
	for _, d := range backend.DTypes(backend.Weights) {
		b.Run(d.String(), func(b *testing.B) {
			products := map[int][]backend.Op{}
			bytes := 0
			for layer := range layers + 1 {
				shapes := [][2]int{{768, 2304}, {768, 768}, {768, 3072}, {3072, 768}}
				if layer == layers {
					shapes = [][2]int{{768, 50257}}
				}
				for _, s := range shapes {
					w, err := backend.New(dev, d, s[1], s[0])
					if err != nil {
						b.Fatal(err)
					}
					defer w.Buf.Free()
					if err := backend.SetF32(dev, w, values[:w.Len()]); err != nil {
						b.Fatal(err)
					}
					bytes += w.Size()
					x, dst := random(b, dev, backend.F32, most, s[0]), random(b, dev, backend.F32, most, s[1])
					defer x.Buf.Free()
					defer dst.Buf.Free()
					for _, rows := range stepRows {
						products[rows] = append(products[rows], &backend.Linear{Dst: dst.Slice(-2, 0, rows), X: x.Slice(-2, 0, rows), W: w})
					}
				}
			}
			for _, rows := range stepRows {
				b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) { measureAll(b, dev, products[rows], 0, bytes) })
			}
		})
	}
	for _, context := range []int{128, 1024} {
		for _, way := range []string{"rows", "table"} {
			for _, sequences := range []int{1, 2, 4, 8, 16} {
				b.Run(fmt.Sprintf("attention/context=%d/%s/sequences=%d", context, way, sequences), func(b *testing.B) {
					const block = 64
					op := &backend.Attention{
						Q: random(b, dev, backend.F32, 1, sequences, 3*768).Slice(-1, 0, 768), Dst: random(b, dev, backend.F32, 1, sequences, 768),
						At: eachAt(b, dev, sequences, context-1), Heads: 12, Run: 1, Scale: 0.125,
					}
					dims := []int{sequences, context, 768}
					if way == "table" {
						dims = []int{sequences * context / block, block, 768}
						op.Table = scattered(b, dev, sequences, context/block)
					}
					op.K, op.V = random(b, dev, backend.F32, dims...), random(b, dev, backend.F32, dims...)
					for _, t := range []backend.Tensor{op.Q, op.Dst, op.At, op.K, op.V} {
						defer t.Buf.Free()
					}
					measure(b, dev, op, 0, op.K.Size()+op.V.Size())
				})
			}
		}
	}
}

var stepRows = []int{1, 2, 4, 8, 16, 32}

// eachAt is the places of one token of each sequence, at one position.
func eachAt(b *testing.B, dev *Backend, sequences, position int) backend.Tensor {
	at := random(b, dev, backend.I32, 2, sequences)
	words := make([]int32, 2*sequences)
	for i := range sequences {
		words[i], words[sequences+i] = int32(i), int32(position)
	}
	if err := backend.SetI32(dev, at, words); err != nil {
		b.Fatal(err)
	}
	return at
}

// scattered is a table of blocks that lie in no order.
func scattered(b *testing.B, dev *Backend, sequences, blocks int) backend.Tensor {
	table := random(b, dev, backend.I32, sequences, blocks)
	words := make([]int32, sequences*blocks)
	for i, block := range rand.New(rand.NewPCG(3, 4)).Perm(len(words)) {
		words[i] = int32(block)
	}
	if err := backend.SetI32(dev, table, words); err != nil {
		b.Fatal(err)
	}
	return table
}
