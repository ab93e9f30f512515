package checkpoint

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
)

const (
	adapterOf   = "../testdata/lora-llama"
	adapterBase = "../testdata/llama-grouped"
)

// TestAdapterConfig reads settings as PEFT writes them, and refuses by name what is not computed.
func TestAdapterConfig(t *testing.T) {
	counting := map[string]int{}
	for i := range 200 {
		counting[fmt.Sprintf("a{1000}%d", i)] = 3
	}
	good := map[string]any{"peft_type": "LORA", "r": 4, "lora_alpha": 6, "target_modules": []string{"q_proj"}, "bias": "none"}
	for name, c := range map[string]struct {
		key   string
		value any
		parts []string // of the error; none: it is read
	}{
		"plain":                    {"r", 4, nil},
		"a regular expression":     {"target_modules", `.*\.(?!x)q_proj`, nil},
		"all of them":              {"target_modules", AllLinear, nil},
		"no targets":               {"target_modules", nil, nil},
		"targets of another type":  {"target_modules", 3, []string{"target_modules", "3"}},
		"another method":           {"peft_type", "IA3", []string{"peft_type", "IA3", "LORA"}},
		"no method":                {"peft_type", nil, []string{"peft_type is missing", "LORA"}},
		"DoRA":                     {"use_dora", true, []string{"use_dora", "not supported"}},
		"no DoRA":                  {"use_dora", false, nil},
		"a method of the future":   {"use_warp", true, []string{"use_warp"}},
		"biases":                   {"bias", "all", []string{"bias", `"all"`}},
		"biases of its own":        {"lora_bias", true, []string{"lora_bias"}},
		"whole modules":            {"modules_to_save", []string{"lm_head"}, []string{"modules_to_save", "lm_head"}},
		"no whole modules":         {"modules_to_save", []string{}, nil},
		"layers again":             {"layer_replication", [][]int{{0, 4}}, []string{"layer_replication"}},
		"tokens":                   {"trainable_token_indices", []int{3}, []string{"trainable_token_indices"}},
		"parameters":               {"target_parameters", []string{"x"}, []string{"target_parameters"}},
		"tokens that begin it":     {"alora_invocation_tokens", []int{3}, []string{"alora_invocation_tokens"}},
		"a changed base":           {"init_lora_weights", "pissa_niter_16", []string{"init_lora_weights", "pissa_niter_16", "path_initial_model"}},
		"Gaussian":                 {"init_lora_weights", "gaussian", nil},
		"rank 0":                   {"r", 0, []string{"r:", "0"}},
		"rank of half":             {"r", 0.5, []string{"r:", "0.5"}},
		"rank too large":           {"r", 1 << 20, []string{"r:"}},
		"alpha that is a text":     {"lora_alpha", "many", []string{"lora_alpha", "many"}},
		"alpha without bound":      {"lora_alpha", 1e300, []string{"lora_alpha"}},
		"dropout of all":           {"lora_dropout", 1, []string{"lora_dropout"}},
		"patterns":                 {"alpha_pattern", map[string]int{"layers.0.*q_proj": 3}, nil},
		"a pattern that is a list": {"rank_pattern", []int{3}, []string{"rank_pattern", "array"}},
		"a pattern without end":    {"alpha_pattern", map[string]int{"(q": 3}, []string{"alpha_pattern", "(q"}},
		"a pattern of Python":      {"alpha_pattern", map[string]int{`(?=x)q`: 3}, []string{"alpha_pattern", "no regular expression", "(?=x)q"}},
		"a pattern too long":       {"rank_pattern", map[string]int{"q" + strings.Repeat("x", 3_000_000): 3}, []string{"rank_pattern", "3000001 bytes", `"qxxx`, "at most 1000"}},
		"a pattern that counts":    {"rank_pattern", map[string]int{strings.Repeat("a{1000}", 140): 3}, []string{"rank_pattern", "a{1000}", "instructions"}},
		"patterns that count":      {"alpha_pattern", counting, []string{"alpha_pattern", "a{1000}", "instructions"}},
		"a pattern with controls":  {"rank_pattern", map[string]int{"(\x1b[31m\nq": 3}, []string{"rank_pattern", `(\x1b[31m\nq`, "missing closing"}},
		"a rank of a half":         {"rank_pattern", map[string]float64{"q": 1.5}, []string{"rank_pattern", "1.5"}},
		"an unknown setting":       {"peft_version", "0.18.0", nil},
	} {
		all := maps.Clone(good)
		all[c.key] = c.value
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parseAdapterConfig(text)
		wantParts(t, name, err, c.parts)
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("%s: an error of %d bytes, expected one that is cut", name, len(err.Error()))
		}
	}
	for name, text := range map[string]string{"no JSON": "r = 4", "a list": "[]", "a key twice": `{"r":1,"r":2}`, "deep": strings.Repeat(`{"a":`, 100)} {
		if _, err := parseAdapterConfig([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestPatterns: the first pattern of the file that matches a name, or what of it follows a dot, counts.
func TestPatterns(t *testing.T) {
	l, err := parseAdapterConfig([]byte(`{"peft_type":"LORA","r":8,"lora_alpha":16,"use_rslora":true,
		"rank_pattern":{"layers.1.*proj":2,"q_proj":4},"alpha_pattern":{"^model.layers.0.self_attn.q_proj":6}}`))
	if err != nil {
		t.Fatal(err)
	}
	for module, want := range map[string][2]float64{
		"model.layers.0.self_attn.q_proj": {4, 3}, "model.layers.1.self_attn.q_proj": {2, 16 / 1.4142135623730951},
		"model.layers.0.self_attn.v_proj": {8, 16 / 2.8284271247461903}, "model.layers.0.self_attn.xq_proj": {8, 16 / 2.8284271247461903},
	} {
		if r, s := l.rank(module), l.scale(module); float64(r) != want[0] || s-want[1] > 1e-12 || want[1]-s > 1e-12 {
			t.Errorf("%s has rank %d and scale %v, expected %v", module, r, s, want)
		}
	}
}

func wantParts(t *testing.T, name string, err error, parts []string) {
	t.Helper()
	if (err != nil) != (parts != nil) {
		t.Errorf("%s: error %v, expected one with %q", name, err, parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %q, expected one line with %q", name, err, part)
		}
	}
}

// TestAdapterTensors refuses files that do not fit the base, whatever is wrong, before anything is loaded.
func TestAdapterTensors(t *testing.T) {
	f, err := safetensors.Open(filepath.Join(adapterOf, adapterWeightsName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const q = "base_model.model.model.layers.0.self_attn.q_proj"
	shape := func(name string, dims ...int) func(map[string]safetensors.Tensor) {
		return func(all map[string]safetensors.Tensor) {
			n := 1
			for _, d := range dims {
				n *= d
			}
			all[name] = safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: dims, Data: make([]byte, 4*n)}
		}
	}
	for name, c := range map[string]struct {
		change func(map[string]safetensors.Tensor)
		parts  []string
	}{
		"whole":           {func(map[string]safetensors.Tensor) {}, nil},
		"no B":            {func(all map[string]safetensors.Tensor) { delete(all, q+".lora_B.weight") }, []string{q + ".lora_B.weight", "missing"}},
		"no A":            {func(all map[string]safetensors.Tensor) { delete(all, q+".lora_A.weight") }, []string{q + ".lora_A.weight", "missing"}},
		"nothing":         {func(all map[string]safetensors.Tensor) { clear(all) }, []string{"no tensors"}},
		"another rank":    {shape(q+".lora_A.weight", 5, 48), []string{"rank 5", "expected 3"}},
		"another width":   {shape(q+".lora_A.weight", 3, 40), []string{"[3 40]", "[3 48]", "another model"}},
		"more outputs":    {shape(q+".lora_B.weight", 50, 3), []string{"[50 3]", "[48 3]"}},
		"a vector":        {shape(q+".lora_B.weight", 144), []string{"[144]", "matrix"}},
		"no inputs":       {shape(q+".lora_A.weight", 3, 0), []string{"[3 0]"}},
		"another layer":   {shape("base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight", 3, 48), []string{"layers.7", "2 layers", "another model"}},
		"the embedding":   {shape("base_model.model.model.embed_tokens.lora_embedding_A", 3, 101), []string{"embeddings", "not supported"}},
		"the unembedding": {shape("base_model.model.lm_head.lora_A.weight", 3, 48), []string{"lm_head", "unembedding", "not supported"}},
		"DoRA":            {shape(q+".lora_magnitude_vector.weight", 48), []string{"DoRA", "not supported"}},
		"a bias":          {shape(q+".lora_B.bias", 48), []string{"lora_bias", "not supported"}},
		"a weight":        {shape("base_model.model.model.norm.weight", 48), []string{"modules_to_save", "not supported"}},
		"a name twice":    {shape("model.layers.0.self_attn.q_proj.lora_A.weight", 3, 48), []string{"both"}},
		"numbers that are no": {func(all map[string]safetensors.Tensor) {
			x := all[q+".lora_A.weight"]
			x.Data = slices.Clone(x.Data)
			copy(x.Data[4:], "\x00\x00\xc0\x7f")
			all[q+".lora_A.weight"] = x
		}, []string{q + ".lora_A.weight", "[0 1]", "NaN", "finite"}},
	} {
		dir := t.TempDir()
		all := map[string]safetensors.Tensor{}
		for _, name := range f.Tensors() {
			all[name], _ = f.Tensor(name)
		}
		c.change(all)
		list := slices.Collect(maps.Values(all))
		err := safetensors.Write(filepath.Join(dir, adapterWeightsName), list, nil, func(w io.Writer, t safetensors.Tensor) error {
			_, err := w.Write(t.Data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		config, err := os.ReadFile(filepath.Join(adapterOf, adapterConfigName))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, adapterConfigName), config, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		a, err := OpenAdapter(dir)
		if err != nil {
			t.Fatal(err)
		}
		base, err := Open(adapterBase)
		if err != nil {
			t.Fatal(err)
		}
		err = base.SaveGGUF(t.Context(), filepath.Join(dir, "merged.gguf"), SaveOptions{DType: backend.F32, Adapters: []*Adapter{a}, Warn: func(string) {}})
		wantParts(t, name, err, c.parts)
		if _, there := os.Stat(filepath.Join(dir, "merged.gguf")); (there == nil) != (c.parts == nil) {
			t.Errorf("%s: the file is there: %v", name, there == nil)
		}
		a.Close()
		base.Close()
	}
}

// TestOpenAdapter says of paths that are no adapter what they are.
func TestOpenAdapter(t *testing.T) {
	dir := t.TempDir()
	file := func(path, text string) string {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := `{"peft_type":"LORA","r":2,"lora_alpha":2}`
	file("pickle/adapter_config.json", config)
	file("pickle/adapter_model.bin", "\x80")
	file("bare/adapter_config.json", config)
	file("damaged/adapter_config.json", config)
	file("damaged/adapter_model.safetensors", "xxxx")
	file("none/notes.txt", "x")
	for path, parts := range map[string][]string{
		"/nonexistent":                     {"adapter /nonexistent", "no such file"},
		filepath.Join(dir, "pickle"):       {"adapter_model.bin", "safe_serialization"},
		filepath.Join(dir, "bare"):         {"adapter_model.safetensors"},
		filepath.Join(dir, "damaged"):      {"adapter_model.safetensors"},
		filepath.Join(dir, "none"):         {"expected a directory with adapter_config.json"},
		file("text", "x"):                  {"no adapter"},
		adapterBase:                        {"a whole model"},
		adapterBase + "/model.safetensors": {"no adapter"},
	} {
		a, err := OpenAdapter(path)
		wantParts(t, path, err, parts)
		if err == nil {
			a.Close()
		}
	}
	for _, path := range []string{adapterOf, filepath.Join(adapterOf, adapterWeightsName)} {
		a, err := OpenAdapter(path)
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
	}
}

// TestNewAdapter tells which names there are.
func TestNewAdapter(t *testing.T) {
	c, err := model.Shape("gpt2")
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		targets []string
		parts   []string
	}{
		"all": {[]string{AllLinear}, nil}, "an end": {[]string{"attn.c_proj"}, nil}, "none": {nil, []string{"c_attn, c_proj, c_fc"}},
		"of another": {[]string{"c_attn", "q_proj"}, []string{`"q_proj"`, "GPT-2", "c_attn, c_proj, c_fc"}}, "half a name": {[]string{"attn"}, []string{`"attn"`}},
	} {
		_, err := NewAdapter(c, LoRA{Rank: 2, Alpha: 2, Targets: x.targets}, 1)
		wantParts(t, name, err, x.parts)
	}
}

// FuzzAdapterConfig: no text makes it panic, and what is read is valid and comes back from what is written.
func FuzzAdapterConfig(f *testing.F) {
	for _, name := range []string{"lora-llama", "lora-gpt2", "lora-phi3"} {
		text, err := os.ReadFile(filepath.Join("../testdata", name, adapterConfigName))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"peft_type":"LORA","r":8,"alpha_pattern":{"a|b":2,"(":1}}`))
	f.Add([]byte(`{"peft_type":"LORA","r":2,"rank_pattern":{"b\ud800":1,"a\n<&":3,"a":2}}`))
	f.Add([]byte("{\"peft_type\":\"LORA\",\"r\":2,\"rank_pattern\":{\"b\xff\":1,\"a\":2}}"))
	f.Add([]byte(`{"peft_type":"LORA","use_dora":true,"init_lora_weights":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parseAdapterConfig(text)
		if err != nil {
			return
		}
		if err := l.Validate(); err != nil {
			t.Errorf("what was read is not valid: %v", err)
		}
		l.scale("model.layers.0.self_attn.q_proj")
		written, err := l.json(l.Targets, false)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseAdapterConfig(written)
		same := func(a, b pattern) bool { return a.text == b.text && a.value == b.value }
		if err != nil || again.Rank != l.Rank || again.Alpha != l.Alpha || !slices.EqualFunc(again.ranks, l.ranks, same) || !slices.EqualFunc(again.alphas, l.alphas, same) {
			t.Errorf("%s is read as %+v (%v), expected %+v", written, again, err, l)
		}
	})
}
