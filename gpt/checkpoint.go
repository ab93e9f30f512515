package gpt

// A checkpoint is a model on disk. There are two layouts: a directory as Hugging
// Face has it, and a GGUF file (gguf.go). What differs between them is in this
// file; load.go reads either into a backend's memory, save.go and save_gguf.go
// write one as the other. A third layout is one more function that makes a
// Checkpoint.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"caldera/backend"
	"caldera/gpt/safetensors"
	"caldera/gpt/tokenizer"
)

// Checkpoint is an open checkpoint, whose weights are still where they lie.
type Checkpoint struct {
	Config Config
	Name   string // for people

	file      source
	layout    layout
	tokenizer func() (*tokenizer.Tokenizer, error)
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
	DType   string // as both formats spell it, such as F32
	Shape   []int  // outermost dimension first
	Data    []byte // row-major
	File    string // for messages
	aligned bool
	made    bool // Data is made for the model, and takes memory where it is not copied too
}

// Aligned reports whether Data may be read as numbers in place.
func (t rawTensor) Aligned() bool { return t.aligned }

// layout is how checkpoints of a kind name and store the weights.
type layout struct {
	config string                   // what tells the shape of the model, for messages
	name   func(name string) string // of a tensor that Hugging Face names so; nil for the same
	outIn  bool                     // matrices of the blocks are stored [out, in], not [in, out]
}

func (l layout) nameOf(name string) string {
	if l.name == nil {
		return name
	}
	return l.name(name)
}

// weights lists the tensors of m as the layout names and stores them.
func (l layout) weights(m *Model) []weight {
	all := m.tensors()
	for i, w := range all {
		all[i].name = l.nameOf(w.name)
		if l.outIn && w.conv1D {
			all[i].shape, all[i].conv1D = []int{w.shape[1], w.shape[0]}, false
		}
	}
	return all
}

// OpenCheckpoint opens a model directory in Hugging Face's layout, or a file
// whose name ends in .gguf. The weights are mapped, not read, and must stay as
// they are while the checkpoint or a model loaded from it is open.
func OpenCheckpoint(path string) (*Checkpoint, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("model directory: %w", err)
	}
	if info.IsDir() {
		return openDir(path)
	}
	if !strings.EqualFold(filepath.Ext(path), ".gguf") {
		return nil, fmt.Errorf("model %s: found a file, expected a directory with config.json and model.safetensors, or a file whose name ends in .gguf", path)
	}
	return openGGUF(path)
}

func openDir(dir string) (*Checkpoint, error) {
	config, err := ReadConfig(os.DirFS(dir))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	file, err := safetensors.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(dir)
	if absolute, err := filepath.Abs(dir); err == nil {
		name = filepath.Base(absolute) // "." has one too
	}
	return huggingFace(config, name, safetensorsFile{file}, func() (*tokenizer.Tokenizer, error) { return tokenizer.Load(dir) }), nil
}

// OpenCheckpointFS is OpenCheckpoint for a file system that is a model directory,
// such as that of the embedded model.
func OpenCheckpointFS(fsys fs.FS, name string) (*Checkpoint, error) {
	config, err := ReadConfig(fsys)
	if err != nil {
		return nil, err
	}
	file, err := safetensors.OpenFS(fsys)
	if err != nil {
		return nil, err
	}
	return huggingFace(config, name, safetensorsFile{file}, func() (*tokenizer.Tokenizer, error) { return tokenizer.LoadFS(fsys, ".") }), nil
}

func huggingFace(c Config, name string, f source, t func() (*tokenizer.Tokenizer, error)) *Checkpoint {
	return &Checkpoint{Config: c, Name: name, file: f, layout: layout{config: configName}, tokenizer: t}
}

// safetensorsFile is a source.
type safetensorsFile struct{ *safetensors.File }

func (f safetensorsFile) tensor(name string) rawTensor {
	t, _ := f.Tensor(name)
	return rawTensor{Name: t.Name, DType: string(t.DType), Shape: t.Shape, Data: t.Data, File: t.File, aligned: t.Aligned()}
}

// Tokenizer reads the tokenizer. The error wraps [tokenizer.ErrNone] where the
// checkpoint has none. Special tokens that the model has no rows for are left out,
// as one for padding often is.
func (c *Checkpoint) Tokenizer() (*tokenizer.Tokenizer, error) {
	t, err := c.tokenizer()
	if err != nil {
		return nil, err
	}
	return t.Within(c.Config.Vocab), nil
}

// SetTokenizer makes t the checkpoint's tokenizer, which is saved with it.
func (c *Checkpoint) SetTokenizer(t *tokenizer.Tokenizer) {
	c.tokenizer = func() (*tokenizer.Tokenizer, error) { return t, nil }
}

// Close closes the files. It is not for a checkpoint that Load took over.
func (c *Checkpoint) Close() error { return c.file.Close() }

// Load reads the weights into the memory of b. Where b can compute on memory of
// the host, they are not copied but used from the mapped file. It takes the
// checkpoint over: that is closed with the model, or at once if Load fails, with
// the error of ctx where that ends.
func (c *Checkpoint) Load(ctx context.Context, b backend.Backend, o LoadOptions) (*Model, error) {
	m := newModel(b, c.Config)
	m.train = o.Train
	m.close = c.Close
	err := m.load(ctx, c, o)
	if err == nil {
		return m, nil
	}
	return nil, errors.Join(err, m.Close())
}
