package model

// A family is models of one architecture, which differ in their shape and in the
// settings of their config.json. Each is one file, gpt2.go or llama.go, that
// enters it into the registry here. All else, loading, saving, counting, training
// and measuring, reads the family's tables.

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Family is what the file of a family tells of it.
type Family struct {
	Name    string   // model_type in config.json, and Config.Family
	Title   string   // for people
	Classes []string // of Transformers, without TF and Flax; the first is that of a language model
	GGUF    string   // general.architecture in a GGUF file
	Mark    string   // a key that tells a GGUF file of the family from others of that architecture: those of a family without
	Whole   string   // model_type of a model that has one of this family as a part: its config.json has the settings in text_config
	Beside  []string // how names of tensors begin that such a model has beside
	Heads   Heads    // whether a GGUF file has an unembedding of its own
	Body    string   // what Transformers puts before the names of all tensors but those of heads
	Method  string   // quant_method of a quantization_config whose tensors are read; empty: none
	Buffers []string // how names of tensors end that old checkpoints have and no model needs

	Untrained string // why models of the family cannot be trained; empty: they can

	Keys     []Setting
	Defaults func() Config      // what a config.json that is silent stands for
	Complete func(*Config)      // sets what is 0 and follows from the rest; optional
	Fresh    func(*Config)      // changes Defaults' settings for a model that is in no file, whose shape is set; optional
	Check    func(Config) error // reports what the family cannot compute; optional
	Shapes   []NamedShape

	// Network makes a model of a valid shape, without weights. Those whose rows
	// formats order differently are going to lie as order has them.
	Network func(c Config, order Format) Network

	rows func() []Weight // see Rows
}

// Heads says what llama.cpp reads of the GGUF files of a family.
type Heads int

const (
	AnyHead Heads = iota // those with an unembedding, and those where the embedding serves for it
	OwnHead              // those with an unembedding
	NoHead               // those without
)

// NamedShape is the shape of a known model.
type NamedShape struct {
	Name string
	Config
}

var families []*Family

// Register enters a family. The files of families call it before main begins.
func Register(f Family) {
	i, _ := slices.BinarySearchFunc(families, f.Name, func(f *Family, name string) int { return strings.Compare(f.Name, name) })
	f.rows = sync.OnceValue(func() []Weight {
		c := f.Defaults()
		c.Layers, c.TieEmbeddings = 1, false
		return f.Network(c, HuggingFace).Weights()
	})
	families = slices.Insert(families, i, &f)
}

// Families are those that there are, by name.
func Families() []*Family { return families }

// FamilyNames are their names, as Config.Family has them.
func FamilyNames() (names []string) {
	for _, f := range families {
		names = append(names, f.Name)
	}
	return names
}

// FamilyOf returns the family of that name.
func FamilyOf(name string) (*Family, error) {
	for _, f := range families {
		if f.Name == name {
			return f, nil
		}
	}
	return nil, fmt.Errorf("unknown family: found %q, expected one of %s", name, strings.Join(FamilyNames(), ", "))
}

// Rows is the weight table of a model of one block that has no size: for names. It is the family's own: do not change it.
func (f *Family) Rows() []Weight { return f.rows() }

// Row is the first row of the weight table that has the role.
func (f *Family) Row(role Role) Weight {
	rows := f.Rows()
	return rows[slices.IndexFunc(rows, func(w Weight) bool { return w.Role == role })]
}

// nameOf is what config.json, or else a GGUF file, calls a field of Config.
func (f *Family) nameOf(field string) string {
	i := slices.IndexFunc(f.Keys, func(s Setting) bool { return s.Field == field })
	if i < 0 {
		return map[string]string{"Vocab": "vocab_size", "HeadSize": "head_dim"}[field]
	}
	return f.Keys[i].Name()
}

// Shape returns the shape of a known model, one of [ShapeNames]: "gpt2" (124
// million weights), "gpt2-medium", "gpt2-large" or "gpt2-xl" (1.6 billion) as
// published, "gpt3" (175 billion), "nanogpt" (0.8 million), a model of 65 characters, or one of another
// family.
func Shape(name string) (Config, error) {
	for _, f := range families {
		for _, s := range f.Shapes {
			if s.Name == name {
				c := s.Config
				c.Family, c.BOS, c.EOS = f.Name, slices.Clone(c.BOS), slices.Clone(c.EOS)
				return c.Complete(), nil
			}
		}
	}
	return Config{}, fmt.Errorf("unknown shape: found %q, expected one of %s", name, strings.Join(ShapeNames(), ", "))
}

// ShapeNames are what [Shape] knows.
func ShapeNames() (names []string) {
	for _, f := range families {
		for _, s := range f.Shapes {
			names = append(names, s.Name)
		}
	}
	return names
}
