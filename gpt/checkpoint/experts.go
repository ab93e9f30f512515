package checkpoint

// Experts as gpt-oss has them in Hugging Face's layout: the matrices of a layer's gates and of what
// comes up are one tensor, in turn, and lie [experts, in, out], or in blocks of mxfp4 [experts, out,
// in / 32, 16] with exponents, [experts, out, in / 32], beside them. In memory, and in GGUF files,
// each is a tensor of its own, [experts, out, in].

import (
	"fmt"
	"runtime"
	"slices"
	"sync"

	"caldera/backend"
	"caldera/gpt/model"
)

// What stands behind the names of tensors of mxfp4: bytes with two numbers each, and exponents.
const (
	endBlocks = "_blocks"
	endScales = "_scales"
)

// within is w, of experts, as a part of the tensor, or of the two, that have it in Hugging Face's layout;
// ok is false where neither is there. It returns what these are called.
func within(f *model.Family, there map[string]rawTensor, w model.Weight) (t rawTensor, known []string, ok bool, err error) {
	whole, _ := unwrapped(f, w.Whole())
	part := expertPart{experts: w.Shape[0], out: w.Shape[1], in: 1, part: w.Part, parts: w.Parts}
	shape := []int{part.experts, part.parts * part.out}
	if w.Matrix() {
		part.in = w.Shape[2]
		shape = []int{part.experts, part.in, part.parts * part.out}
	}
	if blocks, quantized := there[whole+endBlocks]; quantized && w.Matrix() {
		scales, ok := there[whole+endScales]
		if !ok {
			return t, nil, false, fmt.Errorf("%s: tensor %q is there without %q", blocks.File, blocks.Name, w.Whole()+endScales)
		}
		rows := []int{part.experts, part.parts * part.out, part.in / 32}
		for _, x := range []struct {
			rawTensor
			want []int
		}{{blocks, append(slices.Clone(rows), 16)}, {scales, rows}} {
			if x.DType != "U8" || part.in%32 != 0 || !slices.Equal(x.Shape, x.want) {
				return t, nil, false, fmt.Errorf("%s: tensor %q is %s of shape %v, expected U8 of shape %v, with %d inputs in blocks of 32", x.File, x.Name, x.DType, x.Shape, x.want, part.in)
			}
		}
		t = part.tensor(blocks, w, backend.MXFP4.FileName(), func() []byte { return part.blocks(blocks.Data(), scales.Data()) })
		return t, []string{whole + endBlocks, whole + endScales}, true, nil
	}
	all, ok := there[whole]
	if !ok {
		return t, nil, false, nil
	}
	d := backend.OfFileName(all.DType)
	if d == backend.None || d.Quantized() || !slices.Equal(all.Shape, shape) {
		return t, nil, false, fmt.Errorf("%s: tensor %q is %s of shape %v, expected a plain dtype and shape %v", all.File, all.Name, all.DType, all.Shape, shape)
	}
	return part.tensor(all, w, all.DType, func() []byte { return part.numbers(all.Data(), d.BlockBytes()) }), []string{whole}, true, nil
}

// expertPart is one of the parts of a tensor of experts; in is 1 for biases.
type expertPart struct{ experts, out, in, part, parts int }

// tensor is w as a tensor that is made of another one.
func (p expertPart) tensor(of rawTensor, w model.Weight, dtype string, data func() []byte) rawTensor {
	return rawTensor{Name: of.Name, DType: dtype, Shape: w.Shape, File: of.File, aligned: true, made: true, Data: data, drop: of.drop}
}

// blocks are those of the part as GGUF has them: each has its exponent before it, and number j beside
// number j + 16, where the file has neighbours in a byte.
func (p expertPart) blocks(all, scales []byte) []byte {
	n := p.in / 32
	dst := make([]byte, p.experts*p.out*n*17)
	each(p.experts, func(e int) {
		for o := range p.out {
			from := ((e*p.out+o)*p.parts + p.part) * n
			to := dst[(e*p.out+o)*n*17:]
			for i := range n {
				block, src := to[17*i:][:17], all[16*(from+i):][:16]
				block[0] = scales[from+i]
				for k := range 8 {
					low, high := src[k], src[k+8]
					block[1+2*k], block[2+2*k] = low&15|high<<4, low>>4|high&0xf0
				}
			}
		}
	})
	return dst
}

// numbers are those of the part, of size bytes each, row by row.
func (p expertPart) numbers(all []byte, size int) []byte {
	width := p.parts * p.out
	dst := make([]byte, p.experts*p.out*p.in*size)
	each(p.experts, func(e int) {
		from, to := all[e*p.in*width*size:], dst[e*p.out*p.in*size:]
		for o0 := 0; o0 < p.out; o0 += transposeTile {
			for i := range p.in {
				for o := o0; o < min(o0+transposeTile, p.out); o++ {
					copy(to[(o*p.in+i)*size:][:size], from[(i*width+o*p.parts+p.part)*size:])
				}
			}
		}
	})
	return dst
}

// each calls f for each expert, several at a time.
func each(n int, f func(e int)) {
	var working sync.WaitGroup
	threads := min(n, runtime.GOMAXPROCS(0))
	for i := range threads {
		working.Go(func() {
			for e := i; e < n; e += threads {
				f(e)
			}
		})
	}
	working.Wait()
}
