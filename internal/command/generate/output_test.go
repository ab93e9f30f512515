package generate_test

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"caldera/internal/devicetest"
	"caldera/models"
)

// answer is what --json prints, as somebody who reads its documentation would write it.
type answer struct {
	Model  string `json:"model"`
	Device struct {
		Backend, Name, Kind, Driver string
		Index                       int
	} `json:"device"`
	Seed      uint64    `json:"seed"`
	PromptIDs []int     `json:"prompt_ids"`
	IDs       []int     `json:"generated_ids"`
	Text      string    `json:"text"`
	LogProbs  []float64 `json:"logprobs"`
	Top       [][]place `json:"top_logprobs"`
	Stop      string    `json:"stop"`
	Timings   struct {
		LoadMS             float64 `json:"load_ms"`
		PromptN            int     `json:"prompt_n"`
		PromptMS           float64 `json:"prompt_ms"`
		PromptPerSecond    float64 `json:"prompt_per_second"`
		PredictedN         int     `json:"predicted_n"`
		PredictedMS        float64 `json:"predicted_ms"`
		PredictedPerSecond float64 `json:"predicted_per_second"`
		DraftN             *int    `json:"draft_n"`
		DraftNAccepted     *int    `json:"draft_n_accepted"`
		TokensPerStep      float64 `json:"tokens_per_step"`
	} `json:"timings"`
}

// jsonOf parses what the command prints with --json, which must be one object
// with every field and no other.
func jsonOf(t *testing.T, args ...string) answer {
	t.Helper()
	return parse(t, generate(t, append(args, "--json")...).Out)
}

func parse(t *testing.T, out string) answer {
	t.Helper()
	var a answer
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	if d.More() {
		t.Errorf("more than one value in %q", out)
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(out), &fields); err != nil || slices.Contains(slices.Collect(maps.Values(fields)), nil) {
		t.Errorf("a field is null in %q (%v)", out, err)
	}
	return a
}

// tokensOf is text as --tokens takes it.
func tokensOf(t *testing.T, text string) string {
	t.Helper()
	return idList(jsonOf(t, "-n", "1", text).PromptIDs)
}

func TestJSON(t *testing.T) {
	a := jsonOf(t, "--temp=0", "-n", "23", "--seed=7", prompt)
	if a.Text != strings.TrimPrefix(austen, prompt) || a.Model != models.Name || a.Seed != 7 || a.Stop != "limit" {
		t.Errorf("text %q of model %q, seed %d, stopped for %q", a.Text, a.Model, a.Seed, a.Stop)
	}
	if a.Device.Backend != "cpu" || a.Device.Kind != "CPU" || a.Device.Name == "" || a.Device.Driver == "" {
		t.Errorf("device %+v, expected the CPU with its name and driver", a.Device)
	}
	if len(a.PromptIDs) == 0 || len(a.IDs) != 23 || len(a.LogProbs) != 23 {
		t.Errorf("%d ids of the prompt, %d generated, with %d log-probabilities", len(a.PromptIDs), len(a.IDs), len(a.LogProbs))
	}
	sum := 0.0
	for i, p := range a.LogProbs {
		if !(p <= 0 && p > -10) { // the likeliest of 2048 has at least 1/2048, −7.6
			t.Errorf("log-probability %d is %v", i, p)
		}
		sum += p
	}
	if perToken := sum / 23; perToken > -0.2 || perToken < -3 {
		t.Errorf("%v nats a token, expected what is usual for text that a model likes best", perToken)
	}
	x := a.Timings
	if x.PromptN != len(a.PromptIDs) || x.PredictedN != 23 || x.LoadMS <= 0 || x.PromptMS <= 0 || x.PredictedMS <= 0 {
		t.Errorf("timings %+v", x)
	}
	for _, r := range []struct{ n, ms, rate float64 }{
		{float64(x.PromptN), x.PromptMS, x.PromptPerSecond}, {float64(x.PredictedN - 1), x.PredictedMS, x.PredictedPerSecond},
	} {
		if want := r.n / r.ms * 1000; math.Abs(r.rate-want) > 0.01*want {
			t.Errorf("%v tokens in %v ms are given as %v a second", r.n, r.ms, r.rate)
		}
	}
}

// TestJSONSameOnVulkan compares log-probabilities between backends.
func TestJSONSameOnVulkan(t *testing.T) {
	devicetest.UseTestDrivers(t)
	want := jsonOf(t, "--temp=0", "-n", "12", prompt)
	r := run(t, command(t, "--backend=vulkan", "--device=llvmpipe", "--temp=0", "-n", "12", "--json", prompt))
	got := parse(t, r.Out)
	if got.Device.Backend != "vulkan" || got.Device.Kind != "software driver" || !slices.Equal(got.IDs, want.IDs) {
		t.Errorf("device %+v gave %v, the CPU %v", got.Device, got.IDs, want.IDs)
	}
	for i, p := range got.LogProbs {
		if math.Abs(p-want.LogProbs[i]) > 1e-3 {
			t.Errorf("log-probability %d is %v, on the CPU %v", i, p, want.LogProbs[i])
		}
	}
}

func TestSeed(t *testing.T) {
	one := jsonOf(t, "-n", "20", "--seed=1", prompt)
	if again := jsonOf(t, "-n", "20", "--seed=1", prompt); again.Text != one.Text {
		t.Errorf("seed 1 gave %q, then %q", one.Text, again.Text)
	}
	if two := jsonOf(t, "-n", "20", "--seed=2", prompt); two.Text == one.Text {
		t.Errorf("seeds 1 and 2 both gave %q", two.Text)
	}
	// What --json reports of a random seed gives the same text again.
	free := jsonOf(t, "-n", "20", prompt)
	if free.Seed > math.MaxUint32 {
		t.Errorf("seed %d has more than 32 bits, which not every reader of JSON keeps", free.Seed)
	}
	if again := jsonOf(t, "-n", "20", "--seed="+strconv.FormatUint(free.Seed, 10), prompt); again.Text != free.Text {
		t.Errorf("seed %d gave %q, then %q", free.Seed, free.Text, again.Text)
	}
}

// TestWithoutTokenizer takes and prints ids.
func TestWithoutTokenizer(t *testing.T) {
	const dir = "../../../gpt/testdata/gpt2-tiny"
	out := generate(t, "-m", dir, "--tokens", "5,17, 3", "--temp=0", "-n", "4").Out
	if !regexp.MustCompile(`^5,17,3(,\d+){4}\n$`).MatchString(out) {
		t.Errorf("printed %q, expected 5,17,3 and four more ids", out)
	}
	a := jsonOf(t, "-m", dir, "--tokens", "5,17,3", "--temp=0", "-n", "4")
	if len(a.IDs) != 4 || a.Text != "" || !slices.Equal(a.PromptIDs, []int{5, 17, 3}) || a.Model != dir {
		t.Errorf("%v, text %q, after %v of %s", a.IDs, a.Text, a.PromptIDs, a.Model)
	}
	if out := generate(t, "-m", dir, "--tokens=256,5", "--temp=0", "-n", "1").Out; !strings.HasPrefix(out, "256,5,") {
		t.Errorf("printed %q, expected all ids of the prompt, also that which begins a text", out)
	}
	r := run(t, command(t, "--backend=cpu", "-m", dir, "some text"))
	wantFailure(t, r, 1, "no tokenizer files", "--tokens=")
}

func TestVerbose(t *testing.T) {
	r := generate(t, "--verbose", "-n", "8", "--temp=0", "--seed=77", prompt)
	for _, phase := range []string{`seed: 77`, `prompt +\d+\.\d ms +\d+ tokens +\d+\.\d tokens/s`, `decode +\d+\.\d ms +7 tokens +\d+\.\d tokens/s`} {
		if !regexp.MustCompile(`(?m)^` + phase + `$`).MatchString(r.Stderr) {
			t.Errorf("standard error has no line %q:\n%s", phase, r.Stderr)
		}
	}
	if !strings.HasPrefix(r.Out, prompt) || strings.Contains(r.Out, "tokens/s") {
		t.Errorf("standard output has %q, expected text alone", r.Out)
	}
}

func TestDType(t *testing.T) {
	for _, d := range []string{"f32", "f16"} { // it is stored as f16
		if got := generate(t, "--dtype="+d, "--temp=0", "-n", "23", prompt).Out; got != austen+"\n" {
			t.Errorf("%s: %q", d, got)
		}
	}
	if got := generate(t, "-t", "1", "--temp=0", "-n", "23", prompt).Out; got != austen+"\n" {
		t.Errorf("one thread: %q", got)
	}
}

func TestSlidingIsTold(t *testing.T) {
	// Both outputs go to one file, as on a terminal.
	both, err := os.Create(filepath.Join(t.TempDir(), "terminal"))
	if err != nil {
		t.Fatal(err)
	}
	defer both.Close()
	cmd := command(t, "--backend=cpu", "-c", "16", "-n", "60", "--ignore-eos", "--temp=0", prompt)
	cmd.Stdout, cmd.Stderr = both, both
	run(t, cmd)
	all, err := os.ReadFile(both.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?s)^cpu:0: [^\n]*\nseed: \d+\n` + prompt + `.{100,}\ngenerate: the context of 16 tokens was full: its older half was forgotten \(\d times\)\n$`).Match(all) {
		t.Errorf("it wrote %q, expected the notice once, on a line after the text", all)
	}
	if r := generate(t, "-c", "16", "-n", "3", prompt); strings.Contains(r.Stderr, "full") {
		t.Errorf("it was not full: %s", r.Stderr)
	}
}

func TestListDevices(t *testing.T) {
	devicetest.UseTestDrivers(t)
	r := generate(t, "--list-devices")
	for _, part := range []string{"DEVICE", "cpu:0", "CPU", "vulkan:0", "vulkan:1", "llvmpipe", "SwiftShader", "software driver"} {
		if !strings.Contains(r.Out, part) {
			t.Errorf("the list lacks %q:\n%s", part, r.Out)
		}
	}
	t.Setenv("VK_DRIVER_FILES", "/nonexistent")
	r = generate(t, "--list-devices")
	if !strings.Contains(r.Out, "cpu:0") || strings.Contains(r.Out, "vulkan") || !strings.Contains(r.Stderr, "backend vulkan: ") {
		t.Errorf("without a driver: %q, %q", r.Out, r.Stderr)
	}
}

func TestHelp(t *testing.T) {
	r := generate(t, "--help")
	for _, flag := range []string{
		"--backend", "--device", "--list-devices", "-m, --model", "-p, --prompt", "-f, --file", "-n, --predict", "-c, --ctx-size",
		"--temp", "--top-k", "--top-p", "--min-p", "--repeat-penalty", "-s, --seed", "--dtype", "-t, --threads", "--ignore-eos",
		"--json", "--tokens", "-v, --verbose", models.Name,
	} {
		if !strings.Contains(r.Out, flag) {
			t.Errorf("--help lacks %s", flag)
		}
	}
	for _, line := range strings.Split(r.Out, "\n") {
		if len(line) > 120 || strings.Contains(line, "${") {
			t.Errorf("line %q", line)
		}
	}
}

// TestNowhereToCache runs it where nothing can be kept between runs.
func TestNowhereToCache(t *testing.T) {
	devicetest.UseTestDrivers(t)
	file := filepath.Join(t.TempDir(), "a file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string][]string{
		"no home":         {"HOME=", "XDG_CACHE_HOME="},
		"not a directory": {"XDG_CACHE_HOME=" + file, "HOME=" + file},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, "--backend=vulkan", "--device=llvmpipe", "--temp=0", "-n", "3", prompt)
			cmd.Env = append(os.Environ(), env...)
			if r := run(t, cmd); r.Code != 0 || r.Out != prompt+". I am\n" {
				t.Errorf("exit code %d, text %q\n%s", r.Code, r.Out, r.Stderr)
			}
		})
	}
}

// TestTopPZero: as in llama.cpp --top-p=0 takes the most probable token alone.
func TestTopPZero(t *testing.T) {
	greedy := jsonOf(t, "--temp=0", "-n", "12", "It is a truth")
	hot := jsonOf(t, "--temp=5", "--top-k=0", "--min-p=0", "--top-p=0", "-n", "12", "It is a truth")
	if greedy.Text == "" || hot.Text != greedy.Text {
		t.Errorf("--top-p=0 gives %q, expected the likeliest tokens, %q", hot.Text, greedy.Text)
	}
}

// TestActivationsWarning: where --activations rounds nothing, that is said.
func TestActivationsWarning(t *testing.T) {
	for _, c := range []struct{ activations, dtype, want string }{
		{"f16", "f32", "--activations=f16 is as f32, for the matrices are f32: see --dtype\n"},
		{"q8_0", "f16", "--activations=q8_0 is as f32, for the matrices are f16: see --dtype\n"},
		{"f16", "f16", ""}, {"q8_0", "q8_0", ""}, {"f32", "f32", ""},
	} {
		r := run(t, command(t, "--backend=cpu", "-n", "1", "-p", "It", "--activations="+c.activations, "--dtype="+c.dtype))
		if r.Code != 0 || strings.Contains(r.Stderr, "is as f32") != (c.want != "") || !strings.Contains(r.Stderr, c.want) {
			t.Errorf("--activations=%s --dtype=%s: exit code %d, expected %q:\n%s", c.activations, c.dtype, r.Code, c.want, r.Stderr)
		}
	}
}
