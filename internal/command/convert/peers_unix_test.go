//go:build unix

package convert_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/gpt/tokenizer"
	"caldera/internal/commandtest"
	"caldera/models"
)

// llamaEnv names the directory of node-llama-cpp. make test-peers installs it and
// sets this.
const llamaEnv = "CALDERA_LLAMA"

const peerTokens = 100

// request and answer are as testdata/judge.mjs has them.
type request struct {
	Library string   `json:"library"`
	Model   string   `json:"model"`
	Texts   []string `json:"texts"`
	Prompts [][]int  `json:"prompts"`
	Follow  [][]int  `json:"follow"`
	N       int      `json:"n"`
	Never   []int    `json:"never"`
}

type answer struct {
	Version  int            `json:"version"`
	Metadata map[string]any `json:"metadata"`
	BOS      int            `json:"bos"`
	AddsBOS  bool           `json:"addsBOS"`
	Encoded  [][]int        `json:"encoded"`
	Special  [][]int        `json:"special"`
	Runs     []struct {
		IDs           []int     `json:"ids"`
		Best          []float64 `json:"best"`          // probability of the id
		Probabilities []float64 `json:"probabilities"` // and of the one that the text goes on with
	} `json:"runs"`
}

// llama is where node-llama-cpp is.
func llama(t *testing.T) string {
	t.Helper()
	library := os.Getenv(llamaEnv)
	if library == "" {
		t.Skipf("%s is not set: make test-peers installs llama.cpp and runs this", llamaEnv)
	}
	return library
}

// judge asks llama.cpp. It takes seconds; what hangs is ended with all that it started.
func judge(t *testing.T, r request) answer {
	t.Helper()
	in, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandtest.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "testdata/judge.mjs")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	group := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = group, commandtest.Patience
	var out, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	group() // children that node left behind
	if err != nil {
		t.Fatalf("node: %v (%v)\n%s", err, ctx.Err(), stderr.String())
	}
	var a answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		t.Fatalf("%v in %.200q\n%s", err, out.String(), stderr.String())
	}
	return a
}

// peerCase is a model that llama.cpp runs as convert writes it, and texts that both
// programs go on with by a hundred tokens, the likeliest each time.
//
// In exact the tokens must be llama.cpp's. In others it is given ours, and must find
// the same ones likeliest, except where two are as close as the arithmetic of the
// programs differs. That is little in f32, where llama.cpp looks GELU up in a table
// of f16. It is more elsewhere: llama.cpp rounds what it multiplies with to the type
// of the weights, to blocks of 8 bits where these are quantised, and we multiply with
// f32. Near ties are then common in models as unsure as these.
type peerCase struct {
	model  string  // empty: the embedded one
	dtype  string  // empty: as it is
	noise  float64 // the most by which a log-probability may differ; about twice what was measured
	exact  []string
	others []string

	flags []string // of generate
	asF32 bool     // llama.cpp gets the same numbers in f32, which it multiplies without rounding
}

// lossless reports whether the type keeps all of the weights: those of the embedded
// model are f16, others f32.
func (c peerCase) lossless() bool { return c.dtype == "f32" || c.dtype == "f16" && c.model == "" }

// peerCases are of the embedded model. Where another one is embedded, another exact
// text may be needed: one without a near tie.
var peerCases = []peerCase{
	{dtype: "f32", noise: 0.002, exact: []string{prompt, "Elizabeth was", "Mr. Darcy looked at her", "The family of Dashwood", "She had been", emma, "My dear Jane"},
		others: []string{"Captain Wentworth"}},
	{dtype: "f16", noise: 0.003, exact: []string{"Elizabeth was"},
		others: []string{prompt, "Captain Wentworth", emma}},
	{dtype: "bf16", noise: 0.04, others: []string{prompt, "Elizabeth was", "Captain Wentworth"}},
	{dtype: "q8_0", noise: 0.1, exact: []string{emma, "She had been"},
		others: []string{prompt, "Elizabeth was", "Mr. Darcy looked at her", "My dear Jane"}},
	{dtype: "q4_0", noise: 0.12, exact: []string{emma},
		others: []string{prompt, "Elizabeth was", "Captain Wentworth"}},
	{dtype: "q6_k", noise: 0.1, others: []string{prompt, "Elizabeth was", emma}},
	{dtype: "q5_k_m", noise: 0.12, others: []string{prompt, "Elizabeth was", emma}},
	{dtype: "q4_k_m", noise: 0.12, others: []string{prompt, "Elizabeth was", emma}},
}

const emma = "Emma Woodhouse, handsome, clever, and rich"

// peerTexts are tokenized by both.
var peerTexts = []string{
	"It's naïve — 世界 👩‍🚀\tof  1234\r\n\n  indeed!   ", "<|endoftext|>", "  leading", "don't I'LL we've", "a\u00a0b\u2003c", "ﬁ ½ ²",
}

// TestPeers holds the files that convert writes, and the tokens that generate
// makes of them, to llama.cpp.
func TestPeers(t *testing.T) {
	library := llama(t)
	for _, c := range peerCases {
		t.Run(c.dtype, func(t *testing.T) { c.run(t, library) })
	}
}

func (c peerCase) run(t *testing.T, library string) {
	tok, err := tokenizer.LoadFS(models.Default(), ".")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	args := []string{"-o", path}
	if c.model != "" {
		args = append(args, "--model="+c.model)
	}
	d := backend.None
	if c.dtype != "" {
		if d, err = backend.ParseDType(c.dtype, backend.Weights|backend.Targets); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--dtype="+c.dtype)
	}
	if d == backend.None || d.Is(backend.Targets) {
		convert(t, args...)
	} else {
		m, err := checkpoint.Open(c.model)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(m.SaveGGUF(t.Context(), path, checkpoint.SaveOptions{DType: d, Warn: func(what string) { t.Log(what) }}), m.Close()); err != nil {
			t.Fatal(err)
		}
	}
	r := request{Library: library, Model: path, N: peerTokens, Never: []int{2047}}
	if c.asF32 {
		r.Model = filepath.Join(t.TempDir(), "f32.gguf")
		convert(t, "--model="+path, "--dtype=f32", "-o", r.Model)
	}
	r.Texts = slices.Concat(c.exact, c.others, peerTexts)
	var ours []generated
	for _, text := range slices.Concat(c.exact, c.others) {
		g := continueText(t, path, text, c.flags...)
		if c.lossless() { // llama.cpp shall say what the original does
			converted := g.IDs
			if g = continueText(t, c.model, text, c.flags...); !slices.Equal(g.IDs, converted) {
				t.Errorf("%q: %v, converted %v", text, g.IDs, converted)
			}
		}
		ours = append(ours, g)
		r.Prompts, r.Follow = append(r.Prompts, g.Prompt), append(r.Follow, g.IDs)
	}
	a := judge(t, r)
	if a.Version != 3 || a.BOS != 2047 {
		t.Errorf("llama.cpp finds version %d of the format and %d as the token that begins a text", a.Version, a.BOS)
	}
	for i, text := range r.Texts {
		want, err := tok.Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.Encoded[i], want) {
			t.Errorf("llama.cpp makes %v of %q, expected %v", a.Encoded[i], text, want)
		}
	}
	for i, got := range ours {
		theirs := a.Runs[i]
		if len(got.IDs) != peerTokens || len(theirs.IDs) != peerTokens {
			t.Fatalf("%q: %d tokens, llama.cpp %d, expected %d", r.Texts[i], len(got.IDs), len(theirs.IDs), peerTokens)
		}
		differ, worst := 0, 0.0
		for j, id := range got.IDs {
			log := math.Log(theirs.Probabilities[j])
			worst = max(worst, math.Abs(got.LogProbs[j]-log))
			if id == theirs.IDs[j] {
				continue
			}
			differ++
			if gap := math.Log(theirs.Best[j]) - log; i < len(c.exact) || !(gap <= 2*c.noise) {
				t.Errorf("%q: token %d is %d, in llama.cpp %d, which it finds likelier by %.4g in logarithms\nours   %v\ntheirs %v", r.Texts[i], j, id, theirs.IDs[j], gap, got.IDs, theirs.IDs)
			}
		}
		t.Logf("%d of %d tokens are the same, log-probabilities within %.2g: %q", peerTokens-differ, peerTokens, worst, r.Texts[i])
		if !(worst <= c.noise) {
			t.Errorf("%q: log-probabilities differ by %.4g, expected at most %v", r.Texts[i], worst, c.noise)
		}
	}
}

// TestPeersOdd has llama.cpp run a model in which no row is a whole number of
// blocks, and whose vocabulary is padded: its tokenizer lacks the last of 1,003 tokens.
func TestPeersOdd(t *testing.T) {
	library := llama(t)
	dir := withTokenizer(t, "../../../gpt/testdata/gpt2-odd", 1002)
	for _, dtype := range []string{"f32", "q8_0"} {
		path := filepath.Join(t.TempDir(), dtype+".gguf")
		convert(t, "-m", dir, "--dtype="+dtype, "-o", path)
		ids := []int{72, 101, 108, 108, 111}
		cmd := exec.Command(generateBinary, "--backend=cpu", "-m", path, "--json", "--temp=0", "--ignore-eos", "-n", "30", "--tokens=72,101,108,108,111")
		r := run(t, cmd)
		var ours generated
		if err := json.Unmarshal([]byte(r.Out), &ours); err != nil {
			t.Fatalf("%v: %s", err, r.Stderr)
		}
		theirs := judge(t, request{Library: library, Model: path, Prompts: [][]int{ids}, N: 30, Never: []int{1002}, Texts: []string{}})
		if !slices.Equal(ours.IDs, theirs.Runs[0].IDs) {
			t.Errorf("%s: %v, in llama.cpp %v", dtype, ours.IDs, theirs.Runs[0].IDs)
		}
	}
}

// generated is what the tests need of generate --json.
type generated struct {
	Prompt   []int     `json:"prompt_ids"`
	IDs      []int     `json:"generated_ids"`
	LogProbs []float64 `json:"logprobs"`
}

// continueText is what generate makes of the model in path, or the embedded one.
func continueText(t *testing.T, path, text string, flags ...string) generated {
	t.Helper()
	args := append([]string{"--backend=cpu", "--json", "--temp=0", "--ignore-eos", "-n", "100", text}, flags...)
	if path != "" {
		args = append(args, "--model="+path)
	}
	r := run(t, exec.Command(generateBinary, args...))
	if r.Code != 0 {
		t.Fatalf("generate: exit code %d: %s", r.Code, r.Stderr)
	}
	var g generated
	if err := json.NewDecoder(strings.NewReader(r.Out)).Decode(&g); err != nil {
		t.Fatal(err)
	}
	return g
}
