package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/tokenizer"
)

// modelFiles are a model as peers read it, in a folder. Each is written when
// the first peer asks for it.
type modelFiles struct {
	model Model
	dtype backend.DType
	dir   string
}

// gguf writes the model as llama.cpp reads it. Ours is the same file, so that
// both compute on the same bits.
func (f modelFiles) gguf(ctx context.Context) (string, error) {
	path := filepath.Join(f.dir, "model.gguf")
	return path, f.save(path, func(c *gpt.Checkpoint) error {
		return c.SaveGGUF(ctx, path, gpt.SaveOptions{DType: f.dtype})
	})
}

// safetensors writes it as a directory of Hugging Face's.
func (f modelFiles) safetensors(ctx context.Context) (string, error) {
	path := filepath.Join(f.dir, "model")
	return path, f.save(path, func(c *gpt.Checkpoint) error {
		return c.SaveDir(ctx, path, gpt.SaveOptions{DType: f.dtype})
	})
}

func (f modelFiles) save(path string, write func(*gpt.Checkpoint) error) (err error) {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	c, err := f.model.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if _, err := c.Tokenizer(); err != nil { // there is none, or it cannot be read
		t, err := placeholder(c.Config.Vocab)
		if err != nil {
			return err
		}
		c.SetTokenizer(t)
	}
	if err := write(c); err != nil {
		return fmt.Errorf("writing %s for its peers: %w", f.model.Name, err)
	}
	return nil
}

// placeholder is a tokenizer for a model without one that can be read: node-llama-cpp aborts where
// there is none. Peers are given ids, so what its tokens are does not matter.
func placeholder(vocab int) (*tokenizer.Tokenizer, error) {
	v := tokenizer.Vocabulary{Added: map[int]bool{}}
	for id := range min(vocab, 256) {
		v.Tokens = append(v.Tokens, fmt.Sprintf("<%d>", id))
		v.Added[id] = false
	}
	return tokenizer.New(v)
}
