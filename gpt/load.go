package gpt

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/nn"
)

// LoadOptions say how weights are kept in memory. The zero value keeps
// matrices as the checkpoint stores them (bf16 as f32) and vectors as f32.
type LoadOptions struct {
	DType backend.DType // of matrices: F32, F16, or None for as stored
}

// Load reads the checkpoint at path into the memory of b, as
// [Checkpoint.Load] does: a directory in Hugging Face's layout, or a GGUF file.
func Load(b backend.Backend, path string, o LoadOptions) (*Model, error) {
	c, err := OpenCheckpoint(path)
	if err != nil {
		return nil, err
	}
	return c.Load(b, o)
}

// LoadFS is Load for a file system, such as that of the embedded model.
func LoadFS(b backend.Backend, fsys fs.FS, o LoadOptions) (*Model, error) {
	c, err := OpenCheckpointFS(fsys, "")
	if err != nil {
		return nil, err
	}
	return c.Load(b, o)
}

func newModel(b backend.Backend, config Config) *Model {
	m := &Model{Config: config, b: b}
	for range config.Layers {
		m.Blocks = append(m.Blocks, &Block{Heads: config.Heads})
	}
	return m
}

func (m *Model) load(c *Checkpoint, o LoadOptions) error {
	found, err := m.match(c)
	if err != nil {
		return err
	}
	for _, w := range c.layout.weights(m) {
		if err := m.place(w, found[w.name], o); err != nil {
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
func (m *Model) match(c *Checkpoint) (map[string]rawTensor, error) {
	found := map[string]rawTensor{}
	for _, name := range c.file.Tensors() {
		short := strings.TrimPrefix(name, "transformer.")
		t := c.file.tensor(name)
		if other, twice := found[short]; twice {
			return nil, fmt.Errorf("%s: both %s and %s are there, expected one of them", t.File, other.Name, name)
		}
		found[short] = t
	}
	head := c.layout.nameOf("lm_head.weight")
	if _, ok := found[head]; !ok {
		m.TieEmbeddings = true
	}
	known := map[string]bool{head: true} // a copy of wte where embeddings are tied
	for _, w := range c.layout.weights(m) {
		t, ok := found[w.name]
		if !ok {
			return nil, fmt.Errorf("tensor %s is missing from the checkpoint, which has %d others; %s asks for %d layers",
				w.name, len(found), c.layout.config, m.Layers)
		}
		if !slices.Equal(t.Shape, w.shape) {
			return nil, fmt.Errorf("%s: tensor %s has shape %v, expected %v by %s", t.File, t.Name, t.Shape, w.shape, c.layout.config)
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
func (m *Model) place(w weight, t rawTensor, o LoadOptions) error {
	stored := storage(t.DType)
	dtype := backend.F32
	if len(w.shape) > 1 {
		if dtype = o.DType; dtype == backend.None {
			dtype = stored.natural
		}
		if w.dst == &m.Positions && dtype.Quantized() { // which are added, not multiplied by
			dtype = backend.F32
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
		c := converter{stored: stored, data: t.Data, dtype: dtype}
		shape := w.shape
		if c.transpose = w.conv1D && !mapped; c.transpose {
			shape = []int{w.shape[1], w.shape[0]}
		}
		dst, err := backend.New(m.b, dtype, shape...)
		if err != nil {
			return err
		}
		m.buffers = append(m.buffers, dst.Buf)
		if err := c.write(m.b, dst); err != nil {
			return err
		}
		*w.dst = dst
	}
	if w.conv1D && mapped {
		*w.dst = w.dst.Transpose()
	}
	return nil
}
