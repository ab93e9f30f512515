//go:build cgo

package vulkan

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"caldera/backend"
)

// BenchmarkExperts measures products with matrices of 4 of 32 experts: a token, and a few, with matrices of gpt-oss's size, and a
// prompt of 512 with smaller ones. GB/s counts what backend.Cost does.
func BenchmarkExperts(b *testing.B) {
	dev, err := Open(Options{Device: benchIndex(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer dev.Close()
	const experts, chosen = 32, 4
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range []backend.DType{backend.MXFP4, backend.F16} {
		for _, s := range []struct{ tokens, width int }{{1, 2880}, {4, 2880}, {16, 1440}, {512, 736}} {
			if d == backend.F16 {
				s.width = min(s.width, 1440)
			}
			b.Run(fmt.Sprintf("%v/tokens=%d/%dx%d", d, s.tokens, s.width, s.width), func(b *testing.B) {
				w := random(b, dev, d, experts, s.width, s.width)
				op := &backend.ExpertLinear{
					Dst: random(b, dev, backend.F32, 1, s.tokens, chosen, s.width), X: random(b, dev, backend.F32, 1, s.tokens, 1, s.width),
					W: w, Bias: random(b, dev, backend.F32, experts, s.width), IDs: random(b, dev, backend.I32, 1, s.tokens, chosen),
				}
				var ids []int32
				for range s.tokens {
					for _, id := range r.Perm(experts)[:chosen] {
						ids = append(ids, int32(id))
					}
				}
				if err := backend.SetI32(dev, op.IDs, ids); err != nil {
					b.Fatal(err)
				}
				flops, bytes := op.Cost()
				measure(b, dev, op, int(flops), int(bytes))
				op.Operands(func(_ string, t *backend.Tensor, _ backend.Access) { t.Buf.Free() })
			})
		}
	}
}
