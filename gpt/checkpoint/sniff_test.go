package checkpoint

import (
	"os"
	"path/filepath"
	"testing"

	"caldera/gpt/model"
)

func TestShellQuote(t *testing.T) {
	for s, want := range map[string]string{"": "''", "a/b-c_1.2": "a/b-c_1.2", "my models": "'my models'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "~": "'~'"} {
		if got := shellQuote(s); got != want {
			t.Errorf("%q became %s, expected %s", s, got, want)
		}
	}
}

// FuzzOpenCheckpoint opens files of any bytes, by any name, alone and beside a
// config.json. No call may panic, and what opens is a shape that can be computed
// with.
func FuzzOpenCheckpoint(f *testing.F) {
	names := []string{"model.safetensors", "x.gguf", "model-00001-of-00002.safetensors", "model.safetensors.index.json", "blob", "pytorch_model.bin",
		"config.json", "a-00001-of-00002.gguf"}
	config, err := os.ReadFile("../testdata/gpt2-one/config.json")
	if err != nil {
		f.Fatal(err)
	}
	for i, text := range []string{"", "GG", "GGUF\x03\x00\x00\x00", "\x02\x00\x00\x00\x00\x00\x00\x00{}", "<html>", "PK\x03\x04data.pkl", "\x80\x02",
		`{"weight_map": {"a": "model-00001-of-00002.safetensors"}}`, "version https://git-lfs", "\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		f.Add(uint8(i), []byte(text))
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		name := names[int(which)%len(names)]
		for _, beside := range []bool{false, true} {
			dir := t.TempDir()
			if beside {
				if err := os.WriteFile(filepath.Join(dir, configName), config, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, data, 0o666); err != nil {
				t.Fatal(err)
			}
			for _, open := range []string{path, dir} {
				c, err := Open(open)
				if err != nil {
					continue
				}
				if err := c.Config.Validate(); err != nil {
					t.Errorf("%s: a shape was read that is none: %v", name, err)
				}
				c.match(nil, model.Placement{})
				c.Notes()
				c.DType()
				c.Close()
			}
		}
	})
}
