package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"caldera/internal/cli"
)

// The test binary is the command itself where this is set.
const asCommand = "CALDERA_TEST_RUN_BENCH"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(cli.Main(Command()))
	}
	if mode := os.Getenv(asPython); mode != "" {
		fakePython(mode)
	}
	os.Exit(m.Run())
}

// command runs bench as a user would.
func command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return commandIn(t, "", args...)
}

// commandIn runs it in a directory.
func commandIn(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	program, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Args[0] = "bench" // as which it tells of itself
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asCommand+"=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestBadFlags(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		args string
		code int
		want string // part of the one line on standard error
	}{
		{"-r 0", 2, "-r 0: expected 1"},
		{"-r x", 2, "-r"},
		{"-p 0 -n 0", 2, "nothing to measure"},
		{"-p 512", 2, "-p 512: expected 0 to 256 tokens"},
		{"--prompt=8,-1", 2, "-p -1"},
		{"--shape=gpt5", 2, `found "gpt5", expected one of gemma-2-2b, gemma-3-1b`},
		{"--shape=gpt2 -p 2000", 2, "expected 0 to 1024 tokens"},
		{"--dtype=q9", 2, "expected one of f32, f16, bf16, q8_0, q6_k, q5_1, q5_0, q5_k, q5_k_m, "},
		{"--dtype=q9", 2, ", mxfp4, or auto"},
		{"--backend=cuda", 2, `unknown backend "cuda"`},
		{"--device=0", 2, "an index goes with a backend"},
		{"-d 256", 2, "-d 256: expected 0 to 255 tokens"},
		{"--device=all,cpu", 2, "--device=all goes without other devices"},
		{"-b 0", 2, "model austen: -b 0: expected 1 to 512 sequences that generate at once"},
		{"-b 2048", 2, "-b 2048: expected 1 to 512 sequences"},
		{"-b 8 -p 64 -d 8", 2, "-p 64 at -d 8: in a batch, prompts are read into empty contexts; leave out -d, or say -p 0"},
		{"-b 8 -p 0 -n 250 -d 8", 2, "-n 250 at -d 8: expected 0 to 248 tokens"},
		{"-npl 1,x", 2, "--parallel"},
		{"--batch-size=512", 2, "--batch-size: "},
		{"peers -b 513", 2, "-b 513: expected 1 to 512 sequences"},
		{"ops -r 0", 2, "-r 0: expected 1"},
		{"ops --op=sing", 2, "--op=sing: expected one of linear,"},
		{"ops --dtype=auto", 2, "expected one of f32, f16, bf16, q8_0, q6_k, q5_1, "},
		{"ops --shape=gpt5", 2, `found "gpt5"`},
		{"overhead -r 0", 2, "-r 0: expected 1"},
		{"startup -r 0", 2, "-r 0: expected 1"},
		{"startup --dtype=i32", 2, "--dtype=i32"},
		{"train -r 0", 2, "-r 0: expected 1"},
		{"train --batch=0", 2, "model nanogpt: --batch=0: expected 1 to 16384"},
		{"train --time=65", 2, "model nanogpt: --time=65: expected 1 to 64"},
		{"train --shape=gpt2 --time=1024 --batch=4 --accumulate=2000", 2, "a step of 8192000 tokens: expected at most 4194304"},
		{"train --accumulate=0", 2, "--accumulate=0: expected 1"},
		{"train --timeout=0s", 2, "--timeout=0s: expected more than 0"},
		{"train --peer=jax", 2, `--peer: unknown peer "jax": expected pytorch or none`},
		{"train --dtype=", 2, "--dtype is empty: expected "},
		{"train --dtype=q8_0", 2, "--dtype=q8_0: models are trained in f32 or f16"},
		{"train --peer=none,pytorch", 2, "none goes without other peers"},
		{"train --shape=gpt5", 2, `found "gpt5"`},
		{"train -m " + filepath.Join(dir, "none"), 1, "none"},
		{"peers -r 0", 2, "-r 0: expected 1"},
		{"peers --timeout=0s", 2, "--timeout=0s: expected more than 0"},
		{"peers --peer=tensorflow", 2, `--peer: unknown peer "tensorflow": expected node-llama-cpp or pytorch`},
		{"peers --dtype=auto", 2, "expected one of f32, f16, bf16, q8_0, q6_k, q5_k_m, q4_0, q4_k_m"},
		{"peers -p 0 -n 0", 2, "nothing to measure"},
		{"compare", 2, "<files>"},
		{"compare " + filepath.Join(dir, "none.json"), 1, "none.json"},
		{"compare " + dir, 1, "no regular file"},
		{"-t -1", 2, "-t"},
		{"-o yaml", 2, "yaml"},
		{"--backend=cpu --output=" + filepath.Join(dir, "no", "such"), 2, "--output"},
		{"--backend=cpu --output=" + dir, 2, "not a regular file"},
		{"-m " + filepath.Join(dir, "none"), 1, "none"},
		{"perplexity", 2, "--file"},
		{"perplexity -f " + filepath.Join(dir, "none"), 1, "no such file"},
		{"perplexity -f bench.go -c -5", 2, "-c -5"},
		{"perplexity -f bench.go -c 3", 2, "-c 3: expected 4 to 256 tokens"},
		{"perplexity -f bench.go -c 257", 2, "-c 257: expected 4 to 256 tokens"},
		{"perplexity -f bench.go --dtype=q9", 2, "q9"},
		{"perplexity -f bench.go --backend=cpu --dtype=f32,f16 --save=" + filepath.Join(dir, "run"), 2, "expected one model, dtype and device, found 2"},
		{"perplexity -f /dev/null --backend=cpu", 1, "the text has 0 tokens, fewer than one window of 256"},
		{"perplexity -f bench.go --backend=cpu --base=bench.go", 1, "bench.go: it is no saved run"},
		{"stray", 2, "stray"},
		{"--dtype=f32,f32", 2, "--dtype=f32,f32: f32 is there twice"},
		{"--dtype=auto,f32", 2, "--dtype=auto,f32: auto, which is one of the others, goes alone"},
		{"ops --dtype=f16,f32,f16", 2, "f16 is there twice"},
		{"peers --dtype=f16,f16", 2, "f16 is there twice"},
		{"startup --dtype=q8_0,q8_0", 2, "q8_0 is there twice"},
		{"perplexity -f bench.go --dtype=f32,f32", 2, "f32 is there twice"},
		{"--shape=gpt2,gpt2", 2, "two models are called gpt2"},
		{"--cache-type=q8_0", 2, "--cache-type must be one of"},
		{"perplexity -f bench.go --cache-type=i32", 2, "--cache-type must be one of"},
		{"perplexity -f bench.go --backend=cpu --save=" + filepath.Join(dir, "no", "run"), 2, "--save: "},
		{"perplexity -f bench.go --backend=cpu --save=" + dir, 2, "not a regular file"},
		{"perplexity -f bench.go --save=x.run --output=./x.run", 2, "--output and --save both name x.run"},
		{"--profile=x --output=x", 2, "--output and --profile both name x"},
		{"compare a.json --plot=x --output=x", 2, "--output and --plot both name x"},
		{"compare a.json --agree", 2, "--agree: expected two files and no --plot"},
		{"compare a.json --plot=plot.pdf", 2, "--plot=\"plot.pdf\" ends in \".pdf\": expected a name that ends in .svg or .png"},
		{"show", 2, "<files>"},
		{"show bench.go", 1, "expected a JSON array"},
		{"show a.json b.json", 2, "2 files: expected one, or several with -o summary"},
		{"show -o yaml a.json", 2, "yaml"},
		{"-o summary", 2, "summary"}, // of results that are there
	} {
		t.Run(test.args, func(t *testing.T) {
			stdout, stderr, code := command(t, strings.Fields(test.args)...)
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			if last := lines[len(lines)-1]; code != test.code || !strings.Contains(last, test.want) || stdout != "" {
				t.Errorf("exit %d, last line %q, standard output %q; expected exit %d and %q", code, last, stdout, test.code, test.want)
			}
		})
	}
}

// TestRun measures the embedded model, by its own figures and into a file.
func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.json")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := command(t, "--backend=cpu", "--dtype=f32,f16", "-r", "1", "-n", "2", "--no-ceilings", "-o", "json", "--output", path)
	if code != 0 || stdout != "" {
		t.Fatalf("exit %d, standard output %q, standard error:\n%s", code, stdout, stderr)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var results []struct {
		ModelType string  `json:"model_type"`
		DType     string  `json:"dtype"`
		NPrompt   int     `json:"n_prompt"`
		NGen      int     `json:"n_gen"`
		AvgTS     float64 `json:"avg_ts"`
		CPU       string  `json:"cpu_info"`
	}
	if err := json.Unmarshal(data, &results); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	type test struct {
		dtype       string
		prompt, gen int
	}
	want := []test{{"f32", 256, 0}, {"f32", 0, 2}, {"f16", 256, 0}, {"f16", 0, 2}}
	if len(results) != len(want) {
		t.Fatalf("%d results, expected %d", len(results), len(want))
	}
	for i, r := range results {
		if (test{r.DType, r.NPrompt, r.NGen}) != want[i] || r.ModelType != "austen" || r.AvgTS <= 0 || r.CPU == "" {
			t.Errorf("result %d: %+v, expected %+v", i, r, want[i])
		}
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestMarkdownOnStandardOutput(t *testing.T) {
	stdout, stderr, code := command(t, "--backend=cpu", "-r", "1", "-p", "8", "-d", "4", "-n", "0", "--no-ceilings")
	if code != 0 || !strings.HasPrefix(stdout, "- caldera ") || !strings.Contains(stdout, "| pp8 @ d4 ") || strings.Contains(stdout, "tg") {
		t.Errorf("exit %d, standard output:\n%s\nstandard error:\n%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, "pp8 @ d4 1/1") {
		t.Errorf("no progress on standard error:\n%s", stderr)
	}
}

// TestCompare goes from measuring to a table and a plot.
func TestCompare(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, args := range [][]string{
		{"--dtype=f16", "-p", "8", "-n", "0", "--no-ceilings", "--output", file("a.json")},
		{"--dtype=f16", "-p", "8", "-n", "2", "--no-ceilings", "--output", file("b.json")},
		{"--dtype=f16", "-p", "16", "-n", "0", "--no-ceilings", "--output", file("c.json")},
	} {
		if _, stderr, code := command(t, append(args, "--backend=cpu", "-r", "2", "-o", "json")...); code != 0 {
			t.Fatalf("exit %d: %s", code, stderr)
		}
	}
	stdout, stderr, code := command(t, "compare", file("a.json"), file("b.json"), "--plot", file("plot.svg"))
	if code != 0 || !strings.Contains(stdout, "| austen pp8 f16, cache f16 | t/s ") || !strings.Contains(stdout, "b cpu:0") {
		t.Errorf("exit %d, standard output:\n%s\nstandard error:\n%s", code, stdout, stderr)
	}
	if svg, err := os.ReadFile(file("plot.svg")); err != nil || !bytes.Contains(svg, []byte("<svg")) || !bytes.Contains(svg, []byte("austen tg2 f16")) {
		t.Errorf("the plot: %v, %.200s", err, svg)
	}
	for _, test := range []struct {
		files []string
		code  int
		want  string
	}{
		{[]string{file("a.json"), file("c.json")}, 1, "nothing to compare"},
		{[]string{file("a.json"), file("a.json"), "--plot", dir}, 2, "--plot: "},
		{[]string{file("a.json"), file("plot.svg")}, 1, "expected a JSON array"},
	} {
		stdout, stderr, code := command(t, append([]string{"compare"}, test.files...)...)
		if lines := strings.Count(stderr, "\n"); code != test.code || stdout != "" || lines != 1 || !strings.Contains(stderr, test.want) {
			t.Errorf("compare %v: exit %d, %q, expected exit %d and %q in one line", test.files, code, stderr, test.code, test.want)
		}
	}
	if left, _ := filepath.Glob(file("*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestCommands runs each of the others once.
func TestCommands(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"ops --backend=cpu --dtype=f32 --op=add,activate+gelu_tanh -r 1 --no-ceilings -o csv", "gpt2,activate+gelu_tanh,128x3072,f32,"},
		{"overhead --backend=cpu -r 1 -o bench", "BenchmarkOverhead/of=dispatch/device=cpu:0-"},
		{"train --backend=cpu --shape=nanogpt --batch=1 --time=8 --peer=none -r 1 --no-ceilings -o bench", "BenchmarkTrain/model=nanogpt/device=cpu:0/dtype=f32/step=1x8-"},
		{"startup --backend=cpu -r 1", "| austen | cpu:0 "},
		{"run --backend=cpu -p 4 -n 0 -r 1 --no-ceilings -o bench", "BenchmarkPP4/model=austen/device=cpu:0/dtype=f16/cache=f16-"},
		{"run --backend=cpu --dtype=mxfp4 -p 4 -n 0 -r 1 --no-ceilings -o bench", "BenchmarkPP4/model=austen/device=cpu:0/dtype=mxfp4/cache=f16-"},
		{"run --backend=cpu -npl 2 -p 0 -n 3 -d 4 -r 1 --no-ceilings -o bench", "BenchmarkTG3/model=austen/device=cpu:0/dtype=f16/cache=f16/sequences=2/depth=4-"},
		{"ops --list-devices", "cpu:0"},
		{"perplexity --list-devices", "cpu:0"}, // needs no text
		{"--help", "--prompt=N"},               // of the command that is meant where none is named
	} {
		stdout, stderr, code := command(t, strings.Fields(test.args)...)
		if code != 0 || !strings.Contains(stdout, test.want) {
			t.Errorf("%s: exit %d, expected %q in standard output:\n%s\nstandard error:\n%s", test.args, code, test.want, stdout, stderr)
		}
	}
}

// TestPerplexity saves a run and compares others with it.
func TestPerplexity(t *testing.T) {
	dir := t.TempDir()
	text, run, out := "../../../internal/bench/testdata/sense.txt", filepath.Join(dir, "run"), filepath.Join(dir, "out.json")
	args := []string{"perplexity", "--backend=cpu", "-f", text, "--windows=2"}
	if _, stderr, code := command(t, append(args, "--dtype=f32", "--save="+run)...); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if _, stderr, code := command(t, append(args, "--dtype=f32,q4_0", "--base="+run, "-o", "json", "--output="+out)...); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var results []struct {
		DType   string  `json:"dtype"`
		Tokens  int     `json:"n_tokens"`
		Nats    float64 `json:"nats"`
		MeanKL  float64 `json:"mean_kl"`
		SameTop float64 `json:"same_top"`
		Base    string  `json:"base"`
	}
	if err := json.Unmarshal(data, &results); err != nil || len(results) != 2 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for i, r := range results {
		if r.Tokens != 2*127 || r.Nats < 3 || r.Nats > 5 || r.Base != "austen f32 on cpu:0" || (r.MeanKL > 1e-6) != (i == 1) || (r.SameTop == 1) != (i == 0) {
			t.Errorf("%+v", r)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestPeersAbsent names each peer that is not there, in what is written too.
func TestPeersAbsent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.json")
	stdout, stderr, code := command(t, "peers", "--backend=cpu", "--dtype=f32,f16", "--node-llama-cpp="+t.TempDir(), "--python=/no/python", "-r", "1", "-o", "json", "--output", path)
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if last := lines[len(lines)-1]; code != 1 || stdout != "" || !strings.Contains(last, "no peer was measured") {
		t.Errorf("exit %d, standard output %q, last line %q", code, stdout, last)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		Peer, DType, Failure string
		Kind                 string `json:"failure_kind"`
	}
	var results []result
	if err := json.Unmarshal(data, &results); err != nil || len(results) != 4 {
		t.Fatalf("%v, %d results: %s", err, len(results), data)
	}
	for i, name := range []string{"node-llama-cpp", "pytorch"} {
		for _, r := range []result{results[i], results[2+i]} {
			if r.Peer != name || r.Failure == "" || !strings.Contains(stderr, "not measured: "+name+" beside gpt2 "+r.DType) {
				t.Errorf("%+v, standard error:\n%s", r, stderr)
			}
			// PyTorch has no such type on a CPU, whether it is there or not.
			want := "absent"
			if r.Peer == "pytorch" && r.DType == "f16" {
				want = "unsupported"
			}
			if r.Kind != want {
				t.Errorf("%s %s: a failure of kind %q, expected %q", r.Peer, r.DType, r.Kind, want)
			}
		}
	}
}

// TestActivationsWarning: where --activations rounds nothing, that is said, once, as command generate says it.
func TestActivationsWarning(t *testing.T) {
	for _, c := range []struct{ activations, dtypes, want string }{
		{"f16", "f32,q8_0", "bench: warning: --activations=f16 is as f32, for the matrices are f32: see --dtype\n"},
		{"q8_0", "f16,q8_0", "bench: warning: --activations=q8_0 is as f32, for the matrices are f16: see --dtype\n"},
		{"f32", "f32", ""},
	} {
		_, stderr, code := command(t, "run", "--backend=cpu", "-p", "8", "-n", "0", "-r", "1", "--no-ceilings", "--profile="+filepath.Join(t.TempDir(), "p"),
			"--activations="+c.activations, "--dtype="+c.dtypes)
		if code != 0 || c.want == "" && strings.Contains(stderr, "is as f32") || c.want != "" && strings.Count(stderr, c.want) != 1 || strings.Count(stderr, "is as f32") > 1 {
			t.Errorf("--activations=%s --dtype=%s: exit code %d, expected %q once:\n%s", c.activations, c.dtypes, code, c.want, stderr)
		}
	}
}
