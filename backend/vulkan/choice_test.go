//go:build cgo

package vulkan

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/internal/gpulab"
	"caldera/shaders"
)

// Of the table of choices: its file, and a variable with which the test writes it.
const (
	choicesFile  = "testdata/choices.txt"
	writeChoices = "CALDERA_WRITE_CHOICES"
)

// modelProduct is a product of a model: its name, inputs and outputs, and what is joined with it for one token.
type modelProduct struct {
	name    string
	in, out int
	joined  joined
}

// modelProducts are those of models, a layer's and the head's.
var modelProducts = []struct {
	name     string
	products []modelProduct
}{
	{"gpt2", gpt2Products(768)}, {"gpt2-xl", gpt2Products(1600)},
	{"llama-3.2-1b", []modelProduct{
		{"qkv", 2048, 3072, joined{norm: 2, apart: 32, head: 64, cache: backend.F16}}, {"v of another type", 2048, 512, joined{norm: 2, cache: backend.F16}},
		{"out", 2048, 2048, joined{}}, {"gate and up", 2048, 16384, joined{norm: 2, gate: true}},
		{"down", 8192, 2048, joined{}}, {"head", 2048, 128256, joined{norm: 2}},
	}},
}

func gpt2Products(width int) []modelProduct {
	return []modelProduct{
		{"qkv", width, 3 * width, joined{norm: 1, cache: backend.F16}}, {"out", width, width, joined{}}, {"up", width, 4 * width, joined{norm: 1}},
		{"down", 4 * width, width, joined{}}, {"head", width, 50257, joined{norm: 1}},
	}
}

// choosing are numbers of rows of products, and the weights with which each is shown.
var choosing = []struct {
	rows    int
	normed  bool // of more than one row: only the products with a norm, which is joined
	weights []backend.DType
}{
	{1, false, []backend.DType{backend.F16, backend.Q8_0, backend.Q4_0, backend.Q4_K, backend.Q6_K}},
	{2, true, []backend.DType{backend.F16, backend.Q4_0, backend.Q4_K}},
	{8, false, []backend.DType{backend.F16, backend.Q8_0, backend.Q4_0, backend.Q4_K}},
	{20, false, []backend.DType{backend.F16, backend.Q8_0}},
	{512, false, []backend.DType{backend.F16, backend.Q8_0, backend.Q4_0, backend.Q4_K}},
}

// choiceTable is the table of choices that is written.
type choiceTable struct{ strings.Builder }

// add adds what cards take for an op, the cards by what they take.
func (table *choiceTable) add(t *testing.T, title string, choice func(card string, l *Limits) string) {
	fmt.Fprintf(table, "\n%s\n", title)
	byChoice := map[string][]string{}
	var order []string
	for _, card := range gpulab.Cards {
		l := cardLimits(t, card.Name)
		name := choice(card.Name, &l)
		if byChoice[name] == nil {
			order = append(order, name)
		}
		byChoice[name] = append(byChoice[name], card.Name)
	}
	for _, name := range order {
		fmt.Fprintf(table, "  %s: %s\n", name, strings.Join(byChoice[name], " "))
	}
}

// TestChoices shows what each played card takes for the products and the attention of models: a token of one sequence, of
// two, of eight and of twenty, and a prompt. What it shows is in testdata, so that a change of a rule is seen on every card.
func TestChoices(t *testing.T) {
	var table choiceTable
	table.WriteString("# What played cards take for the products and the attention of models: see TestChoices.\n")
	for _, m := range modelProducts {
		for _, c := range choosing {
			for _, w := range c.weights {
				for _, of := range m.products {
					p := product{rows: c.rows, in: of.in, out: of.out, x: backend.F32, w: w, fours: true, whole: true}
					switch {
					case c.rows == 1:
						p.joined, p.eights = of.joined, true
					case c.normed && of.joined.norm == 0:
						continue
					case c.normed:
						p.joined.norm = of.joined.norm
					case c.rows > fewRows:
						p.rounded, p.aligned = true, true
					}
					table.add(t, fmt.Sprintf("%s, %s: %v", m.name, of.name, &p), func(card string, l *Limits) string {
						before, p := "", p
						if p.rounded && len(l.choices(&p)) == 0 {
							p.rounded, before = false, "round, then "
						}
						if list := l.choices(&p); len(list) > 0 {
							checkChoices(t, card, l, &p, list)
							return before + list[0].String()
						}
						if p.joined == (joined{}) {
							t.Errorf("%s: no kernel for %v", card, &p)
						}
						return "as simpler ops"
					})
				}
			}
		}
	}
	attentionChoices(t, &table)
	if os.Getenv(writeChoices) != "" {
		if err := os.WriteFile(choicesFile, []byte(table.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(choicesFile)
	if err != nil {
		t.Fatal(err)
	}
	got, old := strings.Split(table.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(old)) {
		if i >= len(got) || i >= len(old) || got[i] != old[i] {
			t.Fatalf("line %d of %s is no longer what cards take: if that is meant, write it with %s=1\nis:  %q\nwas: %q",
				i+1, choicesFile, writeChoices, at(got, i), at(old, i))
		}
	}
}

// attentionChoices writes what cards take for attention, with keys and values in f16: of prompts, and of one query in
// contexts; and how the kernels for several queries divide their work.
func attentionChoices(t *testing.T, table *choiceTable) {
	buf := &buffer{block: &block{}} // no memory is behind it
	for _, m := range []struct {
		name                string
		heads, groups, size int
	}{{"gpt2", 12, 12, 64}, {"gpt2-xl", 25, 25, 64}, {"llama-3.2-1b", 32, 8, 64}, {"llama-3.1-8b", 32, 8, 128}} {
		for _, c := range []struct{ queries, keys int }{{1, 512}, {1, 1024}, {1, 8192}, {16, 16}, {512, 512}, {4096, 4096}} {
			q := backend.Of(nil, backend.F32, 0, 1, c.queries, m.heads*m.size)
			kv := backend.Of(nil, backend.F16, 0, 1, c.keys, m.groups*m.size)
			op := &backend.Attention{Heads: m.heads, Dst: q, Q: q, K: kv, V: kv, At: backend.Of(nil, backend.I32, 0, 2, c.queries)}
			table.add(t, fmt.Sprintf("%s: %s", m.name, attentionName(op)), func(_ string, l *Limits) string {
				e := &encoder{b: &Backend{limits: *l, dummy: buf}, dry: buf}
				first := e.attentionChoices(&attentionPart{op, op, 0, 0})[0]
				switch first.source {
				case "attention_matrix":
					s, _ := shapeMatrixAttention(l, op)
					return fmt.Sprintf("%v, %d lanes, %d heads, subgroups of %d", &first, s.Lanes, s.Heads, s.SubgroupSize)
				case "attention_tile":
					s, _ := shapeTile(l, op)
					return fmt.Sprintf("%v, %d lanes, %d heads", &first, s.Lanes, s.Heads)
				}
				return first.String()
			})
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "the end"
}

// checkChoices holds all ways to compute a product on a card to its limits: each is another pipeline, and
// at the end there is one with neither subgroups nor anything that not all devices have.
func checkChoices(t *testing.T, card string, l *Limits, p *product, list []linearChoice) {
	t.Helper()
	if t.Failed() {
		return // one fault is often one of all cards
	}
	names := map[string]bool{}
	for _, c := range list {
		fault := func(format string, args ...any) {
			t.Errorf("%s, %v: %v: %s", card, p, &c, fmt.Sprintf(format, args...))
		}
		if names[c.String()] {
			fault("there are two of that name")
		}
		names[c.String()] = true
		spec := c.pipeline(l, p)
		lanes := max(c.lanes, 1) * max(c.lanesY, 1)
		if c.tile > 0 {
			lanes = 256
			if m, ok := spec.spec.(shaders.LinearMatrixSpec); ok {
				lanes = m.Lanes
			}
		}
		if lanes > l.Invocations || c.rows < 1 || c.outs < 1 {
			fault("%d lanes, %d rows, %d outputs", lanes, c.rows, c.outs)
		}
		if groups := (p.out + c.outs - 1) / c.outs; c.source == "linear_one" && groups > int(l.Groups[0]) {
			fault("%d workgroups", groups)
		}
	}
	if last := list[len(list)-1]; p.joined == (joined{}) && !p.rounded && (last.subgroup || last.fours || last.texel || last.xTexel || last.tile > 0) {
		t.Errorf("%s, %v: the last way to compute it is %v, expected the plainest", card, p, &last)
	}
}

// TestVaryingSubgroups: a device whose pipelines have subgroups of several sizes, and that cannot be
// asked for one, has no kernels that are compiled for one size.
func TestVaryingSubgroups(t *testing.T) {
	l := cardLimits(t, "tgl")
	p := product{rows: 1, in: 768, out: 768, x: backend.F32, w: backend.F16, fours: true, eights: true}
	if first := l.choices(&p)[0]; first.source != "linear_one" {
		t.Errorf("one row takes %v", &first)
	}
	l.SubgroupRange, l.SubgroupVaries = [2]int{}, true
	for _, c := range l.choices(&p) {
		if c.source == "linear_one" {
			t.Errorf("%v is a choice", &c)
		}
	}
}

// TestTunedChoice: what was measured goes before the rule, if it still is a choice.
func TestTunedChoice(t *testing.T) {
	l := cardLimits(t, "ampere")
	p := product{rows: 1, in: 768, out: 768, x: backend.F32, w: backend.F16, fours: true, eights: true}
	list := l.choices(&p)
	measured := tuning{p.String(): list[3].String()}
	got := tunedFirst(measured, p.String, l.choices(&p), (*linearChoice).String)
	if got[0] != list[3] || got[1] != list[0] || len(got) != len(list) {
		t.Errorf("%v goes first, then %v, of %d", &got[0], &got[1], len(got))
	}
	for _, name := range []string{"", "linear_one subgroup, 1024 lanes, 4 outputs", "linear_texel"} {
		measured[p.String()] = name
		if got := tunedFirst(measured, p.String, l.choices(&p), (*linearChoice).String); got[0] != list[0] {
			t.Errorf("measured was %q, which is no choice: %v goes first", name, &got[0])
		}
	}
}
