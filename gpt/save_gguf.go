package gpt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"caldera/backend"
	"caldera/gpt/gguf"
	"caldera/gpt/tokenizer"
)

// ggufTypes are the dtypes in which a GGUF file is written, and the number that
// general.file_type has where most tensors are of that.
var ggufTypes = map[backend.DType]struct {
	tensor gguf.Type
	file   uint32
}{
	backend.F32:  {gguf.F32, 0},
	backend.F16:  {gguf.F16, 1},
	backend.Q4_0: {gguf.Q4_0, 2},
	backend.Q8_0: {gguf.Q8_0, 7},
}

// quantizationVersion is ggml's GGML_QNT_VERSION: how it lays out blocks.
const quantizationVersion = 2

// SaveGGUF writes the checkpoint as a GGUF file of architecture gpt2, which
// llama.cpp and ollama read. Vectors and the table of positions are f32 whatever
// is asked for, and a matrix is f16 where its rows are no whole blocks, both as
// llama.cpp has it. A head that is the token matrix itself is not written twice.
func (c *Checkpoint) SaveGGUF(ctx context.Context, path string, o SaveOptions) error {
	m := newModel(nil, c.Config)
	all, err := c.conversions(m, ggufLayout, func(w weight, s *stored) backend.DType { return ggufDType(w, s, o.DType) })
	if err != nil {
		return err
	}
	metadata, err := c.metadata(m.Config, all[0].dtype)
	if err != nil {
		return err
	}
	tensors := make([]gguf.Tensor, len(all))
	for i, x := range all {
		tensors[i] = gguf.Tensor{Name: x.name, Type: ggufTypes[x.dtype].tensor, Shape: x.shape}
	}
	write := writer(ctx, all, o.Progress)
	return gguf.Write(path, metadata, tensors, func(w io.Writer, t gguf.Tensor) error { return write(w, t.Name) })
}

// ggufDType is the dtype that w is written in where d is asked for.
func ggufDType(w weight, s *stored, d backend.DType) backend.DType {
	if len(w.shape) == 1 || w.name == "wpe.weight" {
		return backend.F32
	}
	if d == backend.None {
		if d = s.dtype; d == backend.None {
			d = s.natural
		}
	}
	if w.inputs()%d.BlockLen() != 0 {
		return backend.F16
	}
	return d
}

// metadata are the entries of a GGUF file for a model of shape config, whose
// largest matrices are of dtype d.
func (c *Checkpoint) metadata(config Config, d backend.DType) ([]gguf.KeyValue, error) {
	count := func(n int) gguf.Value { return gguf.OfUint32(uint32(n)) }
	all := []gguf.KeyValue{
		{Key: keyArchitecture, Value: gguf.OfText(ggufArchitecture)},
		{Key: keyName, Value: gguf.OfText(c.Name)},
		{Key: keyFileType, Value: gguf.OfUint32(ggufTypes[d].file)},
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
	token(keyBOS, config.BOS)
	token(keyEOS, config.EOS)
	token(keyEOT, config.EOS[min(1, len(config.EOS)):])
	t, err := c.Tokenizer()
	if errors.Is(err, tokenizer.ErrNone) {
		return append(all,
			gguf.KeyValue{Key: keyTokenizer, Value: gguf.OfText("none")},
			gguf.KeyValue{Key: keyVocab, Value: count(config.Vocab)}), nil
	}
	if err != nil {
		return nil, err
	}
	vocabulary, err := tokenizerMetadata(t.Vocabulary(), config.Vocab)
	return append(all, vocabulary...), err
}

// tokenizerMetadata are the entries for a tokenizer. llama.cpp wants a token for
// each of the model's ids: those beyond the tokenizer's are marked as unused.
func tokenizerMetadata(v tokenizer.Vocabulary, vocab int) ([]gguf.KeyValue, error) {
	if len(v.Tokens) > vocab {
		return nil, fmt.Errorf("the tokenizer has %d tokens and the model %d: they are not of one checkpoint", len(v.Tokens), vocab)
	}
	types := make([]int32, vocab)
	for id := range types {
		switch special, added := v.Added[id]; {
		case id >= len(v.Tokens):
			v.Tokens = append(v.Tokens, fmt.Sprintf("[PAD%d]", id))
			types[id] = tokenUnused
		case special:
			types[id] = tokenControl
		case added:
			types[id] = tokenAdded
		default:
			types[id] = tokenNormal
		}
	}
	merges := make([]string, len(v.Merges))
	for i, m := range v.Merges {
		if strings.Contains(m[0]+m[1], " ") {
			return nil, fmt.Errorf("merge %d is of %q and %q: GGUF has merges as two tokens with a space between, so it cannot hold a token with one", i, m[0], m[1])
		}
		merges[i] = m[0] + " " + m[1]
	}
	return []gguf.KeyValue{
		{Key: keyTokenizer, Value: gguf.OfText("gpt2")},
		{Key: keySplit, Value: gguf.OfText("gpt-2")},
		{Key: keyTokens, Value: gguf.OfTexts(v.Tokens)},
		{Key: keyTypes, Value: gguf.OfInt32s(types)},
		{Key: keyMerges, Value: gguf.OfTexts(merges)},
		{Key: keyAddBOS, Value: gguf.OfBool(false)},
	}, nil
}
