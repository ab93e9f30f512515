package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"caldera/backend"
	_ "caldera/backend/cpu"
	"caldera/gpt"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/internal/bench/result"
)

func cpuDevice(t *testing.T) *Device {
	t.Helper()
	all, err := backend.Devices("cpu")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(all[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

const tinyModel = "../../gpt/testdata/gpt2-tiny"

func tinyText(t *testing.T) (Model, []int, []float64) {
	t.Helper()
	m, err := Checkpoint(tinyModel)
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(tinyModel + "/expected.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, _ := f.Tensor("input_ids") // [2, 17], i64
	var ids []int
	for i := range 17 {
		ids = append(ids, int(binary.LittleEndian.Uint64(x.Data[8*i:])))
	}
	y, _ := f.Tensor("logits") // [2, 17, 257], f32
	var logits []float64
	for i := range 17 * 257 {
		logits = append(logits, float64(math.Float32frombits(binary.LittleEndian.Uint32(y.Data[4*i:]))))
	}
	return m, ids, logits
}

func noProgress(string, int, int) {}

// TestPerplexityOfPyTorch holds the figure to the logits that PyTorch computed
// in float64.
func TestPerplexityOfPyTorch(t *testing.T) {
	m, ids, logits := tinyText(t)
	r, err := cpuDevice(t).Perplexity(t.Context(), m, ids, PerplexityOptions{Window: 16, Options: Options{Progress: noProgress}})
	if err != nil {
		t.Fatal(err)
	}
	var nats []float64
	for at := 8; at < 15; at++ { // the second half of the one window of 16, of which the last has nothing to foretell
		row := logits[at*257 : (at+1)*257]
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(v)
		}
		nats = append(nats, math.Log(sum)-row[ids[at+1]])
	}
	mean, squares := 0.0, 0.0
	for _, v := range nats {
		mean += v / 7
	}
	for _, v := range nats {
		squares += (v - mean) * (v - mean)
	}
	stdErr := math.Sqrt(squares / 6 / 7)
	if math.Abs(r.Nats-mean) > 1e-5*mean || math.Abs(r.NatsStdErr-stdErr) > 1e-4*stdErr || r.Tokens != 7 || r.Windows != 1 {
		t.Errorf("%v ± %v nats over %d tokens of %d windows, PyTorch has %v ± %v over 7 of 1", r.Nats, r.NatsStdErr, r.Tokens, r.Windows, mean, stdErr)
	}
	if math.Abs(r.Perplexity-math.Exp(mean)) > 1e-4*r.Perplexity {
		t.Errorf("perplexity %v, want %v", r.Perplexity, math.Exp(mean))
	}
}

// saved runs a model and returns its result and where the run was saved.
func saved(t *testing.T, d *Device, m Model, ids []int, o PerplexityOptions) (*result.PerplexityResult, string) {
	t.Helper()
	var b bytes.Buffer
	o.Save, o.Progress = result.NewLogitWriter(&b), noProgress
	r, err := d.Perplexity(t.Context(), m, ids, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Save.Flush(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "run")
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return r, path
}

// TestPerplexityAgainstBase works divergence and equal tokens out from two
// saved runs.
func TestPerplexityAgainstBase(t *testing.T) {
	m, ids, _ := tinyText(t)
	d := cpuDevice(t)
	plain, path := saved(t, d, m, ids, PerplexityOptions{Window: 8, Options: Options{DType: backend.F32}})
	base, err := result.OpenLogits(path)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	same, err := d.Perplexity(t.Context(), m, ids, PerplexityOptions{Window: 8, Base: base, Options: Options{DType: backend.F32, Progress: noProgress}})
	if err != nil {
		t.Fatal(err)
	}
	if same.Nats != plain.Nats || math.Abs(same.MeanKL) > 1e-6 || same.SameTop != 1 || same.Base != "gpt2-tiny f32 on cpu:0" {
		t.Errorf("against itself: %+v", same)
	}
	far, farPath := saved(t, d, m, ids, PerplexityOptions{Window: 8, Base: base, Options: Options{DType: backend.Q4_0}})
	rows := func(path string) [][]float64 {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data = data[bytes.IndexByte(data, '\n')+1:]
		var rows [][]float64
		for ; len(data) > 0; data = data[4*257:] {
			row := make([]float64, 257)
			for i := range row {
				row[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
			}
			rows = append(rows, row)
		}
		return rows
	}
	p, q := rows(path), rows(farPath)
	if len(p) != 6 || len(q) != 6 { // three tokens of each of two windows
		t.Fatalf("%d and %d rows were saved, expected 6", len(p), len(q))
	}
	kl, top := 0.0, 0.0
	for i := range p {
		largestP, largestQ := 0, 0
		for j := range p[i] {
			kl += math.Exp(p[i][j]) * (p[i][j] - q[i][j]) / 6
			if p[i][j] > p[i][largestP] {
				largestP = j
			}
			if q[i][j] > q[i][largestQ] {
				largestQ = j
			}
		}
		if largestP == largestQ {
			top += 1.0 / 6
		}
	}
	if math.Abs(far.MeanKL-kl) > 1e-4*kl || kl < 1e-5 || math.Abs(far.SameTop-top) > 1e-9 || math.Abs(far.BaseNats-plain.Nats) > 1e-6 {
		t.Errorf("divergence %v, equal %v, base %v nats; worked out %v, %v, %v", far.MeanKL, far.SameTop, far.BaseNats, kl, top, plain.Nats)
	}
}

// TestPerplexityAtOnce reads several windows in a step: the numbers are those of each
// window by itself, an error leaves the windows before it, and where there is no memory
// for all, fewer are read at once.
func TestPerplexityAtOnce(t *testing.T) {
	m, ids, _ := tinyText(t)
	d := cpuDevice(t)
	all, path := saved(t, d, m, ids, PerplexityOptions{Window: 4})
	if all.Windows != 4 || all.Tokens != 4 {
		t.Fatalf("%d tokens of %d windows, expected one of each of 4", all.Tokens, all.Windows)
	}
	nats := 0.0
	for i := range 4 {
		r, err := d.Perplexity(t.Context(), m, ids[4*i:4*i+4], PerplexityOptions{Window: 4, Options: Options{Progress: noProgress}})
		if err != nil {
			t.Fatal(err)
		}
		nats += r.Nats / 4
	}
	if math.Abs(all.Nats-nats) > 1e-6*nats {
		t.Errorf("%v nats, and the mean of the windows one by one is %v", all.Nats, nats)
	}

	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	third := bytes.IndexByte(data, '\n') + 1 + 2*4*m.Config.Vocab
	binary.LittleEndian.PutUint32(data[third:], math.Float32bits(float32(math.NaN())))
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	base, err := result.OpenLogits(path)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	r, err := d.Perplexity(t.Context(), m, ids, PerplexityOptions{Window: 4, Base: base, Options: Options{Progress: noProgress}})
	if err == nil || !strings.Contains(err.Error(), "window 3: ") || r == nil || !r.Incomplete || r.Windows != 2 || r.Tokens != 2 {
		t.Errorf("the third window fails: %+v, %v", r, err)
	}

	p := &played{free: 1, total: 1 << 40}
	small, text := Random("tiny", tiny), randomIDs(Test{Prompt: 64}, tiny.Vocab)
	measure := func(windows int) (*result.PerplexityResult, error) {
		return playedDevice(p).Perplexity(t.Context(), small, text, PerplexityOptions{Window: 4, Windows: windows, Options: Options{Progress: noProgress}})
	}
	var e *gpt.MemoryError
	if _, err := measure(1); !errors.As(err, &e) {
		t.Fatal(err)
	}
	p.free = e.Need.Total()
	if r, err := measure(16); err != nil || r.Windows != 16 || p.most > p.free {
		t.Errorf("16 windows in memory for one: %+v, %v, %d bytes of %d were taken", r, err, p.most, p.free)
	}
	p.free = 1 << 30
	if _, err := measure(16); err != nil || p.most <= e.Need.Total() {
		t.Errorf("with enough memory %d bytes were taken, for one window %d are: %v", p.most, e.Need.Total(), err)
	}
}

// TestQuantizedPerplexity bounds what quantising the embedded model costs on a
// chapter that it was not trained on, and what it costs to quantise what the weights are multiplied
// with too, as the CPU does unless it is told otherwise.
func TestQuantizedPerplexity(t *testing.T) {
	text, err := os.ReadFile("testdata/sense.txt")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tokenizer.Encode(string(text))
	if err != nil {
		t.Fatal(err)
	}
	d := cpuDevice(t)
	plain, path := saved(t, d, m, ids, PerplexityOptions{Options: Options{DType: backend.F32}})
	if plain.Perplexity < 30 || plain.Perplexity > 60 {
		t.Errorf("perplexity %v, expected that of a text of its author", plain.Perplexity)
	}
	for dtype, bound := range map[backend.DType]float64{backend.F16: 1e-5, backend.Q8_0: 1e-3, backend.Q4_0: 2e-2} {
		base, err := result.OpenLogits(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.Perplexity(t.Context(), m, ids, PerplexityOptions{Base: base, Options: Options{DType: dtype, Activations: backend.F32, Cache: backend.F32, Progress: noProgress}})
		base.Close()
		if err != nil {
			t.Fatal(err)
		}
		want := dtype.String()
		if backend.Rounding(d.b, dtype) != backend.F32 {
			want += "*f32"
		}
		if worse := math.Expm1(r.Nats - plain.Nats); math.Abs(worse) > bound || r.DType != want {
			t.Errorf("%v (kept as %s): the perplexity is %.3f %% larger, at most %.3f %% expected", dtype, r.DType, 100*worse, 100*bound)
		}
		if dtype != backend.F16 && (r.MeanKL < 1e-6 || r.MeanKL > bound) {
			t.Errorf("%v: mean divergence %v, expected some, and less than %v", dtype, r.MeanKL, bound)
		}
		if !dtype.Quantized() {
			continue
		}
		read := func(o PerplexityOptions) *result.PerplexityResult {
			o.DType, o.Cache, o.Progress = dtype, backend.F32, noProgress
			r, err := d.Perplexity(t.Context(), m, ids, o)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		blocks := read(PerplexityOptions{Options: Options{Activations: backend.Q8_A}})
		if far := math.Expm1(blocks.Nats - r.Nats); far == 0 || math.Abs(far) > 1e-3 {
			t.Errorf("%v: with activations in blocks the perplexity is %.3f %% larger, expected a little more or less, at most 0.1 %%", dtype, 100*far)
		} else {
			t.Logf("%v: with activations in blocks the perplexity is %.3f %% larger", dtype, 100*far)
		}
		if usual := read(PerplexityOptions{Windows: 1}); (backend.Rounding(d.b, dtype) == backend.Q8_A) != (usual.DType == blocks.DType) {
			t.Errorf("%v: without an option it is multiplied as %s", dtype, usual.DType)
		}
	}
}

func TestPerplexityErrors(t *testing.T) {
	m, ids, _ := tinyText(t)
	d := cpuDevice(t)
	_, path := saved(t, d, m, ids, PerplexityOptions{Window: 8})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		o    PerplexityOptions
		ids  []int
		want string
	}{
		{"a text shorter than a window", PerplexityOptions{}, ids, "the text has 17 tokens, fewer than one window of 64: give a longer text, or smaller windows"},
		{"no text", PerplexityOptions{Window: 4}, nil, "the text has 0 tokens"},
		{"windows larger than the context", PerplexityOptions{Window: 65}, ids, "expected 4 to 64"},
		{"tiny windows", PerplexityOptions{Window: 3}, ids, "expected 4 to 64"},
		{"other windows than the base", PerplexityOptions{Window: 16}, ids, "the saved run has windows of 8 and this one 16: they cannot be compared"},
		{"fewer windows than the base", PerplexityOptions{Window: 8, Windows: 1}, ids, "a number of windows of 2 and this one 1"},
		{"another text than the base", PerplexityOptions{Window: 8}, append([]int{9}, ids...), "another text"},
	} {
		base, err := result.OpenLogits(path)
		if err != nil {
			t.Fatal(err)
		}
		c.o.Base, c.o.Progress = base, noProgress
		if _, err := d.Perplexity(t.Context(), m, c.ids, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		base.Close()
	}
	at := bytes.IndexByte(whole, '\n') + 1
	broken := bytes.Clone(whole)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":        {nil, "it is no saved run"},
		"foreign":      {[]byte("PK\x03\x04 something else\n"), "it is no saved run"},
		"other JSON":   {[]byte("{\"a\":1}\n"), "its first line has no caldera_logits"},
		"newer":        {bytes.Replace(whole, []byte(`"caldera_logits":1`), []byte(`"caldera_logits":2`), 1), "found format 2, this program reads 1"},
		"truncated":    {whole[:len(whole)-1], "it is truncated or damaged"},
		"longer":       {append(bytes.Clone(whole), 0), "it is truncated or damaged"},
		"half a line":  {whole[:at-2], "it is no saved run"},
		"large counts": {bytes.Replace(whole, []byte(`"n_windows":2`), []byte(`"n_windows":999999999999`), 1), "damaged"},
		"a twin key":   {bytes.Replace(whole, []byte(`{"caldera_logits":1`), []byte(`{"caldera_logits":1,"vocab":9`), 1), "damaged"},
	} {
		path := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(path, c.data, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := result.OpenLogits(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(-1), math.Inf(1), 5, -1e-9} {
		binary.LittleEndian.PutUint32(broken[at+40:], math.Float32bits(float32(v)))
		bad := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(bad, broken, 0o666); err != nil {
			t.Fatal(err)
		}
		base, err := result.OpenLogits(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Perplexity(t.Context(), m, ids, PerplexityOptions{Window: 8, Base: base, Options: Options{Progress: noProgress}}); err == nil || !strings.Contains(err.Error(), "it is damaged") {
			t.Errorf("a log-probability that is %v: %v", v, err)
		}
		base.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Perplexity(ctx, m, ids, PerplexityOptions{Window: 8, Options: Options{Progress: noProgress}}); err == nil {
		t.Error("it went on after it was cancelled")
	}
}
