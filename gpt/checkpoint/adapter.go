package checkpoint

// Adapters on disk: a directory as PEFT writes it, adapter_config.json and
// adapter_model.safetensors, or a GGUF file as llama.cpp's convert_lora_to_gguf.py does.
// adapter_config.go has the settings, adapter_load.go puts an adapter beside the weights of a model,
// adapter_save.go writes one, and merge.go adds one to the weights of a checkpoint.

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/model"
	"caldera/internal/regular"
	"caldera/internal/strictjson"
)

// Adapter is an open LoRA adapter (Hu et al. 2021, arXiv:2106.09685): for some matrices of a
// model two thin ones, whose product is added to them.
type Adapter struct {
	LoRA          // of a GGUF file Alpha and Base alone
	Path  string  // for messages
	Scale float64 // what it adds is multiplied by this too; 1 where it is opened

	format model.Format
	file   source
	chosen string // tells that the path stood for another, and why; empty where it did not
}

const expectedAdapter = "expected a directory with " + adapterConfigName + " and " + adapterWeightsName + ", or a GGUF file of an adapter"

// OpenAdapter opens the adapter at path: a directory as PEFT has it, its file of weights, the
// folder of a training run that learned one, or a GGUF file. Files are mapped, and not
// believed. Close it when what it is for is loaded or saved.
func OpenAdapter(path string) (*Adapter, error) {
	a, err := openAdapter(path)
	if err != nil {
		return nil, fmt.Errorf("adapter %s: %w", path, err)
	}
	a.Path, a.Scale = path, 1
	return a, nil
}

func openAdapter(path string) (*Adapter, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, regular.Cause(err)
	}
	if !info.IsDir() {
		if filepath.Base(path) == adapterWeightsName {
			return openPEFT(filepath.Dir(path))
		}
		k, _, err := sniff(path)
		switch {
		case err != nil:
			return nil, regular.Cause(err)
		case k == ggufKind:
			return openGGUFAdapter(path)
		}
		return nil, fmt.Errorf("this is no adapter: %s", expectedAdapter)
	}
	if exists(filepath.Join(path, adapterConfigName)) {
		return openPEFT(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, regular.Cause(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	if run := runCheckpoint(path, names, adapterConfigName); run != "" {
		a, err := openPEFT(run)
		if err == nil {
			a.chosen = fmt.Sprintf("%s is the folder of a training run: taking %s", path, named(run))
		}
		return a, err
	}
	if slices.Contains(names, configName) || runCheckpoint(path, names, configName) != "" {
		return nil, fmt.Errorf("this is a whole model, not an adapter: %s", expectedAdapter)
	}
	return nil, errors.New(expectedAdapter)
}

// openPEFT opens a directory as PEFT has it.
func openPEFT(dir string) (*Adapter, error) {
	l, err := readAdapterConfig(os.DirFS(dir))
	if err != nil {
		return nil, err
	}
	weights := filepath.Join(dir, adapterWeightsName)
	if !exists(weights) && exists(filepath.Join(dir, "adapter_model.bin")) {
		return nil, fmt.Errorf("found adapter_model.bin, which is a program in Python's pickle format, expected %s: save it with safe_serialization", adapterWeightsName)
	}
	f, err := safetensors.Open(weights)
	if err != nil {
		return nil, err
	}
	return &Adapter{LoRA: l, format: model.HuggingFace, file: safetensorsFile{f}}, nil
}

// Keys of the metadata of an adapter.
const (
	keyGeneralType  = "general.type"
	keyAdapterType  = "adapter.type"
	keyAdapterAlpha = "adapter.lora.alpha"
	keyAdapterTask  = "adapter.alora.invocation_tokens"
)

// openGGUFAdapter opens llama.cpp's format.
func openGGUFAdapter(path string) (*Adapter, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	a, err := ggufAdapter(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return a, nil
}

func ggufAdapter(f *gguf.File) (*Adapter, error) {
	m := metadata{f}
	for _, want := range []struct{ key, value string }{{keyGeneralType, "adapter"}, {keyAdapterType, "lora"}} {
		found, _, err := m.text(want.key)
		if err != nil {
			return nil, err
		}
		if found != want.value {
			return nil, fmt.Errorf("%s: found %q, expected %q", want.key, strictjson.Shorten(found), want.value)
		}
	}
	if _, found := f.Value(keyAdapterTask); found {
		return nil, fmt.Errorf("%s is there, which is not supported: expected an adapter without", keyAdapterTask)
	}
	alpha, found, err := valueOf(m, keyAdapterAlpha, "a number", gguf.Value.Float)
	if err == nil && !found {
		err = fmt.Errorf("%s is missing: expected a number, 0 for an adapter that is multiplied by nothing", keyAdapterAlpha)
	} else if err == nil && !(math.Abs(alpha) < math.MaxFloat32) {
		err = fmt.Errorf("%s: found %v, expected a finite number", keyAdapterAlpha, alpha)
	}
	if err != nil {
		return nil, err
	}
	architecture, _, err := m.text(keyArchitecture)
	return &Adapter{LoRA: LoRA{Alpha: alpha, Base: architecture}, format: model.GGUF, file: ggufFile{f}}, err
}

// Notes are what a user should be told about the adapter that was opened, each in one line.
func (a *Adapter) Notes() (notes []string) {
	if a.chosen != "" {
		notes = append(notes, a.chosen)
	}
	return notes
}

// Close closes the file.
func (a *Adapter) Close() error { return a.file.Close() }

// NewAdapter is an adapter for models of shape c that does not change them yet: B is 0, and
// A is Kaiming-uniform, between ±1/√in, as PEFT's begins. The seed decides A, on any machine.
func NewAdapter(c model.Config, l LoRA, seed uint64) (*Adapter, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	f := c.Architecture()
	var s rows
	hit := map[string]bool{}
	var ends []string
	for i, w := range model.New(nil, c, model.Placement{}).Weights() {
		if w.Linear == nil {
			continue
		}
		module := w.Module(f)
		if end := module[strings.LastIndex(module, ".")+1:]; !slices.Contains(ends, end) {
			ends = append(ends, end)
		}
		if !l.targeted(module, hit) {
			continue
		}
		a, b := w.Thin(f, l.Rank)
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		bound := 1 / math.Sqrt(float64(w.Inputs()))
		s = append(s, made(a, func() []float32 {
			values := make([]float32, a.Elements())
			for i := range values {
				values[i] = float32((2*r.Float64() - 1) * bound)
			}
			return values
		}), made(b, func() []float32 { return make([]float32, b.Elements()) }))
	}
	for _, target := range l.Targets {
		if !hit[target] {
			return nil, fmt.Errorf("target_modules: %q is no matrix of a %s: expected %s, or some of %s", strictjson.Shorten(target), f.Title, AllLinear, strings.Join(ends, ", "))
		}
	}
	if len(s) == 0 {
		return nil, fmt.Errorf("target_modules is empty: expected %s, or some of %s", AllLinear, strings.Join(ends, ", "))
	}
	return &Adapter{LoRA: l, Path: "a new adapter", Scale: 1, format: model.HuggingFace, file: s}, nil
}

// targeted reports whether a module is one of the targets, and notes by which.
func (l LoRA) targeted(module string, hit map[string]bool) (found bool) {
	for _, target := range l.Targets {
		if target == AllLinear || module == target || strings.HasSuffix(module, "."+target) {
			hit[target], found = true, true
		}
	}
	return found
}

// thin is what an adapter has beside a matrix.
type thin struct {
	w     model.Weight // the matrix
	a, b  rawTensor
	rank  int
	scale float64
}

// match finds what the adapter has for each matrix of m, which is of the shape of the base, and
// checks that it is whole and that nothing else is there.
func (a *Adapter) match(m *model.Model) ([]thin, error) {
	f := m.Architecture()
	if a.format == model.GGUF && a.Base != f.GGUF {
		return nil, fmt.Errorf("adapter %s: %s: found %q, and the model is of %q: it is an adapter of another model", a.Path, keyArchitecture, strictjson.Shorten(a.Base), f.GGUF)
	}
	there := map[string]rawTensor{}
	for _, name := range a.file.Tensors() {
		short := a.short(f, name)
		if other, twice := there[short]; twice {
			return nil, fmt.Errorf("adapter %s: both %q and %q are there, expected one of them", a.Path, other.Name, name)
		}
		there[short] = a.file.tensor(name)
	}
	var all []thin
	known := map[string]bool{}
	for _, w := range m.Weights() {
		if w.Linear == nil {
			continue
		}
		wa, wb := w.Thin(f, 0)
		nameA, nameB := a.short(f, wa.Name(a.format)), a.short(f, wb.Name(a.format))
		ta, okA := there[nameA]
		tb, okB := there[nameB]
		if !okA && !okB {
			continue
		}
		known[nameA], known[nameB] = true, true
		t := thin{w: w, a: ta, b: tb}
		var err error
		if !okA || !okB {
			missing := wa.Name(a.format)
			if okA {
				missing = wb.Name(a.format)
			}
			err = fmt.Errorf("tensor %s is missing: expected both A and B", missing)
		} else {
			err = a.check(&t, f)
		}
		if err != nil {
			return nil, fmt.Errorf("adapter %s: %w", a.Path, err)
		}
		all = append(all, t)
	}
	for _, name := range a.file.Tensors() {
		if short := a.short(f, name); !known[short] {
			return nil, fmt.Errorf("adapter %s: tensor %q: %s", a.Path, name, stray(f, m.Layers, short))
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("adapter %s: there are no tensors in it", a.Path)
	}
	return all, nil
}

// short is the name of a tensor without what wraps the model.
func (a *Adapter) short(f *model.Family, name string) string {
	short, _ := unwrapped(f, strings.TrimPrefix(name, model.PEFTPrefix))
	return short
}

// stray says what is wrong with a tensor that is of no matrix.
func stray(f *model.Family, layers int, name string) string {
	switch last := name[strings.LastIndex(name, ".")+1:]; {
	case strings.Contains(name, "lora_magnitude_vector"):
		return "weight-decomposed adapters (DoRA) are not supported"
	case strings.Contains(name, "lora_embedding"), strings.Contains(name, "embed"), strings.HasPrefix(name, "wte."), strings.HasPrefix(name, "lm_head."), strings.HasPrefix(name, "output."):
		return "adapters of embeddings and of the unembedding are not supported, only of matrices of the blocks"
	case strings.Contains(name, "lora_") && last == "bias":
		return "adapters with biases (lora_bias) are not supported"
	case !strings.Contains(name, "lora_"):
		return "this is no part of an adapter: weights that were trained whole (modules_to_save, bias) are not supported"
	}
	return fmt.Sprintf("a %s with %d layers has no such matrix: it is an adapter of another model", f.Title, layers)
}

// check reports tensors that do not fit their matrix or the settings, and sets rank and scale.
func (a *Adapter) check(t *thin, f *model.Family) error {
	for _, x := range []rawTensor{t.a, t.b} {
		if len(x.Shape) != 2 || x.Shape[0] < 1 || x.Shape[1] < 1 {
			return fmt.Errorf("tensor %q has shape %v, expected a matrix", x.Name, x.Shape)
		}
		d, known := backend.OfFileName(x.DType), backend.PlainDTypes()
		if a.format == model.GGUF {
			known = backend.DTypes(backend.Weights) // of blocks as well
		}
		if !slices.Contains(known, d) {
			return fmt.Errorf("tensor %q has dtype %s, expected one of %s", x.Name, x.DType, strings.ToUpper(backend.JoinDTypes(known)))
		}
	}
	t.rank = t.a.Shape[0]
	t.scale = 1
	if module := t.w.Module(f); a.format == model.HuggingFace {
		if want := a.rank(module); t.rank != want {
			return fmt.Errorf("tensor %q has rank %d, expected %d by %s", t.a.Name, t.rank, want, adapterConfigName)
		}
		t.scale = a.LoRA.scale(module)
	} else if a.Alpha != 0 { // llama.cpp takes 0 for none
		t.scale = a.Alpha / float64(t.rank)
	}
	t.scale *= a.Scale
	wantA, wantB := []int{t.rank, t.w.Inputs()}, []int{t.w.Shape[0], t.rank}
	for _, x := range []struct {
		t    rawTensor
		want []int
	}{{t.a, wantA}, {t.b, wantB}} {
		if !slices.Equal(x.t.Shape, x.want) {
			return fmt.Errorf("tensor %q has shape %v, expected %v: it is an adapter of another model", x.t.Name, x.t.Shape, x.want)
		}
	}
	if math.IsInf(t.scale, 0) || math.Abs(t.scale) > math.MaxFloat32 {
		return fmt.Errorf("tensor %q is multiplied by %v, expected a finite number", t.a.Name, t.scale)
	}
	return nil
}

// numbers are those of a tensor of an adapter. One that is NaN or infinite is an error.
func (a *Adapter) numbers(t rawTensor) ([]float32, error) {
	values := make([]float32, t.Shape[0]*t.Shape[1])
	decode(values, backend.OfFileName(t.DType), t.Data())
	if i := slices.IndexFunc(values, func(v float32) bool { return v-v != 0 }); i >= 0 {
		return nil, fmt.Errorf("adapter %s: tensor %q: element %v is %v, expected a finite number", a.Path, t.Name, indexOf(i, t.Shape), values[i])
	}
	return values, nil
}
