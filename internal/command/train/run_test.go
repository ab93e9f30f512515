package train_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/safetensors"
)

// small is a run of a second: a model of 5,000 weights.
var small = []string{"--backend=cpu", "--data=" + sample, "--n_layer=1", "--n_head=2", "--n_embd=16", "--block_size=16", "--batch_size=4",
	"--max_iters=6", "--eval_interval=3", "--eval_iters=2", "--log_interval=1", "--sample_tokens=5"}

// smallRun is a small run with output in dir, some of its flags replaced.
func smallRun(dir string, args ...string) *exec.Cmd {
	all := append(slices.Clone(small), "--out_dir="+dir)
	for _, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		all = slices.DeleteFunc(all, func(old string) bool { return strings.HasPrefix(old, name+"=") })
	}
	return exec.Command(trainBinary, append(all, args...)...)
}

// succeeds runs cmd, which must.
func succeeds(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	r := run(t, cmd)
	if r.Code != 0 {
		t.Fatalf("%v: exit code %d, %s", cmd.Args[1:], r.Code, r.Stderr)
	}
	return r
}

// fails expects an exit code and, as the last line of standard error, why.
func fails(t *testing.T, cmd *exec.Cmd, code int, parts ...string) result {
	t.Helper()
	r := run(t, cmd)
	lines := strings.Split(strings.TrimSuffix(r.Stderr, "\n"), "\n")
	last := lines[len(lines)-1]
	if r.Code != code || !strings.HasPrefix(last, "train: ") {
		t.Errorf("%v: exit code %d, %s; expected %d", cmd.Args[1:], r.Code, r.Stderr, code)
	}
	for _, part := range parts {
		if !strings.Contains(last, part) {
			t.Errorf("%v: %q lacks %q", cmd.Args[1:], last, part)
		}
	}
	return r
}

// weights are the bytes of weights and of AdamW's means.
func weights(t *testing.T, dir string) []byte {
	t.Helper()
	return []byte(read(t, filepath.Join(dir, "newest", "model.safetensors")) + read(t, filepath.Join(dir, "newest", "optimizer.safetensors")))
}

// entry is a line of log.jsonl.
type entry struct {
	Step    int     `json:"step"`
	Loss    float64 `json:"loss"`
	LR      float64 `json:"lr"`
	Tokens  int     `json:"tokens"`
	ValLoss float64 `json:"val_loss"`
}

func entries(t *testing.T, dir string) (all []entry) {
	t.Helper()
	for line := range strings.Lines(read(t, filepath.Join(dir, "log.jsonl"))) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

const checkpointFiles = "config.json generation_config.json merges.txt model.safetensors optimizer.safetensors train.json vocab.json"

// TestTrain learns from a text until it foretells it better than at first, and
// has the commands read what it wrote.
func TestTrain(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	prose := write(t, filepath.Join(parent, "prose.txt"), read(t, sample)[:15000])
	r := succeeds(t, smallRun(dir, "--data="+prose, "--max_iters=60", "--eval_interval=20", "--learning-rate=0.01", "--log_interval=7", "--prompt=The ", "--eval_iters=30"))
	if got := names(t, dir); got != "best log.jsonl loss.svg newest step-000060" {
		t.Errorf("it writes %s", got)
	}
	if got := names(t, filepath.Join(dir, "best")); got != checkpointFiles {
		t.Errorf("a checkpoint has %s", got)
	}
	if strings.Count(r.Out, "The ") != 3 { // a sample at each evaluation but the first
		t.Errorf("samples %q", r.Out)
	}
	for _, part := range []string{"data: 13,500 tokens to learn from, 1,500 to validate with, a vocabulary of ", "model: 1 layers, 2 heads, width 16, context 16, vocabulary ",
		"training: 60 steps of 64 tokens: 0.3 times the data", "for the steps that are left", "step 0: validation loss 4.", "step 21: loss ", " tokens/s",
		"step 60: saved as " + dir + "/best", "write text with: generate -m " + dir + "/best", "validation: 30 random batches"} {
		if !strings.Contains(r.Stderr, part) {
			t.Errorf("standard error lacks %q:\n%s", part, r.Stderr)
		}
	}
	log := entries(t, dir)
	first, last := log[0], log[len(log)-1]
	if len(log) != 4+8+1 || first.Step != 0 || last.Step != 60 || first.ValLoss-last.ValLoss < 1 || log[len(log)-2].Tokens != 60*64 {
		t.Errorf("the log has %d lines, from %+v to %+v", len(log), first, last)
	}
	if !strings.Contains(read(t, filepath.Join(dir, "loss.svg")), "validation") {
		t.Error("loss.svg has no validation loss")
	}
	g := succeeds(t, exec.Command(generateBinary, "--backend=cpu", "-m", filepath.Join(dir, "best"), "-n", "5", "--temp=0", "The "))
	if !strings.HasPrefix(g.Out, "The ") || len(g.Out) < 7 {
		t.Errorf("generate writes %q of it", g.Out)
	}
	// The loss of what was saved is that which was measured.
	e := succeeds(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+dir, "--eval_only"))
	if loss, err := strconv.ParseFloat(strings.TrimSpace(e.Out), 64); err != nil || math.Abs(loss-last.ValLoss) > 1e-4 {
		t.Errorf("--eval_only prints %q, expected %.4f", e.Out, last.ValLoss)
	}
}

// TestSources has the same text come in as many ways.
func TestSources(t *testing.T) {
	dir := t.TempDir()
	text := read(t, sample)
	vocabulary := filepath.Join(dir, "vocabulary")
	train(t, text, "--vocab-size=300", "-o", vocabulary)
	ids, err := load(t, vocabulary).Encode(text)
	if err != nil {
		t.Fatal(err)
	}
	var bin []byte
	for _, id := range ids {
		bin = append(bin, byte(id), byte(id>>8))
	}
	cut := 2 * (len(ids) - int(float64(len(ids))*0.1))
	header := make([]byte, 1024)
	copy(header, []byte{0x88, 0xd8, 0x34, 0x01, 1, 0, 0, 0, byte(len(ids)), byte(len(ids) >> 8), 0, 0})
	write(t, filepath.Join(dir, "texts", "deep", "a.txt"), text)
	write(t, filepath.Join(dir, "nano", "train.bin"), string(bin[:cut]))
	write(t, filepath.Join(dir, "nano", "val.bin"), string(bin[cut:]))
	raw := write(t, filepath.Join(dir, "raw.bin"), string(bin))
	llmc := write(t, filepath.Join(dir, "llmc.bin"), string(header)+string(bin))
	var want []byte
	for i, args := range [][]string{
		{"--tokenizer=" + vocabulary},
		{"--data=-", "--tokenizer=" + filepath.Join(vocabulary, "tokenizer.json")},
		{"--data=" + filepath.Join(dir, "texts"), "--vocab_size=300"},
		{"--data=" + filepath.Join(dir, "nano"), "--tokenizer=" + vocabulary},
		{"--data=" + raw, "--tokenizer=" + vocabulary},
		{"--data=" + llmc, "--tokenizer=" + vocabulary},
		{"--data=" + filepath.Join(dir, "nano", "train.bin"), "--val=" + filepath.Join(dir, "nano", "val.bin"), "--tokenizer=" + vocabulary},
		{"--data=" + raw, "--vocab_size=300"}, // without a tokenizer
	} {
		out := filepath.Join(dir, "out"+strconv.Itoa(i))
		cmd := smallRun(out, args...)
		cmd.Stdin = strings.NewReader(text)
		r := succeeds(t, cmd)
		got := weights(t, out)
		if i == 0 {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%v: other weights", args)
		}
		if bare := i == 7; bare != (r.Out == "") || bare != strings.Contains(r.Stderr, "token ids without a tokenizer") {
			t.Errorf("%v: samples %q, %s", args, r.Out, r.Stderr)
		}
	}
	// A vocabulary as large as the ids need.
	r := succeeds(t, smallRun(filepath.Join(dir, "least"), "--data="+raw))
	if want := "vocabulary " + strconv.Itoa(slices.Max(ids)+1) + ":"; !strings.Contains(r.Stderr, want) {
		t.Errorf("expected a %s:\n%s", want, r.Stderr)
	}
}

// TestTokenizerChoice makes a tokenizer of characters of a small text that has
// few, and byte pairs of another.
func TestTokenizerChoice(t *testing.T) {
	dir := t.TempDir()
	var many strings.Builder
	r := rand.New(rand.NewPCG(1, 2))
	for range 9000 {
		many.WriteRune(rune(0x4e00 + r.IntN(700)))
		many.WriteString(" "[:r.IntN(2)])
	}
	few := write(t, filepath.Join(dir, "few.txt"), strings.Repeat("ab c\n", 100))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--data=" + few}, "a vocabulary of 6\n"}, // a b c, space, line break, <|endoftext|>
		{[]string{"--data=" + few, "--vocab_size=258"}, "a vocabulary of 258\n"},
		{[]string{"--data=" + write(t, filepath.Join(dir, "many.txt"), many.String())}, "a vocabulary of 1,850\n"},
		{[]string{"--data=" + write(t, filepath.Join(dir, "other.txt"), many.String()), "--char"}, "a vocabulary of "},
	} {
		r := succeeds(t, smallRun(filepath.Join(dir, "out"), append(c.args, "--force", "--max_iters=1")...))
		if !strings.Contains(r.Stderr, c.want) {
			t.Errorf("%v: expected %q in\n%s", c.args, c.want, r.Stderr)
		}
	}
}

// TestFineTune begins with checkpoints of every kind that generate reads.
func TestFineTune(t *testing.T) {
	dir := t.TempDir()
	novel := write(t, filepath.Join(dir, "novel.txt"), strings.Repeat("It is a truth universally acknowledged, that a single man must be in want of a wife. ", 20))
	losses := map[string]float64{}
	for _, dtype := range []string{"f32", "f16", "q8_0", "q4_0"} {
		from := filepath.Join(dir, dtype+".gguf")
		succeeds(t, exec.Command(convertBinary, "--dtype="+dtype, "-o", from))
		if dtype == "f16" {
			from = "../../../models/austen"
		}
		out := filepath.Join(dir, dtype)
		r := succeeds(t, exec.Command(trainBinary, "--backend=cpu", "--init="+from, "--data="+novel, "--out_dir="+out, "--max_iters=1", "--batch_size=1", "--block_size=32", "--sample_interval=0"))
		if !strings.Contains(r.Stderr, "model: 6 layers, 6 heads, width 192, context 256, vocabulary 2,048: 3,111,936 weights") {
			t.Errorf("%s: %s", dtype, r.Stderr)
		}
		losses[dtype] = entries(t, out)[0].ValLoss
		f, err := safetensors.OpenDir(filepath.Join(out, "newest"))
		if err != nil {
			t.Fatal(err)
		}
		if x, _ := f.Tensor("h.0.mlp.c_fc.weight"); x.DType != safetensors.F32 {
			t.Errorf("%s: weights are %s", dtype, x.DType)
		}
		f.Close()
	}
	// The model knows the sentence, also where it was quantised.
	if f := losses["f16"]; f > 4 || math.Abs(losses["f32"]-f) > 1e-3 || math.Abs(losses["q8_0"]-f) > 0.05 || math.Abs(losses["q4_0"]-f) > 0.5 {
		t.Errorf("losses before training %v", losses)
	}
	c, err := checkpoint.Open(filepath.Join(dir, "q4_0", "best"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Config.Context != 256 || !slices.Equal(c.Config.EOS, []int{2047}) {
		t.Errorf("shape %+v", c.Config)
	}
	for want, args := range map[string][]string{
		"--n_embd=128: the checkpoint has 192": {"--n_embd=128"}, "--n_layer=5: the checkpoint has 6": {"--n_layer=5"}, "--vocab_size=99: the checkpoint has 2048": {"--vocab_size=99"},
		"--block_size=257: the checkpoint has a context of 256": {"--block_size=257"}, "--char is for --init=scratch": {"--char"},
		"is not the checkpoint's, of 2048": {"--tokenizer=" + func() string { train(t, "some text", "-o", dir+"/tok"); return dir + "/tok" }()},
	} {
		fails(t, exec.Command(trainBinary, append([]string{"--backend=cpu", "--init=../../../models/austen", "--data=" + novel, "--out_dir=" + dir + "/new"}, args...)...), 2, want)
	}
	if _, err := os.Stat(dir + "/new"); err == nil {
		t.Error("a directory was made for nothing")
	}
}

// TestNanoGPTNames takes every option by the name that nanoGPT has for it.
func TestNanoGPTNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	succeeds(t, smallRun(dir,
		"--out_dir="+dir, "--eval_interval=3", "--log_interval=1", "--eval_iters=2", "--always_save_checkpoint", "--init_from=scratch",
		"--gradient_accumulation_steps=2", "--batch_size=2", "--block_size=8", "--n_layer=1", "--n_head=2", "--n_embd=8", "--dropout=0.1",
		"--learning_rate=1e-3", "--max_iters=4", "--weight_decay=0.1", "--beta1=0.9", "--beta2=0.95", "--grad_clip=1", "--decay_lr",
		"--warmup_iters=1", "--lr_decay_iters=4", "--min_lr=1e-4", "--device=0"))
	var s struct {
		Options struct {
			Beta2 float64 `json:"beta2"`
		} `json:"options"`
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "newest", "train.json"))), &s); err != nil || s.Options.Beta2 != 0.95 {
		t.Errorf("--beta2=0.95 was taken as %v, %v", s.Options.Beta2, err)
	}
}

// TestNothingBetter has a run whose loss never falls: there is no best
// checkpoint, and what it says to go on with is there.
func TestNothingBetter(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r := succeeds(t, smallRun(out, "--learning_rate=100", "--warmup_iters=0"))
	_, said, ok := strings.Cut(r.Stderr, "write text with: generate -m ")
	said = strings.TrimSpace(said)
	if !ok || said != filepath.Join(out, "newest") {
		t.Fatalf("it says %s", r.Stderr)
	}
	succeeds(t, exec.Command(generateBinary, "--backend=cpu", "-m", said, "-n", "1", "The"))
}

// TestSamples draws other text at each step, although nothing is learned, and
// the same again in a run with the same seed.
func TestSamples(t *testing.T) {
	dir := t.TempDir()
	samples := func(out string, args ...string) []string {
		r := succeeds(t, smallRun(filepath.Join(dir, out), append(args, "--learning_rate=0", "--min_lr=0", "--sample_interval=2", "--sample_tokens=12", "--prompt=\x0aThe\x0a")...))
		all := strings.Split(r.Out, "\nThe\n")[1:]
		if len(all) != 3 {
			t.Fatalf("samples %q", r.Out)
		}
		return all
	}
	first := samples("first")
	if first[0] == first[1] || first[1] == first[2] || first[0] == first[2] {
		t.Errorf("two samples are the same: %q", first)
	}
	if again := samples("again"); !slices.Equal(again, first) {
		t.Errorf("with the same seed samples are %q, they were %q", again, first)
	}
	// Of one model, another seed draws other text.
	out := filepath.Join(dir, "first")
	of := func(seed string) []string { return samples("tuned"+seed, "--init="+out+"/newest", "--seed="+seed) }
	if a, b := of("1"), of("2"); a[0] == b[0] {
		t.Errorf("with another seed samples are the same: %q", a)
	}
}
