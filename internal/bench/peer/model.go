package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/gpt/tokenizer"
)

// Files are a model as peers read it, in a folder. Each is written when
// the first peer asks for it.
type Files struct {
	Model string // its name
	Open  func() (*checkpoint.Checkpoint, error)
	DType backend.DType // of matrices

	dir string
}

// GGUF writes the model as llama.cpp reads it. Ours is the same file, so that
// both compute on the same bits.
func (f Files) GGUF(ctx context.Context) (string, error) {
	path := filepath.Join(f.dir, "model.gguf")
	return path, f.save(path, func(c *checkpoint.Checkpoint) error {
		return c.SaveGGUF(ctx, path, checkpoint.SaveOptions{DType: f.DType})
	})
}

// Safetensors writes it as a directory of Hugging Face's.
func (f Files) Safetensors(ctx context.Context) (string, error) {
	path := filepath.Join(f.dir, "model")
	return path, f.save(path, func(c *checkpoint.Checkpoint) error {
		return c.SaveDir(ctx, path, checkpoint.SaveOptions{DType: f.DType})
	})
}

func (f Files) save(path string, write func(*checkpoint.Checkpoint) error) (err error) {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	c, err := f.Open()
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
		return fmt.Errorf("writing %s for its peers: %w", f.Model, err)
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
