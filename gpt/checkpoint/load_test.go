package checkpoint_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/internal/gpttest"
)

func TestLoadErrors(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for _, c := range []struct {
		name   string
		change func(c *gpttest.Directory)
		o      gpt.LoadOptions
		parts  []string
	}{
		{"missing tensor", func(c *gpttest.Directory) { c.Remove("h.0.mlp.c_fc.weight") }, gpt.LoadOptions{},
			[]string{"h.0.mlp.c_fc.weight is missing", "15 others", "1 layers"}},
		{"missing layer", func(c *gpttest.Directory) { c.Config["n_layer"] = 2 }, gpt.LoadOptions{},
			[]string{"h.1.ln_1.weight is missing", "asks for 2 layers"}},
		{"no tensors", func(c *gpttest.Directory) { c.Tensors = nil }, gpt.LoadOptions{}, []string{"wte.weight is missing", "0 others"}},
		{"wrong shape", func(c *gpttest.Directory) { c.Tensor("h.0.attn.c_attn.weight").Shape = []int{36, 12} }, gpt.LoadOptions{},
			[]string{"model.safetensors", "h.0.attn.c_attn.weight\" has shape [36 12], expected [12 36]"}},
		{"wrong rank", func(c *gpttest.Directory) { c.Tensor("ln_f.bias").Shape = []int{1, 12} }, gpt.LoadOptions{},
			[]string{"ln_f.bias\" has shape [1 12], expected [12]"}},
		{"wrong context", func(c *gpttest.Directory) { c.Config["n_positions"] = 9; c.Config["n_ctx"] = 9 }, gpt.LoadOptions{},
			[]string{"wpe.weight\" has shape [8 12], expected [9 12]"}},
		{"extra layer", func(c *gpttest.Directory) { c.Add("h.1.ln_1.weight", safetensors.F32, 12) }, gpt.LoadOptions{},
			[]string{"h.1.ln_1.weight\" is not part of a GPT-2 with 1 layers"}},
		{"extra tensor", func(c *gpttest.Directory) { c.Add("h.0.extra", safetensors.F32, 2) }, gpt.LoadOptions{},
			[]string{`tensor "h.0.extra" is not part of a GPT-2`, "another architecture"}},
		{"extra tensor of the body", func(c *gpttest.Directory) { c.Add("transformer.extra.weight", safetensors.F32, 2) }, gpt.LoadOptions{},
			[]string{`tensor "transformer.extra.weight" is not part of a GPT-2`}},
		{"not quite a mask", func(c *gpttest.Directory) { c.Add("transformer.attn.bias", safetensors.F32, 2) }, gpt.LoadOptions{},
			[]string{`attn.bias" is not part`}},
		{"name with control characters", func(c *gpttest.Directory) { c.Add("h.0.\x1b[31m EVIL", safetensors.F32, 2) }, gpt.LoadOptions{},
			[]string{`tensor "h.0.\x1b[31m EVIL" is not part`}},
		{"integers", func(c *gpttest.Directory) { c.Tensor("ln_f.weight").DType = safetensors.I32 }, gpt.LoadOptions{},
			[]string{"ln_f.weight\" has dtype I32, expected one of F32, F16, BF16"}},
		{"doubles", func(c *gpttest.Directory) {
			x := c.Tensor("ln_f.weight")
			x.DType, x.Data = safetensors.F64, make([]byte, 96)
		}, gpt.LoadOptions{}, []string{"ln_f.weight\" has dtype F64"}},
		{"twice", func(c *gpttest.Directory) { c.Add("transformer.wpe.weight", safetensors.F32, 8, 12) }, gpt.LoadOptions{},
			[]string{"both \"transformer.wpe.weight\" and \"wpe.weight\" are there"}},
		{"head of another shape", func(c *gpttest.Directory) {
			c.Config["tie_word_embeddings"] = false
			c.Add("lm_head.weight", safetensors.F32, 12, 11)
		}, gpt.LoadOptions{}, []string{"lm_head.weight\" has shape [12 11], expected [11 12]"}},
		{"too large for f16", func(c *gpttest.Directory) {
			binary.LittleEndian.PutUint32(c.Tensor("h.0.mlp.c_proj.weight").Data[40:], math.Float32bits(-70000))
		}, gpt.LoadOptions{DType: backend.F16}, []string{"h.0.mlp.c_proj.weight", "-70000 does not fit f16", "65504", "use f32"}},
		{"config", func(c *gpttest.Directory) { c.Config["n_layer"] = -3 }, gpt.LoadOptions{}, []string{"n_layer", "-3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := gpttest.Base(t)
			c.change(x)
			dir := x.Write(t)
			_, err := gpt.Load(t.Context(), b, dir, c.o)
			gpttest.WantError(t, err, append(c.parts, "")...)
			if n := b.InUse(); n != 0 {
				t.Errorf("%d buffers were left behind", n)
			}
			if file, openErr := checkpoint.OpenFS(os.DirFS(dir), ""); openErr != nil {
				err = openErr
			} else {
				_, err = gpt.LoadCheckpoint(t.Context(), b, file, c.o)
			}
			gpttest.WantError(t, err, c.parts...)
		})
	}
}

func TestLoadBadDirectory(t *testing.T) {
	b := gpttest.OpenCPU(t)
	write := func(name, text string) func(dir string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666) }
	}
	for _, c := range []struct {
		name   string
		change func(dir string) error // of a directory that is right
		parts  []string
	}{
		{"missing", os.RemoveAll, []string{"no such file", "expected a directory with config.json"}},
		{"a file", func(dir string) error {
			return firstError(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o666))
		}, []string{"the file is empty"}},
		{"empty", func(dir string) error {
			return firstError(os.RemoveAll(dir), os.Mkdir(dir, 0o777))
		}, []string{"the directory is empty", "config.json"}},
		{"no weights", func(dir string) error { return os.Remove(dir + "/model.safetensors") },
			[]string{"no weights", "model.safetensors"}},
		// Permissions do not bind root, who may run this; a loop of links does.
		{"unreadable config", func(dir string) error {
			return firstError(os.Remove(dir+"/config.json"), os.Symlink("config.json", dir+"/config.json"))
		}, []string{"config.json", "too many levels of symbolic links"}},
		{"unreadable weights", func(dir string) error {
			return firstError(os.Remove(dir+"/model.safetensors"), os.Symlink("model.safetensors", dir+"/model.safetensors"))
		}, []string{"model.safetensors", "too many levels of symbolic links"}},
		{"weights are a directory", func(dir string) error {
			return firstError(os.Remove(dir+"/model.safetensors"), os.Mkdir(dir+"/model.safetensors", 0o777))
		}, []string{"model.safetensors", "found a directory"}},
		{"empty weights", write("model.safetensors", ""), []string{"model.safetensors"}},
		{"truncated weights", func(dir string) error { return os.Truncate(dir+"/model.safetensors", 5000) }, []string{"model.safetensors"}},
		{"text for weights", write("model.safetensors", "version https://git-lfs.github.com/spec/v1\n"), []string{"model.safetensors"}},
		{"config is no JSON", write("config.json", "n_layer: 1"), []string{"config.json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := gpttest.Base(t).Write(t)
			if err := c.change(dir); err != nil {
				t.Fatal(err)
			}
			_, err := gpt.Load(t.Context(), b, dir, gpt.LoadOptions{})
			gpttest.WantError(t, err, append(c.parts, dir)...)
		})
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestLoadVariants expects the same scores, bit by bit, however the same
// weights are laid out.
func TestLoadVariants(t *testing.T) {
	b := gpttest.OpenCPU(t)
	want := gpttest.Logits(t, b, gpttest.Base(t).Write(t), gpt.LoadOptions{})
	for name, change := range map[string]func(c *gpttest.Directory){
		"prefixed": func(c *gpttest.Directory) {
			for i := range c.Tensors {
				c.Tensors[i].Name = "transformer." + c.Tensors[i].Name
			}
		},
		"partly prefixed": func(c *gpttest.Directory) { c.Tensor("wte.weight").Name = "transformer.wte.weight" },
		"masks": func(c *gpttest.Directory) {
			c.Add("h.0.attn.bias", safetensors.U8, 1, 1, 8, 8)
			c.Add("h.0.attn.masked_bias", safetensors.F32)
		},
		"tied head": func(c *gpttest.Directory) { // a copy, which is not looked at
			c.Add("lm_head.weight", safetensors.F32, 11, 12)
		},
		"head of its own": func(c *gpttest.Directory) {
			c.Config["tie_word_embeddings"] = false
			c.Add("lm_head.weight", safetensors.F32, 11, 12).Data = c.Tensor("wte.weight").Data
		},
		"head not there": func(c *gpttest.Directory) { c.Config["tie_word_embeddings"] = false },
	} {
		x := gpttest.Base(t)
		change(x)
		if got := gpttest.Logits(t, b, x.Write(t), gpt.LoadOptions{}); !slices.Equal(got, want) {
			t.Errorf("%s: scores %v, expected %v", name, got, want)
		}
	}
}

func TestLoadUntiedHead(t *testing.T) {
	b := gpttest.OpenCPU(t)
	want := gpttest.Logits(t, b, gpttest.Base(t).Write(t), gpt.LoadOptions{})
	c := gpttest.Base(t)
	c.Config["tie_word_embeddings"] = false
	values := gpttest.Decode(c.Tensor("wte.weight").Data)
	for i := range values {
		values[i] *= 2
	}
	c.Add("lm_head.weight", safetensors.F32, 11, 12).Data = gpttest.Encode(safetensors.F32, values)
	for i := range want {
		want[i] *= 2
	}
	if got := gpttest.Logits(t, b, c.Write(t), gpt.LoadOptions{}); !slices.Equal(got, want) {
		t.Errorf("with a head of twice the weights: scores %v, expected %v", got, want)
	}
}

func TestLoadShards(t *testing.T) {
	b := gpttest.OpenCPU(t)
	c := gpttest.Base(t)
	want := gpttest.Logits(t, b, c.Write(t), gpt.LoadOptions{})
	dir := t.TempDir()
	c.WriteConfig(t, dir)
	index := map[string]string{}
	shards := map[string][]safetensors.Tensor{}
	for i, x := range c.Tensors {
		file := fmt.Sprintf("model-0000%d-of-00003.safetensors", 1+i%3)
		index[x.Name] = file
		shards[file] = append(shards[file], x)
	}
	for file, tensors := range shards {
		if err := gpttest.WriteTensors(filepath.Join(dir, file), tensors, nil); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(map[string]any{"metadata": map[string]int{"total_size": 1}, "weight_map": index})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, safetensors.IndexName), text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := gpttest.Logits(t, b, dir, gpt.LoadOptions{}); !slices.Equal(got, want) {
		t.Errorf("from three shards: scores %v, expected %v", got, want)
	}
	if err := os.Remove(filepath.Join(dir, "model-00002-of-00003.safetensors")); err != nil {
		t.Fatal(err)
	}
	_, err = gpt.Load(t.Context(), b, dir, gpt.LoadOptions{})
	gpttest.WantError(t, err, "model-00002-of-00003.safetensors", "shard is missing")
}

// TestLoadMisaligned shifts the weights by each number of bytes: those that
// cannot be computed on where they lie are copied.
func TestLoadMisaligned(t *testing.T) {
	b := gpttest.OpenCPU(t)
	dir := gpttest.Base(t).Write(t)
	want := gpttest.Logits(t, b, dir, gpt.LoadOptions{})
	path := filepath.Join(dir, safetensors.SingleName)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(file)
	for pad := range 4 {
		shifted := binary.LittleEndian.AppendUint64(nil, n+uint64(pad))
		shifted = append(shifted, file[8:8+n]...)
		shifted = append(shifted, strings.Repeat(" ", pad)...)
		shifted = append(shifted, file[8+n:]...)
		if err := os.WriteFile(path, shifted, 0o666); err != nil {
			t.Fatal(err)
		}
		b.Mapped = nil
		if got := gpttest.Logits(t, b, dir, gpt.LoadOptions{}); !slices.Equal(got, want) {
			t.Errorf("shifted by %d bytes: scores %v, expected %v", pad, got, want)
		}
		if mapped := len(b.Mapped) > 0; mapped != (pad == 0) {
			t.Errorf("shifted by %d bytes: computed on the file itself: %v", pad, mapped)
		}
	}
}

// TestLoadDTypes stores weights that all dtypes can tell in each of them.
func TestLoadDTypes(t *testing.T) {
	b := gpttest.OpenCPU(t)
	dirs := map[safetensors.DType]string{}
	for _, d := range []safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16} {
		c := gpttest.Base(t)
		for i := range c.Tensors {
			values := gpttest.Decode(c.Tensors[i].Data)
			for j, v := range values {
				// bf16 has fewer bits than f16, but smaller numbers.
				values[j] = math.Float32frombits(math.Float32bits(v) &^ 0xffff)
				if math.Abs(float64(v)) < 1e-4 {
					values[j] = 0
				}
			}
			c.Tensors[i].Data = gpttest.Encode(safetensors.F32, values)
		}
		c.Store(d)
		dirs[d] = c.Write(t)
	}
	want := gpttest.Logits(t, b, dirs[safetensors.F32], gpt.LoadOptions{})
	for d, dir := range dirs {
		for o, exact := range map[backend.DType]bool{backend.F32: true, backend.None: d == safetensors.F32, backend.F16: false, backend.BF16: false} {
			for name, b := range map[string]backend.Backend{"cpu": b, "device": gpttest.DeviceOf(b)} {
				got := gpttest.Logits(t, b, dir, gpt.LoadOptions{DType: o})
				if exact && name == "cpu" && !slices.Equal(got, want) {
					t.Errorf("%s kept as %v: scores %v, expected %v", d, o, got, want)
				}
				// The sums run in another order, over the same numbers.
				gpttest.CheckNear(t, fmt.Sprintf("%s kept as %v, %s", d, o, name), got, want, 1e-6)
			}
		}
	}
}

// TestLoadKeepsDType sees what the zero LoadOptions keep, and what they convert.
func TestLoadKeepsDType(t *testing.T) {
	b := gpttest.OpenCPU(t)
	for d, want := range map[safetensors.DType]backend.DType{
		safetensors.F32: backend.F32, safetensors.F16: backend.F16, safetensors.BF16: backend.BF16,
	} {
		c := gpttest.Base(t)
		c.Store(d)
		m, err := gpt.Load(t.Context(), b, c.Write(t), gpt.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := gpttest.GPT2(m).Blocks[0].Up.W.DType; got != want {
			t.Errorf("a matrix stored as %s is kept as %v, expected %v", d, got, want)
		}
		if got := gpttest.GPT2(m).Blocks[0].Up.Bias.DType; got != backend.F32 {
			t.Errorf("a bias stored as %s is kept as %v, expected f32", d, got)
		}
		if err := m.Close(); err != nil || b.InUse() != 0 {
			t.Errorf("closing: %v; %d buffers are still in use", err, b.InUse())
		}
	}
}

// TestLoadOnDevice compares each weight of a model on a backend with memory of
// its own with the one that is computed on where it lies, on matrices that are
// converted in several pieces.
func TestLoadOnDevice(t *testing.T) {
	b := gpttest.OpenCPU(t)
	config := model.Config{Family: "gpt2", Layers: 1, Heads: 2, Width: 600, Inner: 2401, Context: 5, Vocab: 1801, Epsilon: 1e-5, TieEmbeddings: true}
	for _, d := range []backend.DType{backend.F32, backend.F16} {
		host, err := gpt.Random(t.Context(), b, config, gpt.LoadOptions{DType: d}, 1)
		if err != nil {
			t.Fatal(err)
		}
		own, err := gpt.Random(t.Context(), gpttest.DeviceOf(b), config, gpt.LoadOptions{DType: d}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range weights(own) {
			if !x.Contiguous() {
				t.Errorf("%v: on a device weight %d is %v with strides %v, expected it contiguous", d, i, x, x.Strides)
			}
			want := weights(host)[i]
			if x.Shape != want.Shape || x.DType != want.DType {
				t.Errorf("%v: weight %d is %v, expected %v", d, i, x, want)
			} else if !slices.Equal(gpttest.Floats(t, b, gpttest.Compact(t, b, x)), gpttest.Floats(t, b, gpttest.Compact(t, b, want))) {
				t.Errorf("%v: weight %d, %v, differs", d, i, x)
			}
		}
		host.Close()
		own.Close()
	}
}

// weights lists some tensors of every kind.
func weights(m *model.Model) []backend.Tensor {
	x := gpttest.GPT2(m).Blocks[0]
	return []backend.Tensor{
		gpttest.GPT2(m).Tokens, gpttest.GPT2(m).Positions, model.Head(m).W, x.QKV.W, x.Out.W, x.Up.W, x.Down.W, x.Norm1.Gamma, x.QKV.Bias, gpttest.GPT2(m).Norm.Beta,
	}
}

// TestLoadWithoutCopy loads a checkpoint of GPT-2's size, 497 MB, which must
// take no memory: the backend computes on the mapped file.
func TestLoadWithoutCopy(t *testing.T) {
	b := gpttest.OpenCPU(t)
	config, err := model.Shape("gpt2")
	if err != nil {
		t.Fatal(err)
	}
	dir := sparse(t, config)
	heap, resident := memoryUse(t)
	m, err := gpt.Load(t.Context(), b, dir, gpt.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	heapAfter, residentAfter := memoryUse(t)
	if b.Allocated != 0 {
		t.Errorf("%d bytes were allocated on the backend", b.Allocated)
	}
	if n := heapAfter - heap; n > 4<<20 {
		t.Errorf("%d bytes were allocated on the heap", n)
	}
	if n := residentAfter - resident; n > 64<<20 {
		t.Errorf("%d bytes more are resident", n)
	}
	mapped := 0
	for _, p := range b.Mapped {
		mapped += p
	}
	if want := 4 * config.Parameters(); mapped != want || want < 497e6 {
		t.Errorf("%d bytes of the file are used in place, expected %d", mapped, want)
	}
	if err := m.Close(); err != nil || b.InUse() != 0 {
		t.Errorf("closing: %v; %d buffers are still in use", err, b.InUse())
	}
}

// sparse writes a checkpoint whose weights are a hole in the file: they read as
// zeros and take no room on the disk.
func sparse(t *testing.T, c model.Config) (dir string) {
	t.Helper()
	type entry struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header := map[string]entry{}
	end := 0
	add := func(name string, shape ...int) {
		n := 4
		for _, d := range shape {
			n *= d
		}
		header[name] = entry{"F32", shape, [2]int{end, end + n}}
		end += n
	}
	add("wte.weight", c.Vocab, c.Width)
	add("wpe.weight", c.Context, c.Width)
	linear := func(name string, in, out int) {
		add(name+".weight", in, out)
		add(name+".bias", out)
	}
	norm := func(name string) {
		add(name+".weight", c.Width)
		add(name+".bias", c.Width)
	}
	for i := range c.Layers {
		h := fmt.Sprintf("h.%d.", i)
		norm(h + "ln_1")
		linear(h+"attn.c_attn", c.Width, 3*c.Width)
		linear(h+"attn.c_proj", c.Width, c.Width)
		norm(h + "ln_2")
		linear(h+"mlp.c_fc", c.Width, c.Inner)
		linear(h+"mlp.c_proj", c.Inner, c.Width)
	}
	norm("ln_f")
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, bytes.Repeat([]byte(" "), -len(text)&7)...)
	dir = t.TempDir()
	path := filepath.Join(dir, safetensors.SingleName)
	if err := os.WriteFile(path, append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(8+len(text)+end)); err != nil {
		t.Fatal(err)
	}
	config := gpttest.Base(t)
	config.Config["n_layer"], config.Config["n_head"], config.Config["n_embd"] = c.Layers, c.Heads, c.Width
	config.Config["n_ctx"], config.Config["n_positions"], config.Config["vocab_size"] = c.Context, c.Context, c.Vocab
	config.WriteConfig(t, dir)
	return dir
}

// memoryUse is how much the heap has ever allocated, and how much memory the
// process holds where the system tells.
func memoryUse(t *testing.T) (heap, resident int) {
	t.Helper()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var size, pages int
	fmt.Sscan(string(text), &size, &pages)
	return int(s.TotalAlloc), pages * os.Getpagesize()
}

func TestOpenFS(t *testing.T) {
	b := gpttest.OpenCPU(t)
	dir := gpttest.Base(t).Write(t)
	want := gpttest.Logits(t, b, dir, gpt.LoadOptions{})
	c, err := checkpoint.OpenFS(os.DirFS(dir), "")
	if err != nil {
		t.Fatal(err)
	}
	m, err := gpt.LoadCheckpoint(t.Context(), b, c, gpt.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got := gpttest.Feed(t, m, 3, 1, 4, 1, 5); !slices.Equal(got, want) {
		t.Errorf("from a file system: scores %v, expected %v", got, want)
	}
	for _, name := range []string{safetensors.SingleName, "config.json"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		_, err = checkpoint.OpenFS(os.DirFS(dir), "")
		gpttest.WantError(t, err, name)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v is not fs.ErrNotExist", err)
		}
	}
}
