package model

import "caldera/backend"

// Kept is the dtype of the matrix w in a model of shape c whose matrices are asked for as d: in
// memory, in a GGUF file, and where only sizes count. It is d, but if that is in blocks f32 for
// what is never in blocks, and another type where rows are not whole blocks ([backend.DType.Fitting]).
// Of a mixture these have more bits, as llama.cpp
// has it (llama_tensor_get_type_impl in llama-quant.cpp, without an importance matrix): what
// makes scores; values, alone or with queries and keys, and what leads out of the MLP, in the
// first and the last eighth of the blocks and in each third one between.
func (w Weight) Kept(d backend.DType, c Config) backend.DType {
	switch {
	case !d.Quantized():
		return d
	case w.NeverInBlocks():
		return backend.F32
	}
	most, better := d.Mixture()
	switch w.Role {
	case Unembedding:
		most = better
	case Embedding:
		if c.TieEmbeddings {
			most = better
		}
	case Value, QKV, Down:
		if eighth := c.Layers / 8; w.Block < eighth || w.Block >= 7*c.Layers/8 || (w.Block-eighth)%3 == 2 {
			most = better
		}
	}
	return most.Fitting(w.Inputs())
}
