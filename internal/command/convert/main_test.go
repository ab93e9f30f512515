package convert_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"caldera/gpt/tokenizer"
	"caldera/internal/commandtest"
)

// convertBinary is the command, and generateBinary that which reads what it writes.
// They are built once for all tests, which run them as a user does.
var convertBinary, generateBinary string

func TestMain(m *testing.M) {
	os.Exit(commandtest.Main(m, func(folder string) error {
		convertBinary, generateBinary = filepath.Join(folder, "convert"), filepath.Join(folder, "generate")
		return errors.Join(commandtest.Build(convertBinary, "caldera/cmd/convert"), commandtest.Build(generateBinary, "caldera/cmd/generate"))
	}))
}

type result = commandtest.Result

func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	return commandtest.Run(t, cmd)
}

// wrote is the one line that tells of a success.
var wrote = regexp.MustCompile(`^wrote [^\n]+: (GGUF|safetensors), (f32|f16|bf16|q8_0|q6_k|q5_k_m|q4_0|q4_k_m|mxfp4), [0-9.]+ MiB\n$`)

// convert runs the command and expects it to succeed, and to say what it wrote.
// A warning may come before it, of gpt-oss.
func convert(t *testing.T, args ...string) {
	t.Helper()
	r := run(t, exec.Command(convertBinary, args...))
	if r.Code != 0 || r.Out != "" || !wrote.MatchString(truncates.ReplaceAllString(r.Stderr, "")) {
		t.Fatalf("%q: exit code %d, output %q, standard error %q, expected 0 and what was written", args, r.Code, r.Out, r.Stderr)
	}
}

var truncates = regexp.MustCompile(`(?m)^convert: warning: rope_scaling\.truncate is false.*\n`)

const prompt = "It is a truth universally acknowledged"

// austen is how the embedded model goes on, taking the likeliest token each time.
const austen = prompt + ". I am sure you will be very much obliged to you, and I am sure you will be very much obliged"

// text is what generate makes of a model.
func text(t *testing.T, path string, args ...string) string {
	t.Helper()
	r := run(t, exec.Command(generateBinary, append([]string{"--backend=cpu", "-m", path, "--temp=0", "-n", "23"}, append(args, prompt)...)...))
	if r.Code != 0 {
		t.Fatalf("generate -m %s: exit code %d: %s", path, r.Code, r.Stderr)
	}
	return strings.TrimSuffix(r.Out, "\n")
}

// withTokenizer copies a model directory and adds a tokenizer of n tokens: one a
// byte, and some that no text has.
func withTokenizer(t *testing.T, dir string, n int) string {
	t.Helper()
	v := tokenizer.Vocabulary{}
	for _, r := range byteNames() {
		v.Tokens = append(v.Tokens, string(r))
	}
	for len(v.Tokens) < n-1 {
		v.Tokens = append(v.Tokens, fmt.Sprintf("t%d", len(v.Tokens)))
	}
	v.Tokens = append(v.Tokens, "<|endoftext|>")
	v.Merges = [][2]string{}
	v.Added = map[int]bool{n - 1: true}
	files, err := v.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.json", "model.safetensors"} {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	out := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(out, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// byteNames are the characters by which GPT-2's vocabulary names the 256 bytes.
func byteNames() (names []rune) {
	next := rune(256)
	for b := range rune(256) {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			names = append(names, b)
		} else {
			names = append(names, next)
			next++
		}
	}
	return names
}

// large writes a model of GPT-2's size whose weights are a hole in the file: they
// read as zeros and take no room on the disk.
func large(t *testing.T) (dir string) {
	t.Helper()
	const layers, width, vocab, context = 12, 768, 50257, 1024
	type entry struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header, end := map[string]entry{}, 0
	add := func(name string, shape ...int) {
		n := 4
		for _, d := range shape {
			n *= d
		}
		header[name] = entry{"F32", shape, [2]int{end, end + n}}
		end += n
	}
	linear := func(name string, in, out int) {
		add(name+".weight", in, out)
		add(name+".bias", out)
	}
	norm := func(name string) {
		add(name+".weight", width)
		add(name+".bias", width)
	}
	add("wte.weight", vocab, width)
	add("wpe.weight", context, width)
	for i := range layers {
		h := fmt.Sprintf("h.%d.", i)
		norm(h + "ln_1")
		linear(h+"attn.c_attn", width, 3*width)
		linear(h+"attn.c_proj", width, width)
		norm(h + "ln_2")
		linear(h+"mlp.c_fc", width, 4*width)
		linear(h+"mlp.c_proj", 4*width, width)
	}
	norm("ln_f")
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	path := filepath.Join(dir, "model.safetensors")
	config := fmt.Sprintf(`{"model_type": "gpt2", "n_layer": %d, "n_head": 12, "n_embd": %d, "vocab_size": %d, "n_positions": %d}`, layers, width, vocab, context)
	err = errors.Join(
		os.WriteFile(path, append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), 0o666),
		os.Truncate(path, int64(8+len(text)+end)),
		os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o666))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
