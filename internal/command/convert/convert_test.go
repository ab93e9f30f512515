package convert_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/internal/commandtest"
	"caldera/internal/gpttest"
	"caldera/models"
)

// TestFormats writes each format and has generate read it.
func TestFormats(t *testing.T) {
	dir := t.TempDir()
	sizes := map[string]int64{}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"f32.gguf", []string{"--dtype=f32"}}, {"f16.gguf", []string{"--dtype=f16", "--to=gguf"}}, {"stored.gguf", nil},
		{"q8_0.gguf", []string{"--dtype", "q8_0"}}, {"f32", []string{"--to=safetensors", "--dtype=f32"}}, {"stored", nil}, {"named.GGUF", nil},
		{"bf16.gguf", []string{"--dtype=bf16"}}, {"bf16", []string{"--dtype=bf16"}},
		{"ggml-model.bin", []string{"--to=gguf"}}, {"v1.0", []string{"--to=auto"}},
		{"again.gguf", []string{"-m", filepath.Join(dir, "stored"), "--dtype=q8_0"}},
		{"back", []string{"-m", filepath.Join(dir, "f16.gguf"), "--to=safetensors"}},
	} {
		path := filepath.Join(dir, c.name)
		convert(t, append(c.args, "-o", path)...)
		if got := text(t, path); got != austen {
			t.Errorf("%s: generate says %q, expected %q", c.name, got, austen)
		}
		if info, err := os.Stat(path); err == nil {
			sizes[c.name] = info.Size()
		}
	}
	// It is nearly all weights: of 32, 16 and 8.5 bits.
	for name, bits := range map[string]float64{"f32.gguf": 32, "f16.gguf": 16, "stored.gguf": 16, "bf16.gguf": 16, "q8_0.gguf": 8.5, "again.gguf": 8.5} {
		if ratio := float64(sizes[name]) * 8 / (3111936 * bits); ratio < 0.99 || ratio > 1.1 {
			t.Errorf("%s has %d bytes, %.2f of what its weights take", name, sizes[name], ratio)
		}
	}
	// Four bits are too few for the same words, but it writes on, and smaller.
	path := filepath.Join(dir, "q4_0.gguf")
	convert(t, "--dtype=q4_0", "-o", path)
	if got := text(t, path); !strings.HasPrefix(got, prompt+". I am sure you") {
		t.Errorf("q4_0: %q", got)
	}
	// What generate keeps them as is another matter than how they are stored.
	if got := text(t, filepath.Join(dir, "q8_0.gguf"), "--dtype=f32"); got != austen {
		t.Errorf("q8_0 as f32: %q", got)
	}
}

// TestWithoutTokenizer converts a model of ids alone.
func TestWithoutTokenizer(t *testing.T) {
	const source = "../../../gpt/testdata/gpt2-tiny"
	dir := t.TempDir()
	path, back := filepath.Join(dir, "tiny.gguf"), filepath.Join(dir, "back")
	convert(t, "-m", source, "-o", path)
	convert(t, "-m", path, "--to=safetensors", "-o", back)
	var want string
	for _, model := range []string{source, path, back} {
		r := run(t, exec.Command(generateBinary, "--backend=cpu", "-m", model, "--tokens=5,17,3", "--temp=0", "-n", "8"))
		if want == "" {
			want = r.Out
		}
		if r.Code != 0 || r.Out != want || len(want) < 16 {
			t.Errorf("%s: exit code %d, ids %q, expected %q\n%s", model, r.Code, r.Out, want, r.Stderr)
		}
	}
	if entries, _ := os.ReadDir(back); len(entries) != 2 {
		t.Errorf("the directory holds %v, expected config.json and model.safetensors", entries)
	}
}

// wantFailure expects an exit code, and one line on standard error.
func wantFailure(t *testing.T, r result, code int, parts ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(r.Stderr, "\n"), "\n")
	if r.Code != code || r.Out != "" || len(lines) != 1 || !strings.HasPrefix(lines[0], "convert: ") {
		t.Errorf("exit code %d, output %q, standard error %q, expected %d and one line", r.Code, r.Out, r.Stderr, code)
	}
	for _, part := range parts {
		if !strings.Contains(r.Stderr, part) {
			t.Errorf("%q lacks %q", r.Stderr, part)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		args  []string
		parts []string
	}{
		{nil, []string{"--output", "--help"}},
		{[]string{"-o", ""}, []string{"--output is empty"}},
		{[]string{"-o", out, "--nope"}, []string{"unknown flag --nope"}},
		{[]string{"-o", out, "more"}, []string{`unexpected argument "more"`}},
		{[]string{"-o", out, "--to=onnx"}, []string{"--to", `"onnx"`, `"gguf"`, `"safetensors"`}},
		{[]string{"-o", out, "--dtype=q5_0"}, []string{"--dtype", `"q5_0"`, `"q8_0"`}},
		{[]string{"-o", out, "--dtype=q8_0", "--to=safetensors"}, []string{"--dtype=q8_0", "safetensors holds no blocks", "--to=gguf"}},
		{[]string{"-o", out, "--dtype=q4_0", "--to=safetensors"}, []string{"--dtype=q4_0"}},
		{[]string{"-o", out, "--dtype=q4_0"}, []string{"--dtype=q4_0", "safetensors holds no blocks", ".gguf"}},
		{[]string{"-o", out + ".gguf", "--to=safetensors"}, []string{"--to=safetensors", "the name is that of a GGUF file"}},
		{[]string{"-o", out + ".safetensors"}, []string{"a directory is written", "such as " + out}},
		{[]string{"-o", out + ".safetensors", "--to=gguf"}, []string{"a directory is written"}},
		{[]string{"-o", "pytorch_model.bin"}, []string{"no .bin files are written", ".gguf", "--to"}},
		{[]string{"-o", "caf\xe9"}, []string{"is not valid UTF-8"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			wantFailure(t, run(t, exec.Command(convertBinary, c.args...)), 2, c.parts...)
		})
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written")
	}
}

// TestFailures gives it what cannot be read, or written.
func TestFailures(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.gguf")
	convert(t, "-o", good)
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer := append([]byte(nil), whole...)
	newer[4] = 4
	reversed := append([]byte(nil), whole...)
	copy(reversed[4:], "\x00\x00\x00\x03")
	damaged := append([]byte(nil), whole...)
	copy(damaged[8:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	weights, err := os.ReadFile("../../../models/austen/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.gguf")
	for _, c := range []struct {
		name  string
		args  []string
		parts []string
	}{
		{"missing", []string{"-m", "/nonexistent"}, []string{"/nonexistent", "no such file"}},
		{"missing file", []string{"-m", "/nonexistent.gguf"}, []string{"/nonexistent.gguf", "no such file"}},
		{"empty directory", []string{"-m", t.TempDir()}, []string{"config.json"}},
		{"another file", []string{"-m", file("weights.txt", []byte("text"))}, []string{"weights.txt", `begins with "text"`, "or a GGUF file"}},
		{"a name of Hugging Face's", []string{"-m", "openai-community/gpt2"}, []string{"openai-community/gpt2 is not in the cache", "HF_HUB_OFFLINE"}},
		{"pickle", []string{"-m", file("pytorch_model.bin", []byte("\x80\x02"))}, []string{"PyTorch", "save_pretrained"}},
		{"empty", []string{"-m", file("empty.gguf", nil)}, []string{"empty.gguf", "the file is empty"}},
		{"truncated in the head", []string{"-m", file("head.gguf", whole[:1000])}, []string{"head.gguf", "truncated"}},
		{"truncated in the data", []string{"-m", file("data.gguf", whole[:len(whole)-1000])}, []string{"data.gguf", "truncated"}},
		{"foreign", []string{"-m", file("foreign.gguf", weights)}, []string{"foreign.gguf", "config.json is missing"}},
		{"control characters", []string{"-m", dir + "/\x1b[31m"}, []string{`/\x1b[31m: no such file`}},
		{"Git LFS", []string{"-m", file("lfs.gguf", []byte("version https://git-lfs.github.com/spec/v1\n"))}, []string{"git lfs pull"}},
		{"newer", []string{"-m", file("newer.gguf", newer)}, []string{"newer.gguf", "newer format", "found version 4, expected 2 or 3"}},
		{"big-endian", []string{"-m", file("reversed.gguf", reversed)}, []string{"reversed.gguf", "big-endian"}},
		{"damaged", []string{"-m", file("damaged.gguf", damaged)}, []string{"damaged.gguf", "18446744073709551615"}},
		{"no directory", []string{"-o", filepath.Join(dir, "none", "out.gguf")}, []string{"cannot write " + dir, "no such file or directory", "make the directory " + dir}},
		{"no directory to make one in", []string{"--to=safetensors", "-o", filepath.Join(dir, "none", "out")}, []string{"no such file or directory"}},
		{"a file for a directory", []string{"-o", good + "/x"}, []string{"cannot write " + good + "/x: not a directory"}},
		{"file there", []string{"-o", good}, []string{good, "is there already", "--force"}},
		{"directory there", []string{"--to=gguf", "-o", dir}, []string{dir, "is no regular file"}},
		{"directory there, forced", []string{"--to=gguf", "-o", dir, "--force"}, []string{dir, "is no regular file"}},
		{"device there, forced", []string{"--to=gguf", "-o", "/dev/null", "--force"}, []string{"/dev/null", "is no regular file"}},
		{"directory full", []string{"--to=safetensors", "-o", dir}, []string{dir, "is there already", "--force"}},
		{"file where a directory goes", []string{"-o", file("plain", nil), "--force"}, []string{"plain", "is no directory"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := c.args
			if args[0] == "-m" {
				args = append(args, "-o", out)
			}
			wantFailure(t, run(t, exec.Command(convertBinary, args...)), 1, c.parts...)
		})
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written")
	}
	if got, err := os.ReadFile(good); err != nil || string(got) != string(whole) {
		t.Error("a file that was there has changed")
	}
}

// TestForce replaces what is there, the very file that it reads included.
func TestForce(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "model.gguf"), filepath.Join(dir, "model")
	convert(t, "--dtype=f32", "-o", path)
	convert(t, "-m", path, "--dtype=q8_0", "-o", path, "--force")
	if info, err := os.Stat(path); err != nil || info.Size() > 4e6 || text(t, path) != austen {
		t.Errorf("%v (%v)", info, err)
	}
	convert(t, "--to=safetensors", "--dtype=f32", "-o", other)
	convert(t, "-m", other, "--to=safetensors", "--dtype=f16", "-o", other, "--force")
	if info, err := os.Stat(filepath.Join(other, "model.safetensors")); err != nil || info.Size() > 7e6 || text(t, other) != austen {
		t.Errorf("%v (%v)", info, err)
	}
	empty := t.TempDir()
	convert(t, "--to=safetensors", "-o", empty) // there is nothing to lose
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("%v was left behind", entries)
	}
}

// TestForceStale replaces a model with a tokenizer of other files, which must not
// be read with the new one's.
func TestForceStale(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model")
	for name, text := range map[string]string{
		"config.json": "{}", "added_tokens.json": `{"[SEP]": 260}`, "tokenizer.json": "{}", "special_tokens_map.json": "{}", "generation_config.json": "{}",
		"tokenizer_config.json":        `{"added_tokens_decoder": {"260": {"content": "[SEP]"}}, "tokenizer_class": "GPT2Tokenizer"}`,
		"model.safetensors.index.json": "{}", "model-00001-of-00002.safetensors": "x", "pytorch_model.bin": "x", "README.md": "mine",
	} {
		if err := errors.Join(os.MkdirAll(dir, 0o777), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	convert(t, "-o", dir, "--force")
	if got := text(t, dir); got != austen {
		t.Errorf("generate says %q, expected %q", got, austen)
	}
	fresh := filepath.Join(t.TempDir(), "model")
	convert(t, "-o", fresh)
	if err := os.WriteFile(filepath.Join(fresh, "README.md"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadDir(dir)
	want, _ := os.ReadDir(fresh)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the directory holds %v, expected %v", got, want)
	}
}

// TestForceKilled kills it at any moment of replacing a model: there is a whole
// one, the old or the new, and the next conversion leaves nothing of the other.
func TestForceKilled(t *testing.T) {
	const tiny = "../../../gpt/testdata/gpt2-tiny" // without a tokenizer
	fresh := filepath.Join(t.TempDir(), "fresh")
	convert(t, "-o", fresh)
	want, _ := os.ReadDir(fresh)
	dir := filepath.Join(t.TempDir(), "model")
	convert(t, "-m", tiny, "-o", dir)
	for i := range 24 {
		cmd := exec.Command(convertBinary, "--dtype=f32", "-o", dir, "--force")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(5*i) * time.Millisecond)
		cmd.Process.Kill()
		killed := cmd.Wait() != nil
		c, err := checkpoint.Open(dir)
		if err != nil {
			t.Fatalf("killed after %d ms: %v", 5*i, err)
		}
		_, tokenizerErr := c.Tokenizer()
		if small := c.Config.Layers == 3; small && !killed || (tokenizerErr != nil) != small {
			t.Errorf("after %d ms (killed: %v) it has %d layers, and of the tokenizer: %v", 5*i, killed, c.Config.Layers, tokenizerErr)
		}
		if err := c.SaveDir(t.Context(), filepath.Join(t.TempDir(), "copy"), checkpoint.SaveOptions{}); err != nil { // reads all
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		convert(t, "-m", tiny, "-o", dir, "--force")
	}
	convert(t, "-o", dir, "--force")
	if got, _ := os.ReadDir(dir); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the directory holds %v, expected %v", got, want)
	}
}

// TestNotes expects standard error to tell, once, what is left out.
func TestNotes(t *testing.T) {
	const source = "../../../models/austen"
	f, err := safetensors.OpenDir(source)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensors := []safetensors.Tensor{{Name: "v_head.\x1b[31m", DType: safetensors.F32, Shape: []int{1}, Data: make([]byte, 4)}}
	for _, name := range f.Tensors() {
		x, _ := f.Tensor(name)
		tensors = append(tensors, x)
	}
	dir := t.TempDir()
	if err := errors.Join(os.CopyFS(dir, os.DirFS(source)), os.Remove(filepath.Join(dir, "model.safetensors")),
		gpttest.WriteTensors(filepath.Join(dir, "model.safetensors"), tensors, nil)); err != nil {
		t.Fatal(err)
	}
	const warning = `warning: the checkpoint has more than a GPT-2 language model; tensors left out: "v_head.\x1b[31m"` + "\n"
	r := run(t, exec.Command(convertBinary, "-m", dir, "-o", filepath.Join(t.TempDir(), "x.gguf")))
	if line, ok := strings.CutPrefix(r.Stderr, warning); r.Code != 0 || !ok || !wrote.MatchString(line) {
		t.Errorf("convert: exit code %d, standard error %q", r.Code, r.Stderr)
	}
	r = run(t, exec.Command(generateBinary, "--backend=cpu", "-m", dir, "--temp=0", "-n", "23", prompt))
	if r.Code != 0 || strings.TrimSuffix(r.Out, "\n") != austen || strings.Count(r.Stderr, warning) != 1 {
		t.Errorf("generate: exit code %d, output %q, standard error %q", r.Code, r.Out, r.Stderr)
	}
}

// TestDiskFull writes to a disk that is smaller than the model.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	script := `mount -t tmpfs -o size=2m tmpfs "$2" && echo old >"$2/old.gguf" &&
		{ "$1" --force -o "$2/old.gguf"; "$1" --to safetensors -o "$2/new"; ls -A "$2"; cat "$2/old.gguf"; }`
	r := run(t, commandtest.SmallDisk(t, script, convertBinary, dir))
	if r.Out != "old.gguf\nold\n" {
		t.Errorf("what is there then: %q, expected the old file alone", r.Out)
	}
	lines := strings.Split(strings.TrimSuffix(r.Stderr, "\n"), "\n")
	for _, line := range lines {
		if !strings.HasPrefix(line, "convert: ") || !strings.HasSuffix(line, "no space left on device") {
			t.Errorf("standard error has %q", line)
		}
	}
	if len(lines) != 2 {
		t.Errorf("standard error has %q, expected a line for each", lines)
	}
}

// TestInterrupt stops it in the middle of a large model.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	source := large(t)
	out := filepath.Join(dir, "out.gguf")
	for {
		ctx, interrupt := context.WithCancel(t.Context())
		cmd := exec.CommandContext(ctx, convertBinary, "-m", source, "--dtype=q4_0", "--force", "-o", out)
		cmd.Cancel = func() error {
			cmd.Process.Signal(os.Interrupt)
			return os.ErrProcessDone // the signal may come too late
		}
		go func() {
			for ctx.Err() == nil { // until it has begun to write
				if entries, _ := os.ReadDir(dir); len(entries) > 0 {
					interrupt()
				}
				time.Sleep(time.Millisecond)
			}
		}()
		r := run(t, cmd)
		interrupt()
		if r.Code == 0 { // the signal came too late
			os.Remove(out)
			continue
		}
		wantFailure(t, r, 130, "interrupted")
		break
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%v was left behind", entries)
	}
}

func TestHelp(t *testing.T) {
	r := run(t, exec.Command(convertBinary, "--help"))
	for _, part := range []string{"-m, --model", "--to", "--dtype", "-o, --output", "--force", "gguf", "safetensors", "q8_0", "q4_0", models.Name} {
		if !strings.Contains(r.Out, part) {
			t.Errorf("--help lacks %s", part)
		}
	}
	for _, line := range strings.Split(r.Out, "\n") {
		if len(line) > 120 || strings.Contains(line, "${") {
			t.Errorf("line %q", line)
		}
	}
}
