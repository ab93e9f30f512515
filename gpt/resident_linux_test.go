package gpt_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"caldera/backend"
	"caldera/backend/cpu"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
)

// The model that a child of TestLong loads, and the dtype.
const residentModel, residentDType = "CALDERA_TEST_RESIDENT_MODEL", "CALDERA_TEST_RESIDENT_DTYPE"

// residentContext is the positions that a child's session has.
const residentContext = 256

// TestResidentChild is a process of TestLong's: it generates from a file and prints the most memory that was resident.
func TestResidentChild(t *testing.T) {
	file := os.Getenv(residentModel)
	if file == "" {
		t.Skip("for TestLong")
	}
	o := gpt.LoadOptions{}
	if s := os.Getenv(residentDType); s != "" {
		d, err := backend.ParseDType(s, backend.Weights)
		if err != nil {
			t.Fatal(err)
		}
		o.DType = d
	}
	back, err := cpu.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	m, err := gpt.Load(context.Background(), back, file, o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := gpt.NewSession(m, gpt.SessionOptions{Context: residentContext})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for id := range 8 {
		if _, err := s.Feed(context.Background(), id); err != nil {
			t.Fatal(err)
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s\n", status)
}

// TestLong holds the memory of processes that generate from files of 500 MB and more, as `make test-long` does: at most a tenth
// more than the file, beyond keys and values.
func TestLong(t *testing.T) {
	if os.Getenv("CALDERA_LONG") == "" {
		t.Skip("CALDERA_LONG is not set")
	}
	for _, test := range []struct {
		dtype  backend.DType
		layers int
		loaded []string // dtypes to load it in; empty: as it is
	}{
		{backend.F32, 9, []string{"", "f16"}},
		{backend.F16, 21, []string{"", "q8_0", "q4_0"}},
		{backend.Q8_0, 40, []string{""}},
		{backend.Q4_0, 77, []string{""}},
	} {
		config := model.Config{Family: "llama", Layers: test.layers, Heads: 16, KVHeads: 4, Width: 1024, Inner: 2816, Context: 2048, Vocab: 32000, TieEmbeddings: true,
			Settings: &model.DecoderSettings{Activation: backend.SiLU, Rope: model.Rope{Theta: 10000}}}
		c, err := checkpoint.Random(config, 1)
		if err != nil {
			t.Fatal(err)
		}
		options := checkpoint.SaveOptions{DType: test.dtype, Warn: func(string) {}}
		for _, format := range []string{"gguf", "safetensors"} {
			if format == "safetensors" && test.dtype.Quantized() {
				continue // holds none
			}
			path := filepath.Join(t.TempDir(), "model."+format)
			weights := path
			if format == "gguf" {
				err = c.SaveGGUF(t.Context(), path, options)
			} else {
				err, weights = c.SaveDir(t.Context(), path, options), filepath.Join(path, "model.safetensors")
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, loaded := range test.loaded {
				resident(t, fmt.Sprintf("%s of %v, loaded as %q", format, test.dtype, loaded), path, weights, loaded, config)
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// resident holds one process, which loads a model whose weights are in a file.
func resident(t *testing.T, name, path, weights, loaded string, c model.Config) {
	info, err := os.Stat(weights)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() < 500e6 {
		t.Fatalf("%s has %d bytes, expected 500 MB", name, info.Size())
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestResidentChild$")
	cmd.Env = append(os.Environ(), residentModel+"="+path, residentDType+"="+loaded)
	out, err := cmd.CombinedOutput()
	field := func(name string) int64 {
		m := regexp.MustCompile(name + `:\s*(\d+) kB`).FindSubmatch(out)
		if err != nil || m == nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		n, _ := strconv.ParseInt(string(m[1]), 10, 64)
		return n << 10
	}
	peak, now := field("VmHWM"), field("VmRSS")
	cache := int64(c.Layers * residentContext * 2 * c.KVHeads * c.Width / c.Heads * 4) // f32 at most
	t.Logf("%s: file %d MB, resident at most %d MB (%.2f times the file), %d MB at the end, cache %d MB",
		name, info.Size()>>20, peak>>20, float64(peak)/float64(info.Size()), now>>20, cache>>20)
	if most := info.Size()*11/10 + cache; peak > most {
		t.Errorf("%s: %d MB were resident, expected at most %d", name, peak>>20, most>>20)
	}
}
