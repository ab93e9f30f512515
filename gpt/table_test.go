package gpt_test

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/checkpoint"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/checkpoint/tensorfile"
	"caldera/gpt/model"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// tableColumns are the columns of the table in README, for each of tableFormats.
var (
	tableColumns = [][]backend.DType{{backend.F32}, {backend.F16, backend.BF16}, {backend.Q8_0}, {backend.Q4_K_M}}
	tableDTypes  = slices.Concat(tableColumns...)
	tableFormats = []string{"directory", "GGUF"}
)

// tableBackends are how README calls the devices of devicetest.EachBackend.
var tableBackends = map[string]string{"cpu": "cpu", "lavapipe": "vulkan"}

// TestTable has a test for each cell of the table in README: TestTable/llama/cpu/GGUF/q8_0 and so on. Each
// folder of testdata/table is a model of a family, whose scores, for a prompt and for single tokens behind it,
// are held to PyTorch's in float64; those of quantised weights to PyTorch's of the same blocks, widened.
// f16 and bf16 hold the weights exactly, so that all cells have the tolerance of f32. A directory is stored in
// f32 where its weights are quantised while they are read.
func TestTable(t *testing.T) {
	held := map[string]bool{}
	names, err := filepath.Glob("testdata/table/*/config.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = filepath.Dir(name)
		t.Run(filepath.Base(name), func(t *testing.T) {
			want := gpttest.Expected(t, name)
			ids := numbers(want.Ints(t, "input_ids"))
			paths, family := tablePaths(t, name)
			held[family] = true
			devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
				for _, format := range tableFormats {
					for _, d := range tableDTypes {
						t.Run(format+"/"+d.String(), func(t *testing.T) {
							figures := "scores"
							if d.Quantized() {
								figures += "." + d.String()
							}
							scores := want.Floats(t, figures)
							rows := want.Shape(figures)[0]
							for i, got := range tableScores(t, b, paths[format][d], d, ids, rows) {
								n := len(scores) / rows
								gpttest.CheckNear(t, fmt.Sprintf("scores after token %d", len(ids)-rows+i), got, scores[i*n:][:n], 1e-5)
							}
						})
					}
				}
			})
		})
	}
	for _, f := range model.Families() {
		if !held[f.Name] && len(held) == len(names) {
			t.Errorf("no folder of testdata/table has a model of %s: give make.sh there a line for it", f.Name)
		}
	}
}

// tableScores loads the model at path with matrices as d, and returns the scores after each of the last n of
// ids: what comes before is read at once with the first of these, the others are read one by one.
func tableScores(t *testing.T, b backend.Backend, path string, d backend.DType, ids []int, n int) (scores [][]float32) {
	m, err := gpt.Load(t.Context(), b, path, gpt.LoadOptions{DType: d, Activations: backend.F32})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if most, _ := d.Mixture(); m.DType() != most {
		t.Errorf("matrices are kept as %v, expected %v", m.DType(), most)
	}
	s, err := gpt.NewSession(m, gpt.SessionOptions{Cache: backend.F32})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for read := len(ids) - n + 1; read <= len(ids); read++ {
		last, err := s.Feed(t.Context(), ids[s.Len():read]...)
		if err != nil {
			t.Fatal(err)
		}
		scores = append(scores, slices.Clone(last))
	}
	return scores
}

// tablePaths makes the model that scripts/reference_table.py has figures of, in each format and dtype, and
// returns where they are, and the model's family.
func tablePaths(t *testing.T, name string) (paths map[string]map[backend.DType]string, family string) {
	text, err := os.ReadFile(filepath.Join(name, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	d := gpttest.Directory{}
	if err := json.Unmarshal(text, &d.Config); err != nil {
		t.Fatal(err)
	}
	config, err := checkpoint.ReadConfig(os.DirFS(name))
	if err != nil {
		t.Fatal(err)
	}
	random, err := checkpoint.Random(config, 1)
	if err != nil {
		t.Fatal(err)
	}
	d.Tensors = gpttest.ReadDirectory(t, gpttest.SaveDir(t, random, backend.F32)).Tensors // for their names and shapes
	for i := range d.Tensors {
		d.Tensors[i].Data = gpttest.Encode(safetensors.F32, tableWeights(d.Tensors[i].Name, d.Tensors[i].Shape))
	}
	dir := d.Write(t)
	c := gpttest.OpenCheckpoint(t, dir)
	directories, files := map[backend.DType]string{}, map[backend.DType]string{}
	for _, d := range tableDTypes {
		if directories[d] = dir; !d.Quantized() {
			directories[d] = gpttest.SaveDir(t, c, d)
		}
		files[d] = filepath.Join(t.TempDir(), "model.gguf")
		if err := c.SaveGGUF(t.Context(), files[d], checkpoint.SaveOptions{DType: d, Warn: func(string) {}}); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]map[backend.DType]string{tableFormats[0]: directories, tableFormats[1]: files}, config.Family
}

// tableWeights are the numbers of the tensor of that name: scripts/reference_table.py tells the rule.
func tableWeights(name string, shape []int) []float32 {
	seed := fnv.New64a()
	seed.Write([]byte(name))
	x := make([]float32, tensorfile.Elements(shape))
	for i := range x {
		h := seed.Sum64() ^ uint64(i)*0x9e3779b97f4a7c15
		h = (h ^ h>>32) * 0xd6e8feb86659fd93
		n := int((h^h>>32)%255) - 127
		if x[i] = float32(n) / 1024; len(shape) == 1 && strings.HasSuffix(name, ".weight") {
			x[i] = 1 + float32(n>>3)/128 // rounded down
		}
	}
	return x
}

// TestTablePublished holds the table in README to the cells that TestTable has.
func TestTablePublished(t *testing.T) {
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- families: TestTable of gpt -->\n", "<!-- end -->"
	_, rest, found := strings.Cut(string(page), begin)
	got, _, closed := strings.Cut(rest, end)
	if want := publishedTable(); !found || !closed || got != want {
		t.Errorf("README.md has, between %q and %q:\n%s\nexpected\n%s", begin, end, got, want)
	}
}

// publishedTable is the table in Markdown: a row for each family, and in each cell the backends.
func publishedTable() string {
	var backends []string
	for _, name := range tableBackends {
		backends = append(backends, name)
	}
	slices.Sort(backends)
	head, line, row := "| family |", "|---|", ""
	for _, format := range tableFormats {
		for _, dtypes := range tableColumns {
			head += " " + format + ":" // the dtypes follow
			for i, d := range dtypes {
				head += []string{" ", ", "}[min(i, 1)] + d.String()
			}
			head += " |"
			line += "---|"
			row += " " + strings.Join(backends, " ") + " |"
		}
	}
	rows := []string{head, line}
	for _, f := range model.Families() {
		rows = append(rows, "| "+f.Title+" |"+row)
	}
	return strings.Join(rows, "\n") + "\n"
}
