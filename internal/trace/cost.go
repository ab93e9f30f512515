package trace

import (
	"strings"

	"caldera/backend"
)

// cost is what an op has to do at least, whatever does it. 0 stands for what
// cannot be told from its operands.
type cost struct {
	flop  float64 // of products of matrices: a multiplication and an addition are two
	bytes float64 // read and written, each once
}

// costs are of the ops that are not simply their operands.
var costs = map[string]func(s backend.Span, keys int) cost{
	"attention": attention,
	"embedding": embedding,
	"linear":    linear,
	"store":     store,
}

// costOf counts the work of a span; keys is as in [Pass].
func costOf(s backend.Span, keys int) cost {
	name, _, _ := strings.Cut(s.Op, "+") // the rest of the label costs no memory
	if f, ok := costs[name]; ok {
		return f(s, keys)
	}
	return cost{bytes: touched(s)}
}

// operand finds an operand; one that is not there has no size.
func operand(s backend.Span, name string) backend.Tensor {
	for _, o := range s.Operands {
		if o.Name == name {
			return o.Tensor
		}
	}
	return backend.Tensor{}
}

// touched is the size of all operands that are read or written as a whole. An
// op that updates an operand may do with any part of it.
func touched(s backend.Span) float64 {
	n := 0
	for _, o := range s.Operands {
		switch o.Access {
		case backend.Read, backend.Write:
			n += o.Size()
		case backend.Update:
			return 0
		}
	}
	return float64(n)
}

func linear(s backend.Span, _ int) cost {
	rows, w := operand(s, "x").Rows(), operand(s, "w")
	return cost{2 * float64(rows) * float64(w.Len()), touched(s)}
}

// attention multiplies each query with the keys, and the scores with the
// values. All keys count for all queries, as package bench counts them and as
// kernels compute them, though a query sees only those before it.
func attention(s backend.Span, keys int) cost {
	q, k := operand(s, "q"), operand(s, "k")
	if context := k.Dim(-2); keys == 0 || keys > context {
		keys = context
	}
	used := float64(keys) / float64(k.Dim(-2))
	cache := float64(k.Size() + operand(s, "v").Size())
	return cost{4 * float64(q.Len()) * float64(keys), touched(s) - cache + used*cache}
}

// embedding reads a row of each table for each row that it writes.
func embedding(s backend.Span, _ int) cost {
	n := touched(s)
	dst := operand(s, "dst")
	for _, name := range []string{"tokens", "positions"} {
		if table := operand(s, name); !table.Absent() {
			n += float64(table.DType.Bytes(dst.Len()) - table.Size())
		}
	}
	return cost{bytes: n}
}

// store writes as many elements as it reads.
func store(s backend.Span, _ int) cost {
	dst, x := operand(s, "dst"), operand(s, "x")
	return cost{bytes: float64(x.Size() + dst.DType.Bytes(x.Len()))}
}
