package checkpoint

// Which tensors of a checkpoint are the model's: what stands before their names,
// and what is there beside them.

import (
	"fmt"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/gpt/model"
)

// wrappers are what programs put before the names of all tensors: the body of a
// model with a head (Transformers), a model that was trained on several devices
// or compiled (PyTorch), one within another model (Lightning, TRL). Several may
// stand one before the other. A model that sees has one that speaks as a part.
var wrappers = []string{"transformer.", "gpt_neox.", "_orig_mod.", "module.", "model.", "language_model.", "pretrained_model."}

// unwrapped is the name of a tensor without what wraps the model, and whether it
// is in the body of a model of family f, beside which heads may stand.
func unwrapped(f *model.Family, name string) (short string, body bool) {
	for {
		i := slices.IndexFunc(wrappers, func(w string) bool { return strings.HasPrefix(name, w) })
		if i < 0 {
			return name, body
		}
		body = body || wrappers[i] == f.Body
		name = name[len(wrappers[i]):]
	}
}

// inBody reports whether a tensor has a name as those of the body of f's models have:
// it begins as they do, with "h." or "wte.".
func inBody(f *model.Family, short string) bool {
	first, _, _ := strings.Cut(short, ".")
	return slices.ContainsFunc(f.Rows(), func(w model.Weight) bool {
		own, _ := unwrapped(f, w.HF)
		return w.Role != model.Unembedding && strings.HasPrefix(own, first+".")
	})
}

// foreign reports whether a tensor belongs to what may stand beside the model:
// another head, or another model. Transformers leaves such tensors out.
func (c *Checkpoint) foreign(name string) bool {
	f := c.Config.Architecture()
	short, body := unwrapped(f, name)
	if c.layout.others && slices.ContainsFunc(f.Beside, func(begin string) bool { return strings.HasPrefix(short, begin) }) {
		return true
	}
	return c.layout.others && !body && short != f.Row(model.Unembedding).Name(model.HuggingFace) && !inBody(f, short)
}

// Ignored returns the names of tensors that the model does not use, because they
// are no part of the family's language models: those of other heads. They are in
// the order of the file. Causal masks and the like, which old checkpoints hold, are
// not among them.
func (c *Checkpoint) Ignored() (names []string) {
	for _, name := range c.file.Tensors() {
		if c.foreign(name) {
			names = append(names, name)
		}
	}
	return names
}

// match makes the model, on b, of which the checkpoint has the weights. It finds
// them and checks, before any is copied, that they are all there, with the right
// shapes, and that no other is part of the transformer. The tensors that it
// returns have the names of m's rows.
func (c *Checkpoint) match(b backend.Backend, o model.Placement) (m *model.Model, found map[string]rawTensor, err error) {
	f, format := c.Config.Architecture(), c.layout.format
	there, where := map[string]rawTensor{}, ""
	for _, name := range c.file.Tensors() {
		if c.foreign(name) {
			continue
		}
		short, _ := unwrapped(f, name)
		t := c.file.tensor(name)
		where = t.File
		if other, twice := there[short]; twice {
			return nil, nil, fmt.Errorf("%s: both %q and %q are there, expected one of them", t.File, other.Name, name)
		}
		there[short] = t
	}
	head := f.Row(model.Unembedding).Name(format)
	config := c.Config
	if _, ok := there[head]; !ok {
		config.TieEmbeddings = true
	}
	m = model.New(b, config, o)
	known := map[string]bool{head: true} // a copy of the embedding where they are tied
	for _, s := range f.Keys {
		known[s.Tensor] = known[s.Tensor] || format == model.GGUF
	}
	found = map[string]rawTensor{}
	for _, w := range m.Learned() {
		name := w.Name(format)
		short, _ := unwrapped(f, name)
		t, ok := there[short]
		if w.Within != "" && !ok && format == model.HuggingFace {
			var parts []string
			if t, parts, ok, err = within(f, there, w); err != nil {
				return nil, nil, err
			}
			for _, part := range parts {
				known[part] = true
			}
			name = w.Whole()
		}
		if !ok {
			return nil, nil, fmt.Errorf("%s: tensor %s is missing from the checkpoint, which has %d others; %s asks for %d layers",
				where, name, len(c.file.Tensors()), c.layout.config, m.Layers)
		}
		if shape := w.Stored(format); !slices.Equal(t.Shape, shape) {
			return nil, nil, fmt.Errorf("%s: tensor %q has shape %v, expected %v by %s", t.File, t.Name, t.Shape, shape, c.layout.config)
		}
		if backend.OfFileName(t.DType) == backend.None {
			return nil, nil, fmt.Errorf("%s: tensor %q has dtype %s, expected one of %s", t.File, t.Name, t.DType, strings.ToUpper(backend.JoinDTypes(backend.PlainDTypes())))
		}
		known[short], found[w.Name(model.HuggingFace)] = true, t
	}
	for _, name := range c.file.Tensors() {
		short, _ := unwrapped(f, name)
		if t, ok := there[short]; ok && !known[short] && !buffer(f, short) {
			return nil, nil, fmt.Errorf("%s: tensor %q is not part of a %s with %d layers: the checkpoint is of another architecture or size",
				t.File, t.Name, f.Title, m.Layers)
		}
	}
	return m, found, nil
}

// buffer reports whether a tensor of that name is one that old checkpoints carry
// along, such as a causal mask, h.0.attn.bias.
func buffer(f *model.Family, short string) bool {
	return inBody(f, short) && slices.ContainsFunc(f.Buffers, func(end string) bool { return strings.HasSuffix(short, end) })
}
