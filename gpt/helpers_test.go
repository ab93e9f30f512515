package gpt_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/x448/float16"

	"caldera/backend"
	"caldera/backend/calltrace"
	"caldera/gpt"
	"caldera/gpt/safetensors"
)

// openCPU opens the CPU backend, under an account of its memory.
func openCPU(t *testing.T) *account {
	t.Helper()
	b, err := backend.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return accountOf(b)
}

// account keeps an account of a backend's buffers.
type account struct {
	backend.Backend
	live      map[backend.Buffer]bool
	allocated int   // bytes that Alloc gave, freed ones included
	mapped    []int // bytes that MapHost was given each time
	recorded  int   // programs
	err       error // what Run reports
}

func (a *account) Unwrap() backend.Backend { return a.Backend }

func accountOf(b backend.Backend) *account {
	a := &account{live: map[backend.Buffer]bool{}}
	a.Backend = calltrace.Wrap(b, calltrace.Hooks{
		Before: func(c calltrace.Call) error {
			if c.Method == calltrace.Run || c.Method == calltrace.Replay {
				return a.err
			}
			return nil
		},
		After: func(c calltrace.Call) {
			switch {
			case c.Method == calltrace.Record:
				a.recorded++
			case c.Method == calltrace.Alloc && c.Err == nil:
				a.allocated += c.Bytes
				a.live[c.Buffer] = true
			case c.Method == calltrace.MapHost && c.Err == nil:
				a.mapped = append(a.mapped, c.Bytes)
				a.live[c.Buffer] = true
			}
		},
	})
	return a
}

// inUse is the number of buffers that have not been freed.
func (a *account) inUse() int {
	n := 0
	for buf := range a.live {
		if buf.Size() > 0 {
			n++
		}
	}
	return n
}

// device is a backend that has memory of its own and no other ability, as a
// GPU has: matrices are transposed on their way into it.
type device struct{ backend.Backend }

// checkpoint is a model directory that a test changes before it is written.
type checkpoint struct {
	config  map[string]any
	tensors []safetensors.Tensor
}

// base is a small checkpoint that is right.
func base(t *testing.T) *checkpoint { return readCheckpoint(t, "testdata/gpt2-one") }

func readCheckpoint(t *testing.T, dir string) *checkpoint {
	t.Helper()
	c := &checkpoint{}
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err == nil {
		err = json.Unmarshal(text, &c.config)
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
		c.tensors = append(c.tensors, x)
	}
	return c
}

func (c *checkpoint) tensor(name string) *safetensors.Tensor {
	i := slices.IndexFunc(c.tensors, func(x safetensors.Tensor) bool { return x.Name == name })
	return &c.tensors[i]
}

func (c *checkpoint) remove(name string) {
	c.tensors = slices.DeleteFunc(c.tensors, func(x safetensors.Tensor) bool { return x.Name == name })
}

// add appends a tensor of zeros.
func (c *checkpoint) add(name string, d safetensors.DType, shape ...int) *safetensors.Tensor {
	x := safetensors.Tensor{Name: name, DType: d, Shape: shape}
	x.Data = make([]byte, x.Elements()*d.Bits()/8)
	c.tensors = append(c.tensors, x)
	return &c.tensors[len(c.tensors)-1]
}

func (c *checkpoint) writeConfig(t *testing.T, dir string) {
	t.Helper()
	text, err := json.Marshal(c.config)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// write puts the checkpoint into a directory of its own.
func (c *checkpoint) write(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	c.writeConfig(t, dir)
	if err := safetensors.Write(filepath.Join(dir, safetensors.SingleName), c.tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// store changes the dtype of every tensor, rounding its values.
func (c *checkpoint) store(d safetensors.DType) {
	for i := range c.tensors {
		x := &c.tensors[i]
		x.DType, x.Data = d, encode(d, decode(x.Data))
	}
}

func decode(data []byte) []float32 {
	values := make([]float32, len(data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return values
}

func encode(d safetensors.DType, values []float32) []byte {
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

// logitsOf loads a checkpoint and returns the scores after a few tokens.
func logitsOf(t *testing.T, b backend.Backend, dir string, o gpt.LoadOptions) []float32 {
	t.Helper()
	m, err := gpt.Load(t.Context(), b, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return feed(t, m, 3, 1, 4, 1, 5)
}

// gpt2 is the network of a model of that family.
func gpt2(m *gpt.Model) *gpt.GPT2 { return m.Network.(*gpt.GPT2) }

// feed returns the scores after ids in a session of their own.
func feed(t *testing.T, m *gpt.Model, ids ...int) []float32 {
	t.Helper()
	s := session(t, m, 0)
	defer s.Close()
	logits, err := s.Feed(context.Background(), ids...)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(logits)
}

func session(t *testing.T, m *gpt.Model, size int) *gpt.Session {
	t.Helper()
	s, err := gpt.NewSession(m, gpt.SessionOptions{Context: size})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantError fails unless err's text has every one of the parts, in one line.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, expected one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q is more than a line", err)
	}
}
