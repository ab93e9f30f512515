package train_test

import (
	"bytes"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"caldera/gpt/checkpoint/safetensors"
	"caldera/internal/gpttest"
)

// dataLine is what a run says of its data.
func dataLine(t *testing.T, r result) string {
	t.Helper()
	for line := range strings.Lines(r.Stderr) {
		if strings.HasPrefix(line, "data: ") {
			return line
		}
	}
	t.Fatalf("it says nothing of its data: %s", r.Stderr)
	return ""
}

// TestOwnOutput trains in the directory of its texts, and below it: what was
// written there is not learned from.
func TestOwnOutput(t *testing.T) {
	dir := t.TempDir()
	letters := filepath.Join(dir, "letters")
	write(t, filepath.Join(letters, "a.txt"), read(t, sample)[:9000])
	train(t, "some words", "-o", filepath.Join(letters, "vocabulary"))
	if err := os.Symlink("letters", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	// The samples go where texts are looked for.
	samples, err := os.Create(filepath.Join(letters, "samples.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer samples.Close()
	want := ""
	for i, c := range []struct{ data, out, flag, steps string }{
		{letters + "/", letters, "--seed=1", "3"},
		{letters + "/", letters, "--force", "3"},
		{letters + "/", letters, "--init=resume", "6"},
		{letters, filepath.Join(letters, "deep", "out"), "--seed=1", "3"},
		{filepath.Join(dir, "link"), filepath.Join(letters, "deep", "out"), "--init=resume", "6"},
		{filepath.Join(letters, "a.txt"), filepath.Join(dir, "link"), "--force", "3"},
	} {
		cmd := smallRun(c.out, "--data="+c.data, c.flag, "--vocab_size=300", "--max_iters="+c.steps)
		cmd.Stdout = samples
		r := succeeds(t, cmd)
		got := dataLine(t, r)
		if i == 0 {
			want = got
		}
		if got != want {
			t.Errorf("run %d: %sexpected %s", i, got, want)
		}
		if i == 1 && !strings.Contains(r.Stderr, "warning: left out: "+letters+"/step-000003: it is a checkpoint, which is no text to learn from\n") {
			t.Errorf("run %d: it says %s", i, r.Stderr)
		}
	}
	if got := names(t, letters); got != "a.txt best deep log.jsonl loss.svg newest samples.txt step-000003 vocabulary" {
		t.Errorf("in the end there is %s", got)
	}
	fails(t, smallRun(filepath.Join(dir, "x"), "--data="+filepath.Join(letters, "newest", "merges.txt")), 1, "merges.txt: it is a file of a tokenizer")
	out := filepath.Join(dir, "tokenizer")
	if r := run(t, command("", "-o", out, letters)); r.Code != 0 || !strings.Contains(r.Stderr, "step-000003: it is a checkpoint") {
		t.Errorf("train tokenizer: exit code %d, %s", r.Code, r.Stderr)
	}
}

// TestBadFiles has a directory with files that are no texts.
func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	texts := filepath.Join(dir, "texts")
	text := read(t, sample)
	write(t, filepath.Join(texts, "good.txt"), text)
	out, alone := filepath.Join(dir, "out"), filepath.Join(dir, "alone")
	train(t, "", "-o", alone, "--vocab-size=300", texts)
	want := dataLine(t, succeeds(t, smallRun(out, "--data="+texts, "--vocab_size=300")))
	write(t, filepath.Join(texts, "deep", "empty.txt"), "")
	write(t, filepath.Join(texts, "latin1.txt"), text+"caf\xe9")
	write(t, filepath.Join(texts, "binary.txt"), "\x7fELF\x02\x01\x01\x00\x00")
	if err := os.Symlink("gone", filepath.Join(texts, "dangling.txt")); err != nil {
		t.Fatal(err)
	}
	warnings := []string{"deep/empty.txt: it is empty", "latin1.txt: byte 27525 is 0xe9, expected UTF-8", "binary.txt: byte 7 is 0x00", "dangling.txt: it is a link to nothing"}
	check := func(r result) {
		t.Helper()
		for _, w := range warnings {
			if !strings.Contains(r.Stderr, "warning: left out: "+texts+"/"+w) {
				t.Errorf("it does not say %q: %s", w, r.Stderr)
			}
		}
	}
	r := succeeds(t, smallRun(out, "--data="+texts, "--vocab_size=300", "--force"))
	check(r)
	if got := dataLine(t, r); got != want {
		t.Errorf("%sexpected %s", got, want)
	}
	tok := filepath.Join(dir, "tokenizer")
	check(run(t, command("", "-o", tok, "--vocab-size=300", texts)))
	if read(t, filepath.Join(tok, "merges.txt")) != read(t, filepath.Join(alone, "merges.txt")) {
		t.Error("another tokenizer is made of the good text")
	}
	if err := os.Remove(filepath.Join(texts, "good.txt")); err != nil {
		t.Fatal(err)
	}
	fails(t, smallRun(filepath.Join(dir, "none"), "--data="+texts), 1, "; 3 others are no texts either")
	wantFailure(t, run(t, command("", "-o", filepath.Join(dir, "none"), texts)), 1, "; 3 others are no texts either")
}

// TestPipes has texts and ids come through named pipes.
func TestPipes(t *testing.T) {
	mkfifo, err := exec.LookPath("mkfifo")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	text := read(t, sample)
	pipe := func(name, text string) string {
		path := filepath.Join(dir, name)
		if out, err := exec.Command(mkfifo, path).CombinedOutput(); err != nil {
			t.Skipf("%v: %s", err, out)
		}
		if text != "" {
			go os.WriteFile(path, []byte(text), 0) // which waits for a reader
		}
		return path
	}
	out := filepath.Join(dir, "out")
	succeeds(t, smallRun(out, "--vocab_size=300"))
	want := weights(t, out)
	piped := filepath.Join(dir, "piped")
	r := succeeds(t, smallRun(piped, "--vocab_size=300", "--data="+pipe("text", text)))
	if !bytes.Equal(weights(t, piped), want) {
		t.Errorf("of a pipe it comes to other weights: %s", r.Stderr)
	}
	fails(t, exec.Command(trainBinary, "--backend=cpu", "--init=resume", "--out_dir="+piped, "--max_iters=7"), 2, "from standard input or a pipe: give it again with --data=-")
	succeeds(t, smallRun(piped, "--init=resume", "--max_iters=7", "--data="+pipe("again", text)))

	train(t, "", "-o", filepath.Join(dir, "tok1"), "--vocab-size=300", sample)
	train(t, "", "-o", filepath.Join(dir, "tok2"), "--vocab-size=300", pipe("words", text))
	if read(t, filepath.Join(dir, "tok1", "merges.txt")) != read(t, filepath.Join(dir, "tok2", "merges.txt")) {
		t.Error("of a pipe another tokenizer is made")
	}
	ids := strings.Repeat("\x01\x00\x05\x00\x02\x00", 300)
	bin := write(t, filepath.Join(dir, "ids.bin"), ids)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	succeeds(t, smallRun(a, "--data="+bin))
	succeeds(t, smallRun(b, "--data="+pipe("pipe.bin", ids)))
	if !bytes.Equal(weights(t, a), weights(t, b)) {
		t.Error("of ids of a pipe it comes to other weights")
	}

	silent, none := pipe("silent", ""), filepath.Join(dir, "none")
	for _, cmd := range []*exec.Cmd{smallRun(none, "--data="+silent), command("", "-o", none, silent)} {
		s := start(t, cmd)
		// Opening it for writing returns when the command has it open.
		opened := make(chan *os.File, 1)
		go func() {
			w, _ := os.OpenFile(silent, os.O_WRONLY, 0)
			opened <- w
		}()
		select {
		case w := <-opened:
			defer w.Close()
			io.WriteString(w, "some words")
		case <-s.ended:
			t.Fatalf("%v: %s", cmd.Args, s.stderr.String())
		}
		s.Process.Signal(syscall.SIGINT)
		<-s.ended
		if code := s.ProcessState.ExitCode(); code != 130 || !strings.HasSuffix(s.stderr.String(), "train: interrupted\n") {
			t.Errorf("%v: exit code %d, %s", cmd.Args, code, s.stderr.String())
		}
	}
}

// TestBadWeights begins with checkpoints that have numbers which are none.
func TestBadWeights(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "model")
	succeeds(t, smallRun(from))
	f, err := safetensors.OpenDir(filepath.Join(from, "newest"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	change := func(file, tensor string, bits uint32) {
		t.Helper()
		f, err := safetensors.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var all []safetensors.Tensor
		for _, name := range f.Tensors() {
			x, _ := f.Tensor(name)
			x.Data = bytes.Clone(x.Data)
			if name == tensor {
				copy(x.Data[4:], []byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)})
			}
			all = append(all, x)
		}
		if err := gpttest.WriteTensors(file, all, f.Metadata()); err != nil {
			t.Fatal(err)
		}
	}
	newest := filepath.Join(from, "newest")
	resume := []string{"--init=resume", "--max_iters=7"}
	change(filepath.Join(newest, "optimizer.safetensors"), "exp_avg.h.0.mlp.c_fc.weight", math.Float32bits(float32(math.Inf(-1))))
	fails(t, smallRun(from, resume...), 1, "optimizer.safetensors: tensor exp_avg.h.0.mlp.c_fc.weight: element [0 1] is -Inf")
	change(filepath.Join(newest, "model.safetensors"), "h.0.attn.c_attn.weight", math.Float32bits(float32(math.NaN())))
	const why = "model.safetensors: tensor \"h.0.attn.c_attn.weight\": element [0 1] is NaN"
	fails(t, smallRun(from, resume...), 1, why)
	fails(t, smallRun(filepath.Join(dir, "out"), "--init="+newest), 1, why)
	fails(t, smallRun(filepath.Join(dir, "out"), "--init="+newest, "--eval_only"), 1, why)
	half := filepath.Join(dir, "half.gguf")
	succeeds(t, exec.Command(convertBinary, "-m", newest, "--dtype=f16", "-o", half))
	fails(t, smallRun(filepath.Join(dir, "out"), "--init="+half), 1, "half.gguf: tensor \"blk.0.attn_qkv.weight\": element ", " is NaN")
	if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
		t.Error("a directory was made for nothing")
	}
}

// TestEmptyPaths gives flags that may be given several times a name that is
// empty, as a variable that is not set does.
func TestEmptyPaths(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{{"--data="}, {"--data=" + sample, "--data="}, {"--val="}, {"--val=" + sample, "--val="}, {"--out_dir="}, {"--init="}, {"--tokenizer="}} {
		fails(t, smallRun(out, args...), 2, strings.ReplaceAll(strings.TrimSuffix(args[len(args)-1], "="), "_", "-")+" is empty: expected ")
	}
	wantFailure(t, run(t, command("", "-o", out, sample, "")), 2, " is empty: expected ")
	wantFailure(t, run(t, command("", "-o", "", sample)), 2, " is empty: expected ")
	if _, err := os.Stat(out); err == nil {
		t.Error("a directory was made for nothing")
	}
}

// TestEndOfDocuments learns what the tokenizer puts behind a text, also when the
// run goes on with the tokenizer that it has saved.
func TestEndOfDocuments(t *testing.T) {
	dir := t.TempDir()
	tok, out := filepath.Join(dir, "tokenizer"), filepath.Join(dir, "out")
	train(t, read(t, sample), "-o", tok, "--vocab-size=300")
	plain := dataLine(t, succeeds(t, smallRun(out, "--tokenizer="+tok)))
	write(t, filepath.Join(tok, "tokenizer_config.json"), `{"tokenizer_class": "GPT2Tokenizer", "add_eos_token": true, "eos_token": "<|endoftext|>"}`)
	const told = "tokenizer: each text begins with no token of its own and ends with \"<|endoftext|>\"\n"
	r := succeeds(t, smallRun(out, "--tokenizer="+tok, "--force", "--max_iters=3"))
	ended := dataLine(t, r)
	if strings.Count(r.Stderr, told) != 1 || ended == plain {
		t.Errorf("it says %s", r.Stderr)
	}
	r = succeeds(t, smallRun(out, "--init=resume"))
	if got := dataLine(t, r); strings.Count(r.Stderr, told) != 1 || got != ended {
		t.Errorf("on resume it says %s", r.Stderr)
	}
}
