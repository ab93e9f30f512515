package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"caldera/backend"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/internal/atomicfile"
)

// SaveOptions say how a checkpoint is written.
type SaveOptions struct {
	DType    backend.DType         // of matrices: one of weights or a mixture, in safetensors a plain one; None for as stored
	Adapters []*Adapter            // are added to the matrices
	Progress func(done, total int) // is called with the number of tensors written, where it is not nil

	// Warn is called with what the format cannot say of the checkpoint, and with the
	// error of a tokenizer that cannot be read, without which the rest is written.
	// Where it is nil each of these is an error.
	Warn func(what string)
}

// conversion is one tensor on its way from a checkpoint to a file.
type conversion struct {
	converter
	from  rawTensor
	name  string      // in the file
	parts []rawTensor // that the tensor is joined of, in place of from: see joined
	joint joint       // what it has of them
}

// conversions plans how the tensors of a checkpoint, with adapters, become those of format to.
// dtype picks that of each. It returns the shape of the model, too, and the rows of its table that they are of.
func (c *Checkpoint) conversions(to model.Format, adapters []*Adapter, dtype func(c model.Config, w model.Weight, stored backend.DType) backend.DType) (model.Config, []conversion, []model.Weight, error) {
	m, found, err := c.match(nil, model.Placement{})
	if err != nil {
		return model.Config{}, nil, nil, err
	}
	beside, err := additions(m, adapters)
	if err != nil {
		return model.Config{}, nil, nil, err
	}
	var all []conversion
	is := c.layout.format
	for _, w := range m.Learned() {
		from := found[w.Name(model.HuggingFace)]
		s := backend.OfFileName(from.DType)
		next := conversion{converter: converter{
			stored: s, dtype: dtype(m.Config, w, s), shape: w.Stored(to),
			transpose: w.Transposed(is) != w.Transposed(to), rows: w.Rows(is, to, m.HeadSize), more: w.More(is) - w.More(to),
		}, from: from, name: w.Name(to)}
		if x, ok := beside[w.Name(model.HuggingFace)]; ok {
			next.stored, next.from = backend.F32, x.merged(from, is, m, next.dtype)
		}
		all = append(all, next)
	}
	return m.Config, all, m.Learned(), nil
}

// copy writes the tensor to w.
func (c *conversion) copy(ctx context.Context, w io.Writer) error {
	var stopped error // by ctx or w, which is no fault of the tensor
	write := func(p []byte) error {
		if stopped = ctx.Err(); stopped == nil {
			_, stopped = w.Write(p)
		}
		return stopped
	}
	var err error
	if c.parts != nil {
		err = c.join(write)
	} else {
		into := c.converter
		into.data = c.from.Data()
		if err = c.from.failed(); err == nil {
			err = into.pieces(write)
		}
	}
	if err != nil && stopped == nil {
		return fmt.Errorf("%s: tensor %q: %w", c.from.File, c.from.Name, err)
	}
	return err
}

// writer returns what writes each of the tensors when it is asked for by name.
func writer(ctx context.Context, all []conversion, progress func(done, total int)) func(w io.Writer, name string) error {
	byName := map[string]*conversion{}
	for i := range all {
		byName[all[i].name] = &all[i]
	}
	done := 0
	return func(w io.Writer, name string) error {
		err := byName[name].copy(ctx, w)
		if done++; err == nil && progress != nil {
			progress(done, len(all))
		}
		return err
	}
}

// SaveDir writes the checkpoint as a model directory in Hugging Face's layout:
// model.safetensors, config.json and the files of the tokenizer, if it has one.
// It makes the directory where there is none. Where another model is in it, the
// files of that are replaced or deleted, and other files stay. Until all is
// written the old model stands, and whenever it is cut off, one of the two loads.
func (c *Checkpoint) SaveDir(ctx context.Context, dir string, o SaveOptions) (failed error) {
	if o.DType.Quantized() {
		return fmt.Errorf("safetensors holds no %v: expected one of %s", o.DType, backend.JoinDTypes(backend.PlainDTypes()))
	}
	config, all, rows, err := c.conversions(model.HuggingFace, o.Adapters, func(_ model.Config, w model.Weight, stored backend.DType) backend.DType {
		switch {
		case o.DType != backend.None:
			return o.DType
		case stored == backend.MXFP4 && w.Experts() > 0:
			return stored
		}
		return plainOf(stored)
	})
	if err != nil {
		return err
	}
	all, plain := joined(all, rows)
	files, err := c.tokenizerFiles(o)
	if err != nil {
		return err
	}
	if files[configName], err = configJSON(config, quantization(config.Architecture(), all, plain)); err != nil {
		return err
	}
	generation, err := c.savedGeneration(o)
	if err == nil {
		generation, err = generation.inDirectory(o)
	}
	if err != nil {
		return err
	}
	if text, err := generation.json(config); err != nil {
		return err
	} else if text != nil {
		files[generationName] = text
	}
	r, err := replaceDir(dir)
	if err != nil {
		return err
	}
	defer func() {
		if failed != nil {
			failed = errors.Join(failed, r.discard())
		}
	}()
	tensors := make([]safetensors.Tensor, len(all))
	for i, x := range all {
		tensors[i] = safetensors.Tensor{Name: x.name, DType: x.fileDType(), Shape: x.shape}
	}
	write := writer(ctx, all, o.Progress)
	// "pt" tells Hugging Face's library whose order of dimensions this is.
	err = safetensors.Write(filepath.Join(r.staging, safetensors.SingleName), tensors, map[string]string{"format": "pt"},
		func(w io.Writer, t safetensors.Tensor) error { return write(w, t.Name) })
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(r.staging, name)
		err := os.MkdirAll(filepath.Dir(path), 0o777) // that of templates beside the default one
		if err == nil {
			err = atomicfile.Write(path, func(w io.Writer) error {
				_, err := w.Write(files[name])
				return err
			})
		}
		if err != nil {
			return err
		}
	}
	return r.commit()
}

// tokenizerFiles are the files of the tokenizer and of the chat templates, where the checkpoint has these.
func (c *Checkpoint) tokenizerFiles(o SaveOptions) (map[string][]byte, error) {
	t, err := c.savedTokenizer(o)
	files := map[string][]byte{}
	if t != nil {
		files, err = t.Vocabulary().Files()
	}
	if err != nil {
		return nil, err
	}
	template, named, err := c.savedTemplates(o, fileNames)
	if template != "" {
		files[templateName] = []byte(template)
	}
	for name, source := range named {
		files[templateDir+"/"+name+templateSuffix] = []byte(source)
	}
	return files, err
}

// tokenIDs are ids as Hugging Face has them: null, an id, or several.
func tokenIDs(ids []int) any {
	switch len(ids) {
	case 0:
		return nil
	case 1:
		return ids[0]
	}
	return ids
}

// configJSON is the text of config.json for a model of shape c, with quantization_config where that is not nil.
func configJSON(c model.Config, quantization any) ([]byte, error) {
	f := c.Architecture()
	all := map[string]any{
		"architectures": f.Classes[:1], "model_type": f.Name, "vocab_size": c.Vocab, "tie_word_embeddings": c.TieEmbeddings,
		"bos_token_id": tokenIDs(c.BOS), "eos_token_id": tokenIDs(c.EOS),
	}
	for _, s := range f.Keys {
		value := s.Value(&c)
		if value == nil && s.None {
			value = model.Literal("null")
		}
		if x, float := value.(float64); float && x == math.Trunc(x) {
			value = json.RawMessage(strconv.FormatFloat(x, 'f', 1, 64)) // as Python writes floats: Transformers warns of a scaling that is an int
		}
		for _, name := range s.JSON {
			if value != nil {
				object := all
				for outer, inner, nested := strings.Cut(name, "."); nested; outer, inner, nested = strings.Cut(name, ".") {
					if object[outer] == nil {
						object[outer] = map[string]any{}
					}
					object, name = object[outer].(map[string]any), inner
				}
				object[name] = value
			}
		}
	}
	if quantization != nil {
		all["quantization_config"] = quantization
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, err
	}
	back, err := parseConfig(text)
	if err == nil {
		err = f.Same(c, back, model.HuggingFace)
	}
	return append(text, '\n'), err
}
