package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
	"caldera/gpt/tokenizer"
	"caldera/internal/atomicfile"
	"caldera/internal/setting"
	"caldera/nn"
)

// optimizerName is the file of AdamW's means.
const optimizerName = "optimizer.safetensors"

// GPT is a model that learns.
type GPT struct {
	*gpt.Trainer
	Model     *model.Model
	Tokenizer *tokenizer.Tokenizer // nil where there are ids only

	Extras checkpoint.Extras // are saved with the model

	// LoRA are the settings of the adapter, where one learns: it is saved in place of the model.
	LoRA checkpoint.LoRA
}

// NewGPT makes m, whose weights were loaded to be trained, learn as o says. It
// keeps t for checkpoints. Where memory does not suffice, the error tells what
// would fit.
func NewGPT(m *model.Model, t *tokenizer.Tokenizer, o Options) (*GPT, error) {
	tr, err := gpt.NewTrainer(m, o.trainer())
	if errors.Is(err, backend.ErrOutOfMemory) {
		return nil, outOfMemory(m, o, err)
	}
	if err != nil {
		return nil, err
	}
	return &GPT{Trainer: tr, Model: m, Tokenizer: t}, nil
}

func (o Options) trainer() gpt.TrainOptions {
	d, _ := o.dtype() // which Validate has checked
	return gpt.TrainOptions{
		Batch: o.BatchSize, Time: o.BlockSize, Accumulate: o.Accumulation,
		AdamW:   nn.AdamW{Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: 1e-8, Decay: float32(o.WeightDecay)},
		Clip:    o.clip(),
		Dropout: float32(o.Dropout), Seed: o.Seed, Recompute: o.Recompute, DType: d,
	}
}

// Save is SaveWeights, and writes what AdamW has gathered.
func (g *GPT) Save(dir string) error {
	if err := g.SaveWeights(dir); err != nil {
		return err
	}
	return g.SaveState(filepath.Join(dir, optimizerName))
}

// SaveWeights writes the model as Hugging Face's libraries and generate read it, or the adapter
// that learns as PEFT and generate do.
//
// Weights that are no numbers any more are not saved.
func (g *GPT) SaveWeights(dir string) error {
	if g.Model.Tune {
		return diverged(checkpoint.SaveAdapter(dir, g.Model, g.LoRA))
	}
	c, err := checkpoint.Snapshot(g.Model, g.Tokenizer)
	if err != nil {
		return err
	}
	c.SetExtras(g.Extras)
	if err := diverged(c.CheckFinite(context.Background())); err != nil {
		return err
	}
	// Whoever ends a run waits for it to be saved.
	if err := c.SaveDir(context.Background(), dir, checkpoint.SaveOptions{DType: backend.F32}); err != nil {
		return err
	}
	return writeGeneration(dir, g.Model.Config)
}

// diverged says of a number that is NaN or infinite how it came about.
func diverged(err error) error {
	if bad := (*checkpoint.NonFiniteError)(nil); errors.As(err, &bad) {
		return setting.Errorf("tensor %s has come to have %v: training has diverged; try a lower {learning_rate}", bad.Tensor, bad.Value)
	}
	return err
}

// writeGeneration writes generation_config.json, from which Hugging Face's
// libraries learn what begins and ends a text. It keeps that of a model that was fine-tuned.
func writeGeneration(dir string, c model.Config) error {
	path := filepath.Join(dir, "generation_config.json")
	if _, err := os.Lstat(path); err == nil || len(c.BOS) == 0 || len(c.EOS) == 0 {
		return nil
	}
	text, err := json.MarshalIndent(struct {
		FromConfig bool  `json:"_from_model_config"`
		BOS        int   `json:"bos_token_id"`
		EOS        []int `json:"eos_token_id"`
	}{true, c.BOS[0], c.EOS}, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// Shape is that of a model of a family that begins with random weights.
type Shape struct {
	Family                        string
	Layers, Heads, KVHeads, Width int
}

// Config is the shape of a new model that reads block tokens at once, for a
// vocabulary of so many tokens and, where there is one, its tokenizer.
func (s Shape) Config(block, vocab int, t *tokenizer.Tokenizer) (model.Config, error) {
	c := model.Config{Family: s.Family, Layers: s.Layers, Heads: s.Heads, KVHeads: s.KVHeads, Width: s.Width, Context: block, Vocab: vocab, TieEmbeddings: true}.Complete()
	if t != nil {
		if end, ok := t.SpecialID(EndOfText); ok {
			c.BOS, c.EOS = []int{end}, []int{end}
		}
	}
	return c, c.Validate()
}

// Resume puts what the checkpoint in dir has beside the weights into the
// trainer.
func (g *GPT) Resume(dir string, s State) error {
	if err := g.LoadState(filepath.Join(dir, optimizerName)); err != nil {
		return err
	}
	if n := g.Count(); n != s.Step {
		return fmt.Errorf("%s: %s is of step %d and %s of step %d: they are not of one checkpoint", dir, optimizerName, n, stateName, s.Step)
	}
	return nil
}
