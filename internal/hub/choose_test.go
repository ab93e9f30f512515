package hub

import (
	"path"
	"slices"
	"strings"
	"testing"
)

func named(names ...string) (files []File) {
	for _, name := range names {
		files = append(files, File{Path: name, Size: 1000})
	}
	return files
}

func TestChoose(t *testing.T) {
	hf := []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "README.md", "onnx/model.onnx", "model.fp16.safetensors", "original/config.json"}
	gguf := []string{"README.md", "m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m.BF16.gguf", "m-UD-Q4_K_XL.gguf", "mmproj-F16.gguf", "big/m-Q8_0-00001-of-00002.gguf", "big/m-Q8_0-00002-of-00002.gguf"}
	for _, c := range []struct {
		files []string
		part  string
		want  []string
		open  string
	}{
		{append(hf, "model.safetensors"), "", []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "model.safetensors"}, ""},
		{append(hf, "model.safetensors", "x.gguf"), "", []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "model.safetensors"}, ""},
		{append(hf, "model.safetensors"), "model.fp16.safetensors", []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "model.fp16.safetensors"}, "model.fp16.safetensors"},
		{append(hf, "model.safetensors.index.json"), "", []string{"config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "model.safetensors.index.json"}, ""},
		{[]string{"README.md", "only.gguf", "mmproj-F16.gguf"}, "", []string{"only.gguf"}, "only.gguf"},
		{gguf, "q4_k_m", []string{"m-Q4_K_M.gguf"}, "m-Q4_K_M.gguf"},
		{gguf, "BF16", []string{"m.BF16.gguf"}, "m.BF16.gguf"},
		{gguf, "UD-Q4_K_XL", []string{"m-UD-Q4_K_XL.gguf"}, "m-UD-Q4_K_XL.gguf"},
		{gguf, "Q8_0", []string{"big/m-Q8_0-00001-of-00002.gguf", "big/m-Q8_0-00002-of-00002.gguf"}, "big/m-Q8_0-00001-of-00002.gguf"},
		{gguf, "big/m-Q8_0-00002-of-00002.gguf", []string{"big/m-Q8_0-00001-of-00002.gguf", "big/m-Q8_0-00002-of-00002.gguf"}, "big/m-Q8_0-00001-of-00002.gguf"},
		{gguf, "mmproj-F16.gguf", []string{"mmproj-F16.gguf"}, "mmproj-F16.gguf"},
	} {
		got, err := choose(named(c.files...), Name{Repo: "o/m", Part: c.part})
		var names []string
		for _, f := range got.files {
			names = append(names, f.Path)
		}
		if err != nil || !slices.Equal(names, c.want) && !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(c.want))) || got.open != c.open {
			t.Errorf("%q of %q: %q, opened is %q, %v; expected %q and %q", c.part, c.files, names, got.open, err, c.want, c.open)
		}
		if strings.HasSuffix(path.Base(c.open), "index.json") != (got.index != "") && c.files[len(c.files)-1] != indexName {
			t.Errorf("%q: the index is %q", c.part, got.index)
		}
	}
	for _, c := range []struct {
		files []string
		part  string
		parts []string
	}{
		{gguf, "", []string{"several GGUF files", "o/m:Q4_K_M (1.0 kB)", "o/m:BF16", "o/m:UD-Q4_K_XL", "o/m:Q8_0 (2.0 kB)"}},
		{gguf, "Q5_K_M", []string{`"Q5_K_M"`, "o/m:Q4_K_M (1.0 kB)"}},
		{gguf, "K_M", []string{`"K_M"`}},
		{append(gguf, "n-Q4_K_M.gguf"), "Q4_K_M", []string{"several", "o/m:m-Q4_K_M.gguf", "o/m:n-Q4_K_M.gguf"}},
		{gguf[:7], "Q8_0", []string{"in 2 parts, of which 1"}},
		{[]string{"pytorch_model.bin", "config.json"}, "", []string{"no model that can be read", "pytorch_model.bin"}},
		{nil, "", []string{"no files"}},
		{hf, "README.md", []string{"no file of weights"}},
		{hf, "x.gguf", []string{`no file "x.gguf"`}},
	} {
		_, err := choose(named(c.files...), Name{Repo: "o/m", Part: c.part})
		if err == nil {
			t.Errorf("%q of %q: no error", c.part, c.files)
			continue
		}
		for _, part := range c.parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q of %q: %v, expected %q in it", c.part, c.files, err, part)
			}
		}
	}
}

// FuzzListing reads any answer of a server: what is chosen of it lies within the cache.
func FuzzListing(f *testing.F) {
	f.Add([]byte(`{"sha":"0123456789abcdef0123456789abcdef01234567","siblings":[{"rfilename":"m-Q4_0.gguf","size":3,"blobId":"0123456789abcdef0123456789abcdef01234567"}]}`), "Q4_0")
	f.Add([]byte(`{"sha":"0123456789abcdef0123456789abcdef01234567","siblings":[{"rfilename":"../m.gguf","lfs":{"sha256":"..","size":-1}}]}`), "")
	f.Fuzz(func(t *testing.T, text []byte, part string) {
		l, err := parseListing(text)
		if err != nil {
			return
		}
		c, err := choose(l.files, Name{Repo: "o/m", Part: part})
		if err != nil {
			return
		}
		for _, file := range c.files {
			if !slices.Contains(l.files, file) || strings.HasPrefix(path.Join("snapshots/x", file.Path), "..") || !strings.HasPrefix(path.Join("snapshots/x", file.Path), "snapshots/x/") || strings.ContainsAny(file.Sum, "/.") {
				t.Errorf("%+v", file)
			}
		}
	})
}
