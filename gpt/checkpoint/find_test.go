package checkpoint_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"caldera/gpt/checkpoint"
	"caldera/internal/gpttest"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := firstError(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := firstError(os.MkdirAll(filepath.Dir(to), 0o777), os.Rename(from, to)); err != nil {
		t.Fatal(err)
	}
}

// shards splits the weights of a model directory in two.
func shards(t *testing.T, dir, stem string) {
	t.Helper()
	c := gpttest.Base(t)
	first, second := stem+"-00001-of-00002.safetensors", stem+"-00002-of-00002.safetensors"
	index := `{"weight_map": {`
	for i, x := range c.Tensors {
		index += `"` + x.Name + `": "` + map[bool]string{true: first, false: second}[i < 5] + `", `
	}
	writeFile(t, filepath.Join(dir, stem+".safetensors.index.json"), strings.TrimSuffix(index, ", ")+"}}")
	err := firstError(gpttest.WriteTensors(filepath.Join(dir, first), c.Tensors[:5], nil), gpttest.WriteTensors(filepath.Join(dir, second), c.Tensors[5:], nil),
		os.Remove(filepath.Join(dir, "model.safetensors")))
	if err != nil {
		t.Fatal(err)
	}
}

// TestOpenFinds opens models by all that people have of them.
func TestOpenFinds(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string) // of a model directory
		open string                         // within it
		path string                         // that is opened, within it
		name string                         // of the model, if not any
	}{
		"directory":     {func(t *testing.T, dir string) {}, "", "", ""},
		"file":          {func(t *testing.T, dir string) {}, "model.safetensors", "", ""},
		"file by name":  {func(t *testing.T, dir string) { rename(t, dir+"/model.safetensors", dir+"/mine.safetensors") }, "mine.safetensors", "", ""},
		"shards":        {func(t *testing.T, dir string) { shards(t, dir, "model") }, "", "", ""},
		"index":         {func(t *testing.T, dir string) { shards(t, dir, "model") }, "model.safetensors.index.json", "", ""},
		"a shard":       {func(t *testing.T, dir string) { shards(t, dir, "model") }, "model-00002-of-00002.safetensors", "", ""},
		"another shard": {func(t *testing.T, dir string) { shards(t, dir, "mine") }, "mine-00001-of-00002.safetensors", "", ""},
		"a shard beside a whole": {func(t *testing.T, dir string) {
			shards(t, dir, "model")
			writeFile(t, dir+"/model.safetensors", "not this one")
		}, "model-00001-of-00002.safetensors", "", ""},
		"GGUF by its magic": {func(t *testing.T, dir string) { rename(t, oneGGUF(t).write(t), dir+"/sha256-0a1b") }, "sha256-0a1b", "sha256-0a1b", "sha256-0a1b"},
		"one GGUF":          {func(t *testing.T, dir string) { rename(t, oneGGUF(t).write(t), dir+"/x/Mine.GGUF") }, "x", "x/Mine.GGUF", "Mine"},
		"one GGUF beside a config": {func(t *testing.T, dir string) {
			rename(t, oneGGUF(t).write(t), dir+"/mine.gguf")
			os.Remove(dir + "/model.safetensors")
		}, "", "mine.gguf", "mine"},
		"both": {func(t *testing.T, dir string) { rename(t, oneGGUF(t).write(t), dir+"/mine.gguf") }, "", "", ""},
		"best of a run": {func(t *testing.T, dir string) {
			for _, step := range []string{"step-000500", "step-001000"} {
				rename(t, gpttest.Base(t).Write(t), dir+"/run/"+step)
			}
			if err := firstError(os.Symlink("step-000500", dir+"/run/best"), os.Symlink("step-001000", dir+"/run/newest")); err != nil {
				t.Fatal(err)
			}
		}, "run", "run/best", "run"},
		"newest of a run": {func(t *testing.T, dir string) {
			rename(t, gpttest.Base(t).Write(t), dir+"/run/step-000500")
			if err := os.Symlink("step-000500", dir+"/run/newest"); err != nil {
				t.Fatal(err)
			}
		}, "run", "run/newest", "run"},
		"a run without links": {func(t *testing.T, dir string) {
			for _, step := range []string{"step-000500", "step-1000000", "step-999999"} {
				rename(t, gpttest.Base(t).Write(t), dir+"/run/"+step)
			}
			writeFile(t, dir+"/run/log.jsonl", "{}")
		}, "run", "run/step-1000000", "run"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := gpttest.Base(t).Write(t)
			c.make(t, dir)
			x := gpttest.OpenCheckpoint(t, filepath.Join(dir, c.open))
			if want := filepath.Join(dir, c.path); x.Path != want {
				t.Errorf("opened %s, expected %s", x.Path, want)
			}
			if c.name != "" && x.Name != c.name {
				t.Errorf("its name is %q, expected %q", x.Name, c.name)
			}
			if err := x.SaveDir(t.Context(), t.TempDir(), checkpoint.SaveOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOpenExplains expects to be told what a file is, and what to do.
func TestOpenExplains(t *testing.T) {
	const torchZip = "PK\x03\x04\x00\x00\x08\x08\x00\x00\x00\x00\x00\x00archive/data.pkl\x80\x02"
	config := func(t *testing.T) string {
		dir := gpttest.Base(t).Write(t)
		if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	with := func(name, text string) func(t *testing.T) string {
		return func(t *testing.T) string {
			dir := config(t)
			writeFile(t, filepath.Join(dir, name), text)
			return dir
		}
	}
	file := func(name, text string) func(t *testing.T) string {
		return func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), name)
			writeFile(t, path, text)
			return path
		}
	}
	in := func(make func(t *testing.T) string, name string) func(t *testing.T) string {
		return func(t *testing.T) string { return filepath.Join(make(t), name) }
	}
	for name, c := range map[string]struct {
		path  func(t *testing.T) string
		parts []string
	}{
		"pytorch_model.bin alone":  {with("pytorch_model.bin", torchZip), []string{`found "pytorch_model.bin"`, "PyTorch", "python3 -c", "from_pretrained(d)", "save_pretrained"}},
		"cut off":                  {with("pytorch_model.bin", "PK\x03\x04"), []string{"PyTorch", "save_pretrained"}},
		"its index alone":          {with("pytorch_model.bin.index.json", "{}"), []string{"PyTorch"}},
		"tf_model.h5 alone":        {with("tf_model.h5", "\x89HDF\r\n\x1a\n"), []string{"Keras or TensorFlow", "from_tf=True"}},
		"flax_model.msgpack alone": {with("flax_model.msgpack", "\x82\xabtransformer"), []string{"Flax", "from_flax=True"}},
		"ONNX alone":               {with("model.onnx", "\x08\x07"), []string{"ONNX"}},
		"NumPy alone":              {with("weights.npz", "PK\x03\x04\x00\x00wte.npy"), []string{"NumPy"}},
		"a pointer for .bin":       {with("pytorch_model.bin", "version https://git-lfs.github.com/spec/v1\n"), []string{"git lfs pull"}},
		"training_args.bin alone":  {with("training_args.bin", torchZip), []string{"no weights: expected model.safetensors"}},
		"an adapter":               {with("adapter_config.json", "{}"), []string{"adapter (LoRA)", "beside it"}},
		"an adapter's weights":     {file("adapter_model.safetensors", "\x02\x00\x00\x00\x00\x00\x00\x00{}"), []string{"adapter_model.safetensors: this is an adapter (LoRA)", "beside it"}},
		"another name":             {with("mine.safetensors", "x"), []string{"no weights under the names that are known", `"mine.safetensors"`}},
		"a checkpoint of nanoGPT":  {file("ckpt.pt", torchZip), []string{"ckpt.pt: this is a file of PyTorch", "safetensors.torch.save_file"}},
		"an old one":               {file("model.pth", "\x80\x02\x8a\nl\xfc\x9cF"), []string{"PyTorch"}},
		"pickle in a .gguf":        {file("x.gguf", "\x80\x02\x8a\nl\xfc\x9cF"), []string{"x.gguf: this is a file of PyTorch"}},
		"a web page":               {file("x.gguf", "\n<!DOCTYPE html>\n<html class=\"\">"), []string{"x.gguf: this is a web page (HTML)", "/resolve/"}},
		"a pointer":                {file("x.gguf", "version https://git-lfs.github.com/spec/v1\noid"), []string{"x.gguf: this is a Git LFS pointer", "git lfs pull"}},
		"zeros":                    {file("x.gguf", strings.Repeat("\x00", 1000)), []string{"begins with zeros", "download it again"}},
		"empty":                    {file("x.gguf", ""), []string{"the file is empty"}},
		"cut off in the magic":     {file("x.gguf", "GG"), []string{"x.gguf", "file too short; it may be truncated"}},
		"a file before GGUF":       {file("ggml-model.bin", "lmgg\x00\x00"), []string{"had before GGUF"}},
		"compressed":               {file("x.gguf.gz", "\x1f\x8b\x08"), []string{"compressed"}},
		"text":                     {file("notes.txt", "GPT-2 is"), []string{`begins with "GPT-2 is"`, "expected a directory"}},
		"an error of Hugging Face": {file("x.gguf", "Entry not found\n"), []string{`found a text, "Entry not found\n"`, "download it again"}},
		"an error in JSON":         {file("model.safetensors", `{"error":"Repository not found"}`), []string{`{\"error\":`, "download it again"}},
		"a pointer for the index":  {in(with("model.safetensors.index.json", "version https://git-lfs.github.com/spec/v1\n"), "model.safetensors.index.json"), []string{"git lfs pull"}},
		"something else":           {file("x.dat", "\x1b[31m..."), []string{`begins with "\x1b[31m..."`, "or a GGUF file"}},
		"config.json itself":       {in(config, "config.json"), []string{"this is no file of weights: give the directory"}},
		"no config":                {file("model.safetensors", "\x02\x00\x00\x00\x00\x00\x00\x00{}"), []string{"config.json is missing", "download it"}},
		"no index":                 {in(with("model-00001-of-00002.safetensors", "\x02\x00\x00\x00\x00\x00\x00\x00{}"), "model-00001-of-00002.safetensors"), []string{"one of several shards", "model.safetensors.index.json is missing"}},
		"weights cut off":          {in(with("model.safetensors", "\x02\x00\x00"), "model.safetensors"), []string{"file too short"}},
		"a page for weights":       {with("model.safetensors", "<!doctype html><html><head><meta charset=utf-8>"), []string{"model.safetensors: this is a web page"}},
		"a pointer for weights":    {with("model.safetensors", "version https://git-lfs.github.com/spec/v1\n"), []string{"model.safetensors: this is a Git LFS pointer"}},
		"pickle for weights":       {with("model.safetensors", torchZip), []string{"model.safetensors: this is a file of PyTorch"}},
		"a page for config.json": {func(t *testing.T) string {
			dir := gpttest.Base(t).Write(t)
			writeFile(t, dir+"/config.json", "<html>")
			return dir
		}, []string{"config.json: this is a web page"}},
		"several GGUF files": {func(t *testing.T) string {
			dir := t.TempDir()
			writeFile(t, dir+"/a.gguf", "")
			writeFile(t, dir+"/b.gguf", "")
			return dir
		}, []string{"several GGUF files", "a.gguf\"", "b.gguf\"", "-m"}},
		"a part of a split GGUF": {func(t *testing.T) string {
			dir := t.TempDir()
			writeFile(t, dir+"/a-00002-of-00002.gguf", "GGUF")
			return dir
		}, []string{"a-00002-of-00002.gguf: file too short"}},
		"a cache of Hugging Face": {func(t *testing.T) string {
			dir := t.TempDir()
			writeFile(t, dir+"/snapshots/1/x", "")
			writeFile(t, dir+"/refs/main", "")
			return dir
		}, []string{"Hugging Face's cache", "snapshots"}},
		"something else in directory": {func(t *testing.T) string { dir := t.TempDir(); writeFile(t, dir+"/a\x1bb", ""); return dir }, []string{`no model is in the directory: found "a\x1bb"`}},
		"a device":                    {func(t *testing.T) string { return os.DevNull }, []string{"neither a directory nor a regular file"}},
	} {
		t.Run(name, func(t *testing.T) {
			c2, err := checkpoint.Open(c.path(t))
			if err == nil {
				c2.Close()
			}
			gpttest.WantError(t, err, c.parts...)
		})
	}
}

// TestOpenMissing names models as other programs do.
func TestOpenMissing(t *testing.T) {
	t.Chdir(t.TempDir())
	for path, part := range map[string]string{
		"gpt2":                         "hf download gpt2 --local-dir gpt2, and give the directory",
		"openai-community/gpt2":        "hf download openai-community/gpt2 --local-dir gpt2, and give",
		"https://huggingface.co/a/b.c": "this is an address, expected a directory or a file on this machine: download it, with hf download a/b.c --local-dir b.c",
		"huggingface.co/a/b/tree/main": "hf download a/b --local-dir b",
		"hf://a/b":                     "hf download a/b --local-dir b",
		"https://huggingface.co/gpt2/resolve/main/model.safetensors": "hf download gpt2 --local-dir gpt2, and",
		"file:///models/gpt2":            "expected a directory or a file on this machine: give the path, /models/gpt2",
		"https://example.com/x.gguf":     "this is an address, expected a directory or a file on this machine",
		"llama3:8b":                      "ollama show --modelfile llama3:8b",
		"hf.co/a/b":                      "hf download a/b",
		"~/models/gpt2":                  "write $HOME",
		"models/deep/gpt2":               "expected a directory with config.json and model.safetensors, or a GGUF file",
		"gpt2.gguf":                      "expected a directory with config.json and model.safetensors, or a GGUF file",
		"./gpt2":                         "expected a directory with config.json and model.safetensors, or a GGUF file",
		filepath.Join("x", "y", "\x1bz"): "expected a directory",
	} {
		_, err := checkpoint.Open(path)
		gpttest.WantError(t, err, "model "+path+": no such file or directory: ", part)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v is not fs.ErrNotExist", err)
		}
	}
	if err := os.Symlink("/none/there", "link"); err != nil {
		t.Fatal(err)
	}
	_, err := checkpoint.Open("link")
	gpttest.WantError(t, err, `model link: no such file or directory: the link leads to "/none/there", which is not there`)
	writeFile(t, "file", "x")
	_, err = checkpoint.Open("file/gpt2")
	gpttest.WantError(t, err, "model file/gpt2: cannot read it: not a directory")
}
