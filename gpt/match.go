package gpt

// Which tensors of a checkpoint are the model's: what stands before their names,
// and what is there beside them.

import (
	"fmt"
	"slices"
	"strings"

	"caldera/backend"
)

// wrappers are what programs put before the names of all tensors: the body of a
// model with a head (Transformers), a model that was trained on several devices
// or compiled (PyTorch), one within another model (Lightning, TRL). Several may
// stand one before the other.
var wrappers = []string{"transformer.", "_orig_mod.", "module.", "model.", "pretrained_model."}

// unwrapped is the name of a tensor without what wraps the model, and whether it
// is in the body of a model that has heads.
func unwrapped(name string) (short string, body bool) {
	for {
		i := slices.IndexFunc(wrappers, func(w string) bool { return strings.HasPrefix(name, w) })
		if i < 0 {
			return name, body
		}
		body = body || i == 0
		name = name[len(wrappers[i]):]
	}
}

// bodyNames begin the names of all that a GPT-2 without heads has.
var bodyNames = []string{"wte.", "wpe.", "h.", "ln_f."}

// foreignDirectory reports whether a tensor of a model directory belongs to what
// may stand beside the transformer: another head, or another model. Transformers
// leaves such tensors out.
func foreignDirectory(name string) bool {
	short, body := unwrapped(name)
	return !body && short != headName && !slices.ContainsFunc(bodyNames, func(p string) bool { return strings.HasPrefix(short, p) })
}

const headName = "lm_head.weight"

// Ignored returns the names of tensors that the model does not use, because they
// are no part of a GPT-2 with the head of a language model: those of other heads.
// They are in the order of the file. Causal masks, which old checkpoints hold, are
// not among them.
func (c *Checkpoint) Ignored() (names []string) {
	for _, name := range c.file.Tensors() {
		if c.layout.foreign != nil && c.layout.foreign(name) {
			names = append(names, name)
		}
	}
	return names
}

// match finds the model's tensors in a checkpoint and checks, before any is
// copied, that they are all there, with the right shapes, and that no other is
// part of the transformer.
func (m *Model) match(c *Checkpoint) (map[string]rawTensor, error) {
	found := map[string]rawTensor{}
	for _, name := range c.file.Tensors() {
		if c.layout.foreign != nil && c.layout.foreign(name) {
			continue
		}
		short, _ := unwrapped(name)
		t := c.file.tensor(name)
		if other, twice := found[short]; twice {
			return nil, fmt.Errorf("%s: both %q and %q are there, expected one of them", t.File, other.Name, name)
		}
		found[short] = t
	}
	head := c.layout.nameOf(headName)
	if _, ok := found[head]; !ok {
		m.TieEmbeddings = true
	}
	known := map[string]bool{head: true} // a copy of wte where embeddings are tied
	for _, w := range c.layout.weights(m) {
		t, ok := found[w.name]
		if !ok {
			return nil, fmt.Errorf("tensor %s is missing from the checkpoint, which has %d others; %s asks for %d layers",
				w.name, len(c.file.Tensors()), c.layout.config, m.Layers)
		}
		if !slices.Equal(t.Shape, w.shape) {
			return nil, fmt.Errorf("%s: tensor %q has shape %v, expected %v by %s", t.File, t.Name, t.Shape, w.shape, c.layout.config)
		}
		if storage(t.DType) == backend.None {
			return nil, fmt.Errorf("%s: tensor %q has dtype %s, expected one of %s", t.File, t.Name, t.DType, strings.ToUpper(backend.JoinDTypes(backend.PlainDTypes())))
		}
		known[w.name] = true
	}
	for _, name := range c.file.Tensors() {
		short, _ := unwrapped(name)
		if t, ok := found[short]; ok && !known[short] && !isMask(short) {
			return nil, fmt.Errorf("%s: tensor %q is not part of a GPT-2 with %d layers: the checkpoint is of another architecture or size",
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
