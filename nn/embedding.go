package nn

import "caldera/backend"

// Embed looks up a vector for each id and adds that of its position.
// tokens is [vocab, width], positions [context, width] and ids [batch, time]; the
// result is [batch, time, width].
func (t *Tape) Embed(tokens, positions, ids Tensor, at Places) Tensor {
	dst := t.tensor(backend.F32, ids.Dim(-2), ids.Dim(-1), tokens.Dim(-1))
	t.add(&backend.Embedding{Dst: dst, Tokens: tokens, Positions: positions, IDs: ids, At: at.At})
	return dst
}

// Pick takes rows of x, [batch, time, width]. ids counts them across batches;
// the result has ids' shape, with width behind.
func (t *Tape) Pick(x, ids Tensor) Tensor {
	dst := t.tensor(backend.F32, ids.Dim(-2), ids.Dim(-1), x.Dim(-1))
	t.add(&backend.Embedding{Dst: dst, Tokens: t.contiguous(x).Reshape(x.Rows(), x.Dim(-1)), IDs: ids})
	return dst
}

func init() {
	rule(func(b *backward, o *backend.Embedding, dy Tensor) error {
		tokens, positions := b.sum(o.Tokens), b.sum(o.Positions)
		if tokens.Absent() { // both tables are frozen
			return nil
		}
		b.add(&backend.EmbeddingBackward{DTokens: tokens, DPositions: positions, DY: dy, IDs: o.IDs, At: o.At})
		return nil
	})
}
