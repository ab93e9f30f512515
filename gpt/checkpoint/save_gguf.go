package checkpoint

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/checkpoint/tensorfile"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
)

// quantizationVersion is ggml's GGML_QNT_VERSION: how it lays out blocks.
const quantizationVersion = 2

// SaveGGUF writes the checkpoint as a GGUF file, which llama.cpp and ollama read.
// A model with settings that such a file cannot say is refused. Vectors and the table of positions are f32 whatever
// is asked for, as llama.cpp has it, and of quantised types and mixtures a matrix is as
// [model.Weight.Kept] says. A head that is the token matrix itself is not written twice.
func (c *Checkpoint) SaveGGUF(ctx context.Context, path string, o SaveOptions) error {
	config, all, _, err := c.conversions(model.GGUF, o.Adapters, func(c model.Config, w model.Weight, stored backend.DType) backend.DType {
		return ggufDType(c, w, stored, o.DType)
	})
	if err != nil {
		return err
	}
	metadata, extra, err := c.metadata(config, cmp.Or(o.DType, c.mixture, mostly(all)), o)
	if err != nil {
		return err
	}
	all = append(all, extra...)
	tensors := make([]gguf.Tensor, len(all))
	for i, x := range all {
		tensors[i] = gguf.Tensor{Name: x.name, Type: gguf.TypeOf(x.dtype), Shape: x.shape}
	}
	write := writer(ctx, all, o.Progress)
	return gguf.Write(path, metadata, tensors, func(w io.Writer, t gguf.Tensor) error { return write(w, t.Name) })
}

// mostly is the dtype of most of the weights.
func mostly(all []conversion) (most backend.DType) {
	count := map[backend.DType]int64{}
	for _, x := range all {
		count[x.dtype] += int64(tensorfile.Elements(x.shape))
		if count[x.dtype] > count[most] {
			most = x.dtype
		}
	}
	return most
}

// ggufDType is the dtype that w, of a model of shape c, is written in where d is asked for.
func ggufDType(c model.Config, w model.Weight, stored, d backend.DType) backend.DType {
	if !w.Matrix() || w.NeverInBlocks() {
		return backend.F32
	}
	return w.Kept(cmp.Or(d, stored), c)
}

// metadata are the entries of a GGUF file for a model of shape config, whose
// matrices were asked for as d, or else most of whose weights are of dtype d, and the tensors that stand for settings.
func (c *Checkpoint) metadata(config model.Config, d backend.DType, o SaveOptions) ([]gguf.KeyValue, []conversion, error) {
	f := c.Config.Architecture()
	settings, tensors, err := settingsMetadata(f, config)
	if err == nil {
		err = o.readable(f, config)
	}
	if err != nil {
		return nil, nil, err
	}
	_, file, _ := d.GGUF()
	count := func(n int) gguf.Value { return gguf.OfUint32(uint32(n)) }
	all := append([]gguf.KeyValue{
		{Key: keyArchitecture, Value: gguf.OfText(f.GGUF)},
		{Key: keyName, Value: gguf.OfText(c.Name)},
		{Key: keyFileType, Value: gguf.OfUint32(file)},
		{Key: keyQuantization, Value: gguf.OfUint32(quantizationVersion)},
	}, settings...)
	token := func(key string, ids []int) {
		if len(ids) > 0 {
			all = append(all, gguf.KeyValue{Key: key, Value: count(ids[0])})
		}
	}
	t, err := c.savedTokenizer(o)
	if err != nil {
		return nil, nil, err
	}
	v := tokenizer.Vocabulary{}
	if t != nil {
		v = t.Vocabulary()
	}
	var vocabulary []gguf.KeyValue
	if t != nil {
		if vocabulary, err = tokenizerMetadata(v, config.Vocab); err != nil {
			if err := o.lost("GGUF: the tokenizer cannot be said, and none is written: %w", err); err != nil {
				return nil, nil, err
			}
			t, v = nil, tokenizer.Vocabulary{}
		}
	}
	if config, err = o.ends(config, v); err != nil {
		return nil, nil, err
	}
	generation, err := c.savedGeneration(o)
	if err != nil {
		return nil, nil, err
	}
	all = append(all, samplingMetadata(generation.sampling)...)
	token(keyBOS, config.BOS)
	token(keyEOS, config.EOS)
	token(keyEOT, config.EOS[min(1, len(config.EOS)):])
	if t == nil {
		vocabulary = []gguf.KeyValue{
			{Key: keyTokenizer, Value: gguf.OfText("none")},
			{Key: f.GGUF + keyVocab, Value: count(config.Vocab)},
		}
	}
	template, named, err := c.savedTemplates(o, ggufNames)
	if err != nil {
		return nil, nil, err
	}
	return slices.Concat(all, vocabulary, templateMetadata(template, named)), tensors, nil
}

// readable tells what llama.cpp does not read of a file of c.
func (o SaveOptions) readable(f *model.Family, c model.Config) error {
	switch {
	case f.Heads == model.OwnHead && c.TieEmbeddings, f.Heads == model.NoHead && !c.TieEmbeddings:
		return fmt.Errorf("GGUF cannot say that tie_word_embeddings is %v: llama.cpp reads no such file of %s", c.TieEmbeddings, f.Title)
	}
	for _, s := range f.Keys {
		if !s.Unread {
			continue
		}
		window, number := s.Value(&c).(int)
		other := ""
		switch setting, text := s.Value(&c).(model.Literal); {
		case number && window < c.Context: // that is shorter than texts may be
			other = fmt.Sprintf("%s is %v: llama.cpp does not read that of %s, and computes something else for longer texts", s.Name(), window, f.Title)
		case text:
			other = fmt.Sprintf("%s is %s: llama.cpp does not read that of %s, and computes something that differs a little", s.Name(), setting, f.Title)
		}
		if other != "" {
			if err := o.lost("%s", other); err != nil {
				return err
			}
		}
	}
	return nil
}

// settingsMetadata are the entries, and the tensors, that say the settings of c.
func settingsMetadata(f *model.Family, c model.Config) (all []gguf.KeyValue, tensors []conversion, err error) {
	values, there := map[string]gguf.Value{}, map[string]gguf.Tensor{}
	for _, s := range f.Keys {
		value := s.Value(&c)
		if value == nil {
			continue
		}
		v := gguf.Value{}
		switch x := value.(type) {
		case int:
			v = gguf.OfUint32(uint32(x))
		case float64:
			v = gguf.OfFloat32(float32(x))
		case bool:
			v = gguf.OfBool(x)
		case model.Literal:
			if x == "true" || x == "false" {
				v = gguf.OfBool(x == "true")
				break
			}
			v = gguf.OfText(strings.Trim(string(x), `"`))
		case []model.Literal:
			list := make([]bool, len(x))
			for i, text := range x {
				list[i] = text == "true"
			}
			v = gguf.OfBools(list)
		case []float32:
			t := made(model.Weight{HF: s.Tensor, Shape: []int{len(x)}}, func() []float32 { return x })
			there[s.Tensor] = gguf.Tensor{Name: s.Tensor, Type: gguf.TypeOf(backend.F32), Shape: t.Shape, Data: t.Data()}
			tensors = append(tensors, conversion{converter: converter{stored: backend.F32, dtype: backend.F32, shape: t.Shape}, from: t, name: s.Tensor})
		}
		if _, ok := value.(bool); ok && s.Tensor != "" {
			there[s.Tensor] = gguf.Tensor{Name: s.Tensor} // which is a weight
		}
		for _, name := range s.GGUF {
			key := f.GGUF + "." + name
			values[key] = v
			all = append(all, gguf.KeyValue{Key: key, Value: v})
		}
	}
	back, err := parseMetadata(f, func(key string) (gguf.Value, bool) { v, ok := values[key]; return v, ok },
		func(name string) (gguf.Tensor, bool) { t, ok := there[name]; return t, ok })
	if err == nil {
		err = f.Same(c, back, model.GGUF)
	}
	return all, tensors, err
}
