package gpttest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/x448/float16"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/checkpoint/tensorfile"
	"caldera/gpt/model"
)

// Directory is a model directory that a test changes before it is written.
type Directory struct {
	Config  map[string]any
	Tensors []safetensors.Tensor
}

// Base is a small checkpoint that is right.
func Base(t *testing.T) *Directory {
	t.Helper()
	dir := "testdata/gpt2-one"
	if _, err := os.Stat(dir); err != nil {
		dir = "../" + dir // of the packages below
	}
	return ReadDirectory(t, dir)
}

// ReadDirectory reads the model directory dir into memory.
func ReadDirectory(t *testing.T, dir string) *Directory {
	t.Helper()
	c := &Directory{}
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err == nil {
		err = json.Unmarshal(text, &c.Config)
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range f.Tensors() {
		x, _ := f.Tensor(name)
		x.Data = bytes.Clone(x.Data)
		c.Tensors = append(c.Tensors, x)
	}
	return c
}

// Tensor is the one of that name, which must be there.
func (c *Directory) Tensor(name string) *safetensors.Tensor {
	i := slices.IndexFunc(c.Tensors, func(x safetensors.Tensor) bool { return x.Name == name })
	return &c.Tensors[i]
}

// Remove takes out the tensor of that name.
func (c *Directory) Remove(name string) {
	c.Tensors = slices.DeleteFunc(c.Tensors, func(x safetensors.Tensor) bool { return x.Name == name })
}

// Add appends a tensor of zeros.
func (c *Directory) Add(name string, d safetensors.DType, shape ...int) *safetensors.Tensor {
	x := safetensors.Tensor{Name: name, DType: d, Shape: shape}
	x.Data = make([]byte, tensorfile.Elements(x.Shape)*d.Bits()/8)
	c.Tensors = append(c.Tensors, x)
	return &c.Tensors[len(c.Tensors)-1]
}

// WriteConfig writes config.json alone.
func (c *Directory) WriteConfig(t *testing.T, dir string) {
	t.Helper()
	text, err := json.Marshal(c.Config)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Write puts the checkpoint into a directory of its own.
func (c *Directory) Write(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	c.WriteConfig(t, dir)
	if err := WriteTensors(filepath.Join(dir, safetensors.SingleName), c.Tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// WriteTensors writes a safetensors file of tensors that have their data.
func WriteTensors(path string, tensors []safetensors.Tensor, metadata map[string]string) error {
	return safetensors.Write(path, tensors, metadata, func(w io.Writer, t safetensors.Tensor) error {
		_, err := w.Write(t.Data)
		return err
	})
}

// Store changes the dtype of every tensor, rounding its values.
func (c *Directory) Store(d safetensors.DType) {
	for i := range c.Tensors {
		x := &c.Tensors[i]
		x.DType, x.Data = d, Encode(d, Decode(x.Data))
	}
}

// Decode reads float32s.
func Decode(data []byte) []float32 {
	values := make([]float32, len(data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return values
}

// Numbers are those of a tensor of any dtype.
func Numbers(t *testing.T, x safetensors.Tensor) []float32 {
	t.Helper()
	values := make([]float32, tensorfile.Elements(x.Shape))
	if err := backend.Decode(values, backend.OfFileName(string(x.DType)), x.Data); err != nil {
		t.Fatal(err)
	}
	return values
}

// Encode writes values as d: F32, F16 or BF16.
func Encode(d safetensors.DType, values []float32) []byte {
	var p []byte
	for _, v := range values {
		switch d {
		case safetensors.F32:
			p = binary.LittleEndian.AppendUint32(p, math.Float32bits(v))
		case safetensors.F16:
			p = binary.LittleEndian.AppendUint16(p, float16.Fromfloat32(v).Bits())
		case safetensors.BF16:
			p = binary.LittleEndian.AppendUint16(p, uint16(math.Float32bits(v)>>16))
		}
	}
	return p
}

// Llamas are small shapes that differ in what a Llama may have.
func Llamas() map[string]model.Config {
	settings := func(change func(s *model.DecoderSettings)) *model.DecoderSettings {
		s := &model.DecoderSettings{Activation: backend.SiLU, Rope: model.Rope{Theta: 10000}}
		change(s)
		return s
	}
	shape := func(heads, kv, size int, tied bool, s *model.DecoderSettings) model.Config {
		return model.Config{
			Family: "llama", Layers: 2, Heads: heads, KVHeads: kv, HeadSize: size, Width: 64, Inner: 96, Context: 80, Vocab: 300, TieEmbeddings: tied,
			BOS: []int{1}, EOS: []int{2}, Settings: s,
		}.Complete()
	}
	return map[string]model.Config{
		"plain":   shape(4, 4, 16, true, settings(func(*model.DecoderSettings) {})),
		"grouped": shape(6, 2, 10, false, settings(func(s *model.DecoderSettings) { s.Theta = 500000 })),
		"biases":  shape(2, 1, 64, true, settings(func(s *model.DecoderSettings) { s.QKVBias, s.OutBias, s.MLPBias = true, true, true })),
		"linear":  shape(4, 1, 32, false, settings(func(s *model.DecoderSettings) { s.Scaling, s.Factor = "linear", 4 })),
		"llama3": shape(4, 2, 32, true, settings(func(s *model.DecoderSettings) {
			s.Scaling, s.Factor, s.Low, s.High, s.Original = "llama3", 8, 1, 4, 20
		})),
	}
}

// SaveLlama saves a random Llama as a directory. Biases and norms, which begin as
// zeros and ones, become other numbers.
func SaveLlama(t *testing.T, c model.Config) (dir string) {
	t.Helper()
	r, err := checkpoint.Random(c, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dir = SaveDir(t, r, backend.F32)
	path := filepath.Join(dir, safetensors.SingleName)
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []safetensors.Tensor
	for _, name := range f.Tensors() {
		x, _ := f.Tensor(name)
		values := Decode(x.Data)
		for i := range values {
			if len(x.Shape) == 1 || strings.HasSuffix(x.Name, "bias") {
				values[i] += float32(math.Sin(float64(i + len(all))))
			} else {
				values[i] *= 8 // so that scores differ
			}
		}
		x.Data = Encode(safetensors.F32, values)
		all = append(all, x)
	}
	f.Close()
	if err := WriteTensors(path, all, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// OpenCheckpoint opens the checkpoint at path until the test ends.
func OpenCheckpoint(t *testing.T, path string) *checkpoint.Checkpoint {
	t.Helper()
	c, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// SaveDir saves c as a directory, and returns where.
func SaveDir(t *testing.T, c *checkpoint.Checkpoint, d backend.DType) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "saved")
	if err := c.SaveDir(context.Background(), dir, checkpoint.SaveOptions{DType: d}); err != nil {
		t.Fatal(err)
	}
	return dir
}
