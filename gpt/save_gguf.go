package gpt

import (
	"context"
	"io"

	"caldera/backend"
	"caldera/gpt/gguf"
	"caldera/gpt/tokenizer"
)

// quantizationVersion is ggml's GGML_QNT_VERSION: how it lays out blocks.
const quantizationVersion = 2

// SaveGGUF writes the checkpoint as a GGUF file of architecture gpt2, which
// llama.cpp and ollama read. Vectors and the table of positions are f32 whatever
// is asked for, and a matrix is f16 where its rows are no whole blocks, both as
// llama.cpp has it. A head that is the token matrix itself is not written twice.
func (c *Checkpoint) SaveGGUF(ctx context.Context, path string, o SaveOptions) error {
	m := newModel(nil, c.Config)
	all, err := c.conversions(m, ggufLayout, func(w weight, stored backend.DType) backend.DType { return ggufDType(w, stored, o.DType) })
	if err != nil {
		return err
	}
	metadata, err := c.metadata(m.Config, all[0].dtype, o)
	if err != nil {
		return err
	}
	tensors := make([]gguf.Tensor, len(all))
	for i, x := range all {
		tensors[i] = gguf.Tensor{Name: x.name, Type: gguf.TypeOf(x.dtype), Shape: x.shape}
	}
	write := writer(ctx, all, o.Progress)
	return gguf.Write(path, metadata, tensors, func(w io.Writer, t gguf.Tensor) error { return write(w, t.Name) })
}

// ggufDType is the dtype that w is written in where d is asked for.
func ggufDType(w weight, stored, d backend.DType) backend.DType {
	if len(w.shape) == 1 || w.name == "wpe.weight" {
		return backend.F32
	}
	if d == backend.None {
		if d = stored; !d.Is(backend.Weights) {
			d = backend.F32
		}
	}
	if w.inputs()%d.BlockLen() != 0 {
		return backend.F16
	}
	return d
}

// metadata are the entries of a GGUF file for a model of shape config, whose
// largest matrices are of dtype d.
func (c *Checkpoint) metadata(config Config, d backend.DType, o SaveOptions) ([]gguf.KeyValue, error) {
	_, file, _ := d.GGUF()
	count := func(n int) gguf.Value { return gguf.OfUint32(uint32(n)) }
	all := []gguf.KeyValue{
		{Key: keyArchitecture, Value: gguf.OfText(ggufArchitecture)},
		{Key: keyName, Value: gguf.OfText(c.Name)},
		{Key: keyFileType, Value: gguf.OfUint32(file)},
		{Key: keyQuantization, Value: gguf.OfUint32(quantizationVersion)},
		{Key: keyContext, Value: count(config.Context)},
		{Key: keyWidth, Value: count(config.Width)},
		{Key: keyInner, Value: count(config.Inner)},
		{Key: keyLayers, Value: count(config.Layers)},
		{Key: keyHeads, Value: count(config.Heads)},
		{Key: keyEpsilon, Value: gguf.OfFloat32(float32(config.Epsilon))},
	}
	token := func(key string, ids []int) {
		if len(ids) > 0 {
			all = append(all, gguf.KeyValue{Key: key, Value: count(ids[0])})
		}
	}
	t, err := c.savedTokenizer(o)
	if err != nil {
		return nil, err
	}
	v := tokenizer.Vocabulary{}
	if t != nil {
		v = t.Vocabulary()
	}
	if config, err = o.ends(config, v); err != nil {
		return nil, err
	}
	token(keyBOS, config.BOS)
	token(keyEOS, config.EOS)
	token(keyEOT, config.EOS[min(1, len(config.EOS)):])
	if t == nil {
		return append(all,
			gguf.KeyValue{Key: keyTokenizer, Value: gguf.OfText("none")},
			gguf.KeyValue{Key: keyVocab, Value: count(config.Vocab)}), nil
	}
	vocabulary, err := tokenizerMetadata(v, config.Vocab)
	return append(all, vocabulary...), err
}
