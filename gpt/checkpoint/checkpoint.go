// Package checkpoint is models on disk. There are two layouts: a directory as
// Hugging Face has it, and a GGUF file (gguf.go). What differs between them is in
// checkpoint.go; find.go finds out which of them a path names, load.go reads either
// into a backend's memory, save.go and save_gguf.go write one as the other. A third
// layout is one more function that makes a Checkpoint.
package checkpoint

import (
	"fmt"
	"io/fs"
	"strings"

	"caldera/backend"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/checkpoint/tensorfile"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
)

// Checkpoint is an open checkpoint, whose weights are still where they lie.
type Checkpoint struct {
	Config model.Config
	Name   string // for people
	Path   string // of the directory or the file that was opened; empty for a file system's

	mixture   backend.DType // that the file says it is; None: it says none
	chosen    string        // tells that the path stood for another, and why; empty where it did not
	file      source
	layout    layout
	tokenizer func() (*tokenizer.Tokenizer, error)
	template  func() (ChatTemplate, error)                          // without a source where there is none
	templates func() (map[string]string, error)                     // those of other names; nil for none
	sampling  func(wanted func(name string) bool) (Sampling, error) // nil for none

	generation func() (settings, error) // the members of generation_config.json; nil where there is no such file
}

// source is the file of a checkpoint's tensors, or its files.
type source interface {
	Tensors() []string
	tensor(name string) rawTensor
	Close() error
}

// rawTensor is a tensor as a checkpoint holds it.
type rawTensor struct {
	Name    string
	DType   string        // as both formats spell it, such as F32
	Shape   []int         // outermost dimension first
	Data    func() []byte // row-major; of a tensor that is made, it makes it
	File    string        // for messages
	aligned bool          // the data may be read as numbers in place
	made    bool          // the data takes memory where it is not copied too
	drop    func()        // tells that the data is not needed for now; nil: that changes nothing
	check   func() error  // tells what was wrong when the data was made; nil: nothing can be
}

// layout is how checkpoints of a kind name and store the weights.
type layout struct {
	format model.Format
	config string // what tells the shape of the model, for messages
	others bool   // tensors of another model may stand beside, and are left out
}

var (
	directoryLayout = layout{model.HuggingFace, configName, true}
	ggufLayout      = layout{model.GGUF, "its metadata", false}
)

// OpenFS is Open for a file system that is a model directory,
// such as that of the embedded model.
func OpenFS(fsys fs.FS, name string) (*Checkpoint, error) {
	config, err := ReadConfig(fsys)
	if err != nil {
		return nil, err
	}
	file, err := safetensors.OpenFS(fsys)
	if err != nil {
		return nil, err
	}
	c := huggingFace(config, name, safetensorsFile{file}, func() (*tokenizer.Tokenizer, error) { return tokenizer.LoadFS(fsys, ".") })
	c.beside(fsys)
	return c, nil
}

// beside has the checkpoint read what the directory fsys has beside weights and tokenizer.
func (c *Checkpoint) beside(fsys fs.FS) {
	c.template = func() (ChatTemplate, error) { return readTemplate(fsys) }
	c.templates = func() (map[string]string, error) { return readNamedTemplates(fsys) }
	c.sampling = func(wanted func(name string) bool) (Sampling, error) { return readSampling(fsys, wanted) }
	c.generation = func() (settings, error) { return readGeneration(fsys) }
}

// huggingFace is a checkpoint without a chat template.
func huggingFace(c model.Config, name string, f source, t func() (*tokenizer.Tokenizer, error)) *Checkpoint {
	all := &Checkpoint{Config: c, Name: name, file: f, layout: directoryLayout, tokenizer: t}
	all.SetChatTemplate(ChatTemplate{})
	return all
}

// safetensorsFile is a source.
type safetensorsFile struct{ *safetensors.File }

func (f safetensorsFile) tensor(name string) rawTensor {
	t, _ := f.Tensor(name)
	return rawTensor{Name: t.Name, DType: string(t.DType), Shape: t.Shape, Data: func() []byte { return t.Data }, File: t.File, aligned: t.Aligned(), drop: func() { f.Drop(t) }}
}

// Tokenizer reads the tokenizer. The error wraps [tokenizer.ErrNone] where the
// checkpoint has none. Special tokens that the model has no rows for are left out,
// as one for padding often is; other tokens without rows are an error.
func (c *Checkpoint) Tokenizer() (*tokenizer.Tokenizer, error) {
	t, err := c.tokenizer()
	if err != nil {
		return nil, err
	}
	t = t.Within(c.Config.Vocab)
	if n := t.VocabSize(); n > c.Config.Vocab {
		return nil, fmt.Errorf("the tokenizer has %d tokens and the model %d: they are not of one checkpoint", n, c.Config.Vocab)
	}
	return t, nil
}

// SetTokenizer makes t the checkpoint's tokenizer, which is saved with it.
func (c *Checkpoint) SetTokenizer(t *tokenizer.Tokenizer) {
	c.tokenizer = func() (*tokenizer.Tokenizer, error) { return t, nil }
}

// DType is the type in which most of the weights are stored, such as f16, or the mixture
// that the file says it is.
func (c *Checkpoint) DType() string {
	if c.mixture != backend.None {
		return c.mixture.String()
	}
	numbers, most := map[string]int{}, ""
	for _, name := range c.file.Tensors() {
		t := c.file.tensor(name)
		n := tensorfile.Elements(t.Shape)
		if strings.HasSuffix(name, endBlocks) { // two numbers a byte
			t.DType, n = backend.MXFP4.FileName(), 2*n
		}
		if numbers[t.DType] += n; most == "" || numbers[t.DType] > numbers[most] {
			most = t.DType
		}
	}
	return strings.ToLower(most)
}

// Notes are what a user should be told about the checkpoint that was opened, each
// in one line: that the path stood for another one, and which tensors are left
// out ([Checkpoint.Ignored]). A warning begins with that word.
func (c *Checkpoint) Notes() (notes []string) {
	if c.chosen != "" {
		notes = append(notes, c.chosen)
	}
	if names := c.Ignored(); len(names) > 0 {
		notes = append(notes, fmt.Sprintf("warning: the checkpoint has more than a %s language model; tensors left out: %s", c.Config.Architecture().Title, quoted(names)))
	}
	return notes
}

// Close closes the files. It is not for a checkpoint that Load took over.
func (c *Checkpoint) Close() error { return c.file.Close() }
