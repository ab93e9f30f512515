package checkpoint

// Experts on their way into Hugging Face's layout: see experts.go.

import (
	"fmt"
	"slices"

	"caldera/backend"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
)

// joint says what a tensor that is joined of parts has of them.
type joint int

const (
	jointNumbers   joint = iota
	jointBlocks          // bytes of two numbers of mxfp4 each
	jointExponents       // of the blocks
)

// joined makes tensors of experts of Hugging Face's layout: the parts of each, which follow one another, as one
// of plain numbers, or as two of blocks. Matrices of a layer are in blocks where all of them are and are to stay so.
// plain are the names of those that are not, of layers.
func joined(all []conversion, rows []model.Weight) (whole []conversion, plain []string) {
	inBlocks := map[int]bool{}
	for i, w := range rows {
		if w.Experts() > 0 && w.Matrix() {
			before, seen := inBlocks[w.Block]
			inBlocks[w.Block] = (before || !seen) && all[i].dtype == backend.MXFP4
		}
	}
	for i, c := range all {
		w := rows[i]
		if w.Within == "" {
			whole = append(whole, c)
			continue
		}
		if w.Part > 0 {
			continue
		}
		c.name = w.Whole()
		var dtypes []backend.DType
		for j := range all {
			if rows[j].Whole() == c.name {
				c.parts = append(c.parts, all[j].from)
				dtypes = append(dtypes, all[j].dtype)
			}
		}
		n, out := w.Shape[0], w.Parts*w.Shape[1]
		switch {
		case !w.Matrix():
			c.shape = []int{n, out}
		case inBlocks[w.Block]:
			blocks, exponents := c, c
			blocks.name, blocks.joint, blocks.shape = c.name+endBlocks, jointBlocks, []int{n, out, w.Inputs() / 32, 16}
			exponents.name, exponents.joint, exponents.shape = c.name+endScales, jointExponents, blocks.shape[:3]
			whole = append(whole, blocks, exponents)
			continue
		default:
			c.shape = []int{n, w.Inputs(), out}
			c.dtype = common(dtypes)
			if w.Role == model.Down {
				plain = append(plain, fmt.Sprintf("model.layers.%d.mlp.experts", w.Block))
			}
		}
		whole = append(whole, c)
	}
	return whole, plain
}

// common is the plain dtype of a tensor whose parts have these.
func common(dtypes []backend.DType) backend.DType {
	for i, d := range dtypes {
		dtypes[i] = plainOf(d)
	}
	if slices.ContainsFunc(dtypes, func(d backend.DType) bool { return d != dtypes[0] }) {
		return backend.F32
	}
	return dtypes[0]
}

// plainOf is the plain dtype that holds all numbers of d.
func plainOf(d backend.DType) backend.DType {
	switch {
	case d == backend.MXFP4:
		return backend.BF16
	case d.Quantized():
		return backend.F32
	}
	return d
}

// fileDType is the dtype that a file of safetensors has for the tensor.
func (c *conversion) fileDType() safetensors.DType {
	if c.joint != jointNumbers {
		return safetensors.U8
	}
	return safetensors.DType(c.dtype.FileName())
}

// join makes the tensor of its parts, an expert at a time.
func (c *conversion) join(yield func(p []byte) error) error {
	var data [][]byte
	for _, t := range c.parts {
		data = append(data, t.Data())
		if err := t.failed(); err != nil {
			return err
		}
	}
	if c.joint != jointNumbers {
		return c.joinBlocks(data, yield)
	}
	width, in := c.shape[len(c.shape)-1], 1
	if len(c.shape) == 3 {
		in = c.shape[1]
	}
	out := width / len(c.parts)
	one, all := make([]float32, out*in), make([]float32, width*in)
	for e := range c.shape[0] {
		for part, t := range c.parts {
			d := backend.OfFileName(t.DType)
			decode(one, d, data[part][d.Bytes(e*len(one)):])
			for o := range out {
				for i := range in {
					all[i*width+o*len(c.parts)+part] = one[o*in+i]
				}
			}
		}
		p, err := backend.Encode(nil, c.dtype, all)
		if err == nil {
			err = yield(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// joinBlocks is join for blocks or their exponents: what [expertPart.blocks] takes apart.
func (c *conversion) joinBlocks(data [][]byte, yield func(p []byte) error) error {
	rows, n := c.shape[1]/len(data), c.shape[2]
	var p []byte
	for e := range c.shape[0] {
		p = p[:0]
		for o := range rows {
			for _, part := range data {
				blocks := part[(e*rows+o)*n*17:][:n*17]
				for ; len(blocks) > 0; blocks = blocks[17:] {
					if c.joint == jointExponents {
						p = append(p, blocks[0])
						continue
					}
					q := blocks[1:17]
					for k := 0; k < 16; k += 2 {
						p = append(p, q[k]&15|q[k+1]<<4)
					}
					for k := 0; k < 16; k += 2 {
						p = append(p, q[k]>>4|q[k+1]&0xf0)
					}
				}
			}
		}
		if err := yield(p); err != nil {
			return err
		}
	}
	return nil
}

// quantization is what config.json has of the tensors of a directory of family f: nil where none is in blocks,
// else the parts of the model that are not, plain those of experts.
func quantization(f *model.Family, all []conversion, plain []string) any {
	if !slices.ContainsFunc(all, func(c conversion) bool { return c.joint != jointNumbers }) {
		return nil
	}
	return map[string]any{
		"quant_method":           f.Method,
		"modules_to_not_convert": append([]string{"model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"}, plain...),
	}
}
