package gpt

// GPT-2 as llama.cpp keeps it in a GGUF file, architecture "gpt2": what its
// tensors are called there, and what of the metadata is the shape of the model
// and what its tokenizer.

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"caldera/gpt/gguf"
	"caldera/gpt/tokenizer"
	"caldera/internal/strictjson"
)

const ggufArchitecture = "gpt2"

// Keys of the metadata.
const (
	keyArchitecture = "general.architecture"
	keyName         = "general.name"
	keyFileType     = "general.file_type"
	keyQuantization = "general.quantization_version"

	keyContext   = "gpt2.context_length"
	keyWidth     = "gpt2.embedding_length"
	keyInner     = "gpt2.feed_forward_length"
	keyLayers    = "gpt2.block_count"
	keyHeads     = "gpt2.attention.head_count"
	keyHeadsKV   = "gpt2.attention.head_count_kv"
	keyEpsilon   = "gpt2.attention.layer_norm_epsilon"
	keyVocab     = "gpt2.vocab_size" // where there are no tokens to count
	keyTokenizer = "tokenizer.ggml.model"
	keySplit     = "tokenizer.ggml.pre" // how text is cut into words
	keyTokens    = "tokenizer.ggml.tokens"
	keyTypes     = "tokenizer.ggml.token_type"
	keyMerges    = "tokenizer.ggml.merges"
	keyBOS       = "tokenizer.ggml.bos_token_id"
	keyEOS       = "tokenizer.ggml.eos_token_id"
	keyEOT       = "tokenizer.ggml.eot_token_id" // ends a text as well
	keyAddBOS    = "tokenizer.ggml.add_bos_token"
	keyAddEOS    = "tokenizer.ggml.add_eos_token"
	keyAddSpace  = "tokenizer.ggml.add_space_prefix" // llama.cpp has no use for it where tokenizers are of GPT-2's kind
)

// ggufNames are the parts of Hugging Face's names and what llama.cpp has there.
var ggufNames = strings.NewReplacer(
	"wte.", "token_embd.", "wpe.", "position_embd.", "ln_f.", "output_norm.", "lm_head.", "output.",
	"h.", "blk.", "ln_1.", "attn_norm.", "attn.c_attn.", "attn_qkv.", "attn.c_proj.", "attn_output.",
	"ln_2.", "ffn_norm.", "mlp.c_fc.", "ffn_up.", "mlp.c_proj.", "ffn_down.",
)

var ggufLayout = layout{config: "its metadata", name: ggufNames.Replace, outIn: true}

// ggufFile is a source.
type ggufFile struct{ *gguf.File }

func (f ggufFile) tensor(name string) rawTensor {
	t, _ := f.Tensor(name)
	return rawTensor{Name: t.Name, DType: t.Type.String(), Shape: t.Shape, Data: t.Data, File: t.File, aligned: t.Aligned()}
}

func openGGUF(path string) (*Checkpoint, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	c, err := fromGGUF(f, path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return c, nil
}

// fromGGUF makes a checkpoint of an open file; path stands for it in errors.
func fromGGUF(f *gguf.File, path string) (*Checkpoint, error) {
	m := metadata{f}
	config, err := m.config()
	if err != nil {
		return nil, err
	}
	name, _, err := m.text(keyName)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	return &Checkpoint{
		Config: config, Name: name, file: ggufFile{f}, layout: ggufLayout,
		tokenizer: func() (*tokenizer.Tokenizer, error) {
			t, err := m.tokenizer(config.Vocab)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			return t, nil
		},
	}, nil
}

// metadata reads a file's metadata as those of a GPT-2.
type metadata struct{ *gguf.File }

func (m metadata) config() (Config, error) {
	if a, _, err := m.text(keyArchitecture); err != nil {
		return Config{}, err
	} else if a != ggufArchitecture {
		return Config{}, fmt.Errorf("unknown architecture: found %s %q, expected %q", keyArchitecture, strictjson.Shorten(a), ggufArchitecture)
	}
	c := Config{}
	headsKV := 0
	for _, f := range []struct {
		key      string
		to       *int
		optional bool
	}{
		{keyLayers, &c.Layers, false},
		{keyHeads, &c.Heads, false},
		{keyWidth, &c.Width, false},
		{keyContext, &c.Context, false},
		{keyInner, &c.Inner, true},
		{keyHeadsKV, &headsKV, true},
	} {
		n, found, err := m.integer(f.key, 1)
		if err != nil {
			return c, err
		}
		if !found && !f.optional {
			return c, fmt.Errorf("%s: missing, expected a whole number", f.key)
		}
		*f.to = n
	}
	if headsKV != 0 && headsKV != c.Heads {
		return c, fmt.Errorf("%s: found %d, expected %s, which is %d", keyHeadsKV, headsKV, keyHeads, c.Heads)
	}
	if c.Inner == 0 && c.Width <= maxWidth {
		c.Inner = 4 * c.Width
	}
	v, _ := m.Value(keyEpsilon)
	epsilon, ok := v.Float()
	if !ok {
		return c, fmt.Errorf("%s: missing or no number, expected one such as 1e-5", keyEpsilon)
	}
	// The shortest decimal that is this float32, 1e-05, is what the model was made with.
	c.Epsilon, _ = strconv.ParseFloat(strconv.FormatFloat(epsilon, 'g', -1, 32), 64)

	tokens, ok := m.Tensor(ggufLayout.nameOf("wte.weight"))
	if !ok || len(tokens.Shape) != 2 {
		return c, fmt.Errorf("tensor %s: missing or no matrix, expected one row a token", ggufLayout.nameOf("wte.weight"))
	}
	c.Vocab = tokens.Shape[0]
	_, untied := m.Tensor(ggufLayout.nameOf("lm_head.weight"))
	c.TieEmbeddings = !untied
	for _, f := range []struct {
		key string
		to  *[]int
	}{{keyBOS, &c.BOS}, {keyEOS, &c.EOS}, {keyEOT, &c.EOS}} {
		id, found, err := m.integer(f.key, 0)
		if err != nil {
			return c, err
		}
		if found && id < c.Vocab && !(f.to == &c.EOS && c.Ends(id)) {
			*f.to = append(*f.to, id)
		}
	}
	return c, c.Validate()
}

// integer reads a whole number, and whether there is one of that key.
func (m metadata) integer(key string, least int64) (int, bool, error) {
	v, found := m.Value(key)
	if !found {
		return 0, false, nil
	}
	n, ok := v.Int()
	if !ok {
		return 0, false, fmt.Errorf("%s: found a %v, expected a whole number", key, v.Type)
	}
	if n < least || n > math.MaxInt32 {
		return 0, false, fmt.Errorf("%s: found %d, expected %d to %d", key, n, least, math.MaxInt32)
	}
	return int(n), true, nil
}

// flag reads a boolean, which is false where it is absent.
func (m metadata) flag(key string) (bool, error) {
	v, found := m.Value(key)
	if !found {
		return false, nil
	}
	b, ok := v.Bool()
	if !ok {
		return false, fmt.Errorf("%s: found a %v, expected true or false", key, v.Type)
	}
	return b, nil
}

func (m metadata) text(key string) (string, bool, error) {
	v, found := m.Value(key)
	if !found {
		return "", false, nil
	}
	s, ok := v.Text()
	if !ok {
		return "", false, fmt.Errorf("%s: found a %v, expected a string", key, v.Type)
	}
	return s, true, nil
}
