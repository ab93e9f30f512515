package model

// The weight table of a family: a row for each tensor of a model, with its name,
// shape and order in each format of checkpoints, how it begins, and what it is for.
// Loading, saving, random weights, quantising, counting, memory, weight decay and
// measuring read these rows and know no family.

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"caldera/nn"
)

// Weight is a row of the table.
type Weight struct {
	Role   Role
	Of     Role       // of a bias, or of a norm's scale: the role of the matrix whose results it is added to, or normalises
	HF     string     // its name in Hugging Face's layout; %d stands for the number of the block
	GGUF   string     // its name in a GGUF file
	Tensor *Tensor    // where the model keeps it
	Linear *nn.Linear // the product that it is the matrix of, where that can have an adapter; else nil
	Shape  []int      // as ops read it: [out, in] of a product, [rows, width] of a table, or [n]; of experts with their number before
	Init   Init       // before training
	Order  Order      // of its numbers, where formats differ

	// Within is the name, in Hugging Face's layout, of the tensor that has this one, of experts, together
	// with others: every Parts-th of its last axis, from Part on. That of matrices is [experts, in, out];
	// in blocks of mxfp4 it is two tensors, of which package checkpoint tells. A layout in which this
	// one stands alone has it as HF.
	Within      string
	Part, Parts int
	Chosen      int // how many of the experts a token has

	// Less is by how much its numbers are less in Hugging Face's layout than in memory and
	// in a GGUF file.
	Less float32

	// Below: the tensor lies in memory behind that of the row before, if both have one dtype,
	// so that products with several matrices can be one product.
	Below bool

	Absent bool // this model has none: others of the family do
	Block  int  // that %d stands for

	// Make computes the tensor from the shape of the model, as f32. Such a one is in
	// no file, is no parameter, and does not train. Nil for all others.
	Make func() []float32
}

// Role is what a tensor is for.
type Role int

const (
	Embedding Role = iota // a vector for each token
	Positions             // a vector for each position
	Norm                  // scale or shift of a norm
	QKV                   // queries, keys and values of all heads, in this order
	Query                 // of all heads, one below the other, as the next two
	Key
	Value
	Output      // of attention
	Gate        // of the MLP
	Up          // into the MLP
	GateUp      // the two, in this order
	Down        // out of the MLP
	Router      // scores of experts, which have a Gate, an Up and a Down each
	Sinks       // of attention: a score of each head that no key has
	Unembedding // scores of all tokens
	Bias        // of any of these
	Angles      // cosines and sines of rotary positions
	Factor      // a number that is multiplied with
)

// Init is what a tensor has before training (Radford et al. 2019, section 2.3).
type Init int

const (
	Normal   Init = iota // of standard deviation 0.02
	Residual             // likewise, times 1/√(2·layers): what writes into the residual stream
	Ones
	Zeros
)

// Order tells in what formats order the numbers of a tensor differently.
type Order int

const (
	Same    Order = iota
	InOut         // Hugging Face's layout has the transpose, [in, out]: its Conv1D
	Rotated       // GGUF has each head's rows j and j + size/2, which rotary positions turn together, next to each other
	ByHead        // Hugging Face's layout has a head's queries, keys and values one below the other, GGUF and memory those of all heads
)

// Format is how a checkpoint lies on disk.
type Format int

const (
	HuggingFace Format = iota // a directory: config.json and safetensors
	GGUF                      // llama.cpp's file
)

func (f Format) String() string { return [...]string{"config.json", "GGUF"}[f] }

// table is the weight table of a model: the rows before its blocks, those of each
// block, and the rest, without those that are absent.
func table[B any](before []Weight, blocks []B, rows func(B) []Weight, after ...Weight) []Weight {
	for i, b := range blocks {
		for _, w := range rows(b) {
			w.Block = i
			before = append(before, w)
		}
	}
	return slices.DeleteFunc(append(before, after...), func(w Weight) bool { return w.Absent })
}

// Name is the tensor's name in format f.
func (w Weight) Name(f Format) string {
	if f == GGUF {
		return w.ofBlock(w.GGUF)
	}
	return w.ofBlock(w.HF)
}

// Whole is the name of the tensor that has this one: see Within.
func (w Weight) Whole() string { return w.ofBlock(w.Within) }

func (w Weight) ofBlock(name string) string {
	if strings.Contains(name, "%d") {
		return fmt.Sprintf(name, w.Block)
	}
	return name
}

// Transposed reports whether format f stores the transpose.
func (w Weight) Transposed(f Format) bool { return w.Order == InOut && f == HuggingFace }

// Stored is the shape in format f.
func (w Weight) Stored(f Format) []int {
	if w.Transposed(f) {
		return []int{w.Shape[1], w.Shape[0]}
	}
	return w.Shape
}

// Lies is the format in whose order the rows lie in memory, where those that formats
// order differently are to lie as order has them.
func (w Weight) Lies(order Format) Format {
	if w.Order == ByHead {
		return GGUF
	}
	return order
}

// More is what is to be added to the numbers of format f, so that they are those in memory.
func (w Weight) More(f Format) float32 {
	if f == HuggingFace {
		return w.Less
	}
	return 0
}

// Rows tells which row of the tensor in format from is row r of it in format to,
// for heads of that size; it is nil where all rows are the same.
func (w Weight) Rows(from, to Format, size int) func(r int) int {
	switch half, heads := size/2, w.Shape[0]/(3*size); {
	case w.Order != Rotated && w.Order != ByHead || from == to:
		return nil
	case w.Order == ByHead && to == GGUF:
		return func(r int) int { return (r/size%heads*3+r/size/heads)*size + r%size }
	case w.Order == ByHead:
		return func(r int) int { return (r/size%3*heads+r/size/3)*size + r%size }
	case to == GGUF:
		return func(r int) int { return r/size*size + r%2*half + r%size/2 }
	default:
		return func(r int) int { return r/size*size + r%half*2 + r%size/half }
	}
}

// Matrix reports whether it is a matrix, which has a type of its own in memory;
// vectors are f32.
func (w Weight) Matrix() bool { return len(w.Shape) > 1 && w.Role != Bias }

// Experts is how many experts have such a matrix or vector in the tensor, or 0 where it is not of experts.
func (w Weight) Experts() int {
	if w.Within == "" {
		return 0
	}
	return w.Shape[0]
}

// NeverInBlocks reports whether the matrix is kept in f32 where blocks are asked for: positions, which are
// added and not multiplied, and what chooses experts, as llama.cpp has it.
func (w Weight) NeverInBlocks() bool { return w.Role == Positions || w.Role == Router }

// Multiplies reports whether it is the matrix of products in the blocks.
func (w Weight) Multiplies() bool {
	return w.Matrix() && !slices.Contains([]Role{Embedding, Positions, Unembedding, Angles}, w.Role)
}

// Inputs is how many numbers a matrix multiplies with each row of its result.
func (w Weight) Inputs() int { return w.Shape[len(w.Shape)-1] }

// Elements is how many numbers the tensor has.
func (w Weight) Elements() int64 {
	n := int64(1)
	for _, d := range w.Shape {
		n *= int64(d)
	}
	return n
}

// Initial draws first numbers of the tensor in a model of so many layers.
func (w Weight) Initial(values []float32, layers int, r *rand.Rand) {
	std := map[Init]float64{Normal: 0.02, Residual: 0.02 / math.Sqrt(2*float64(layers))}[w.Init]
	mean := map[Init]float32{Ones: 1}[w.Init]
	for i := range values {
		values[i] = mean + float32(r.NormFloat64()*std)
	}
}
