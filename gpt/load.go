package gpt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/gpt/safetensors"
	"caldera/nn"
)

// LoadOptions say how weights are kept in memory. The zero value keeps
// matrices as the checkpoint stores them (bf16 as f32) and vectors as f32.
type LoadOptions struct {
	DType backend.DType // of matrices: F32, F16, or None for as stored
}

// Load reads a GPT-2 checkpoint in Hugging Face's layout from a directory into
// the memory of b. Where b can compute on memory of the host, weights are not
// copied but used from the mapped file, which must then stay as it is. It
// stops, with the error of ctx, when ctx ends.
func Load(ctx context.Context, b backend.Backend, dir string, o LoadOptions) (*Model, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("model directory: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("model %s: found a file, expected a directory with config.json and model.safetensors", dir)
	}
	config, err := ReadConfig(os.DirFS(dir))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	file, err := safetensors.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	return load(ctx, b, config, file, o)
}

// LoadFS is Load for a file system, such as that of the embedded model.
func LoadFS(ctx context.Context, b backend.Backend, fsys fs.FS, o LoadOptions) (*Model, error) {
	config, err := ReadConfig(fsys)
	if err != nil {
		return nil, err
	}
	file, err := safetensors.OpenFS(fsys)
	if err != nil {
		return nil, err
	}
	return load(ctx, b, config, file, o)
}

// load takes file over: it is closed with the model, or at once if that fails.
func load(ctx context.Context, b backend.Backend, config Config, file *safetensors.File, o LoadOptions) (*Model, error) {
	m := newModel(b, config)
	m.close = file.Close
	err := m.load(ctx, file, o)
	if err == nil {
		return m, nil
	}
	return nil, errors.Join(err, m.Close())
}

func newModel(b backend.Backend, config Config) *Model {
	m := &Model{Config: config, b: b}
	for range config.Layers {
		m.Blocks = append(m.Blocks, &Block{Heads: config.Heads})
	}
	return m
}

func (m *Model) load(ctx context.Context, file *safetensors.File, o LoadOptions) error {
	found, err := m.match(file)
	if err != nil {
		return err
	}
	for _, w := range m.tensors() {
		if err := m.place(ctx, w, found[w.name], o); err != nil {
			return fmt.Errorf("%s: tensor %s: %w", found[w.name].File, w.name, err)
		}
	}
	m.tie()
	return nil
}

// tie makes the token matrix serve as the head too, where the model says so.
func (m *Model) tie() {
	if m.TieEmbeddings {
		m.Head = nn.Linear{W: m.Tokens}
	}
}

// match finds the model's tensors in a checkpoint and checks, before any is
// copied, that they are all there, with the right shapes, and no others.
func (m *Model) match(file *safetensors.File) (map[string]safetensors.Tensor, error) {
	found := map[string]safetensors.Tensor{}
	for _, name := range file.Tensors() {
		short := strings.TrimPrefix(name, "transformer.")
		t, _ := file.Tensor(name)
		if other, twice := found[short]; twice {
			return nil, fmt.Errorf("%s: both %s and %s are there, expected one of them", t.File, other.Name, name)
		}
		found[short] = t
	}
	if _, ok := found["lm_head.weight"]; !ok {
		m.TieEmbeddings = true
	}
	known := map[string]bool{"lm_head.weight": true} // a copy of wte where embeddings are tied
	for _, w := range m.tensors() {
		t, ok := found[w.name]
		if !ok {
			return nil, fmt.Errorf("tensor %s is missing from the checkpoint, which has %d others; config.json asks for %d layers",
				w.name, len(found), m.Layers)
		}
		if !slices.Equal(t.Shape, w.shape) {
			return nil, fmt.Errorf("%s: tensor %s has shape %v, expected %v by config.json", t.File, t.Name, t.Shape, w.shape)
		}
		if storage(t.DType) == nil {
			return nil, fmt.Errorf("%s: tensor %s has dtype %s, expected F32, F16 or BF16", t.File, t.Name, t.DType)
		}
		known[w.name] = true
	}
	for name, t := range found {
		if !known[name] && !isMask(name) {
			return nil, fmt.Errorf("%s: tensor %s is not part of a GPT-2 with %d layers: the checkpoint is of another architecture or size",
				t.File, t.Name, m.Layers)
		}
	}
	return found, nil
}

// isMask reports whether name is a causal mask, which old checkpoints carry
// along: h.0.attn.bias, h.0.attn.masked_bias.
func isMask(name string) bool {
	return strings.HasPrefix(name, "h.") && (strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias"))
}

func blockPrefix(i int) string { return fmt.Sprintf("h.%d.", i) }

// place puts one tensor of a checkpoint into the memory of the backend. A
// matrix stored [in, out] becomes [out, in]: as a view where the backend reads
// the host's memory, else transposed on the way, so that devices see one layout.
func (m *Model) place(ctx context.Context, w weight, t safetensors.Tensor, o LoadOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stored := storage(t.DType)
	dtype := backend.F32
	if len(w.shape) > 1 {
		if dtype = o.DType; dtype == backend.None {
			dtype = stored.natural
		}
	}
	_, mapped := backend.As[backend.HostMapper](m.b)
	if mapped && dtype == stored.dtype && t.Aligned() {
		buf, err := backend.MapHost(m.b, t.Data)
		if err != nil {
			return err
		}
		m.buffers = append(m.buffers, buf)
		*w.dst = backend.Of(buf, dtype, 0, w.shape...)
	} else {
		c := converter{b: m.b, stored: stored, data: t.Data, dtype: dtype}
		shape := w.shape
		if c.transpose = w.conv1D && !mapped; c.transpose {
			shape = []int{w.shape[1], w.shape[0]}
		}
		dst, err := backend.New(m.b, dtype, shape...)
		if err != nil {
			return err
		}
		m.buffers = append(m.buffers, dst.Buf)
		if err := c.write(ctx, dst); err != nil {
			return err
		}
		*w.dst = dst
	}
	if w.conv1D && mapped {
		*w.dst = w.dst.Transpose()
	}
	return nil
}
