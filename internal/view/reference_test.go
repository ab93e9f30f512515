package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/inspect"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// tolerance on ‖out − reference‖ / ‖reference‖, that of all forward passes in f32.
const tolerance = 1e-5

// reference is a checkpoint of which PyTorch computed figures in float64, and what the
// views say of it.
type reference struct {
	in       *inspect.Inspector
	expected gpttest.Figures // what the model computes
	seen     gpttest.Figures // what can be seen while it reads tokens
	text     string          // these tokens, as a parameter
	time     int
}

// TestReferences holds the JSON of views to PyTorch's figures. scripts/reference.py
// defines these.
func TestReferences(t *testing.T) {
	views := map[string]func(*reference, *testing.T){
		"lens": (*reference).lens, "attribution": (*reference).attribution, "ablation": (*reference).ablation,
		"next": (*reference).next, "attention": (*reference).attention, "embed": (*reference).embed,
		"mlp": (*reference).mlp, "context": (*reference).context, "forget": (*reference).forget,
	}
	devicetest.EachBackend(t, func(t *testing.T, b backend.Backend) {
		for _, name := range gpttest.References {
			dir := "../../gpt/testdata/" + name
			r := &reference{
				in:       inspect.New(gpttest.Load(t, b, dir, backend.F32), nil, inspect.Options{}),
				expected: gpttest.Expected(t, dir), seen: gpttest.Inspected(t, dir),
			}
			defer r.in.Close()
			r.time = r.expected.Shape("input_ids")[1]
			r.text = "tokens=" + list(r.expected.Ints(t, "input_ids")[:r.time])
			for view, test := range views {
				t.Run(name+"/"+view, func(t *testing.T) { test(r, t) })
			}
		}
	})
}

// list are numbers with commas between.
func list[T int32 | float32](numbers []T) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ","), "[]")
}

// ask asks a view, and returns its result as JSON has it.
func (r *reference) ask(t *testing.T, view, format string, args ...any) any {
	t.Helper()
	var out bytes.Buffer
	var a struct{ Result any }
	if err := WriteJSON(&out, answer(t, r.in, view+"?"+fmt.Sprintf(format, args...), Options{})); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	return a.Result
}

// at lists what is at a path in JSON, such as "blocks.1.*.score": * stands for all
// elements of a list.
func at(t *testing.T, v any, format string, args ...any) []any {
	t.Helper()
	path := fmt.Sprintf(format, args...)
	found := []any{v}
	for _, key := range strings.Split(path, ".") {
		var next []any
		for _, v := range found {
			switch v := v.(type) {
			case map[string]any:
				x, ok := v[key]
				if !ok {
					t.Fatalf("there is no %q on the way to %s", key, path)
				}
				next = append(next, x)
			case []any:
				if key == "*" {
					next = append(next, v...)
				} else if i, err := strconv.Atoi(key); err == nil && i < len(v) {
					next = append(next, v[i])
				} else {
					t.Fatalf("there is no element %s of %d on the way to %s", key, len(v), path)
				}
			default:
				t.Fatalf("%v on the way to %s has no %q", v, path, key)
			}
		}
		found = next
	}
	return found
}

// floats are the numbers at a path.
func floats(t *testing.T, v any, format string, args ...any) (list []float32) {
	t.Helper()
	for _, x := range at(t, v, format, args...) {
		f, ok := x.(float64)
		if !ok {
			t.Fatalf("%v at "+format+" is not a number", append([]any{x}, args...)...)
		}
		list = append(list, float32(f))
	}
	return list
}

// ints are the integers at a path.
func ints(t *testing.T, v any, format string, args ...any) (list []int32) {
	t.Helper()
	for _, x := range floats(t, v, format, args...) {
		if x != float32(int32(x)) {
			t.Fatalf("%v at "+format+" is not an integer", append([]any{x}, args...)...)
		}
		list = append(list, int32(x))
	}
	return list
}

// checkIDs compares the ids of tokens.
func checkIDs(t *testing.T, name string, got, want []int32) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, expected %v", name, got, want)
	}
}

// pick are the elements of a row that ids stand for.
func pick(row []float32, ids ...int32) (list []float32) {
	for _, id := range ids {
		list = append(list, row[id])
	}
	return list
}

// lens holds what the model would say after each block.
func (r *reference) lens(t *testing.T) {
	v := r.ask(t, "lens", "%s&show=lens&positions=0&top=3", r.text)
	positions, layers, vocab := r.seen.Ints(t, "lens.positions"), r.in.Model.Layers, r.in.Model.Vocab
	last := r.seen.Floats(t, fmt.Sprintf("lens.%d", layers))
	for i := range layers + 1 {
		name := fmt.Sprintf("lens.%d", i)
		figures := r.seen.Floats(t, name)
		var scores, probs, entropies, divergences, top []float32
		var answers, best []int32
		var ranks []float32
		for _, p := range positions {
			cell := at(t, v, "lens.blocks.%d.%d", i, p)[0]
			answers = append(answers, ints(t, v, "lens.answers.%d.id", p)...)
			scores = append(scores, floats(t, cell, "score")...)
			probs = append(probs, floats(t, cell, "prob")...)
			ranks = append(ranks, floats(t, cell, "rank")...)
			entropies = append(entropies, floats(t, cell, "entropy")...)
			divergences = append(divergences, floats(t, cell, "kl")...)
			best = append(best, ints(t, cell, "top.0.id")...)
			top = append(top, floats(t, cell, "top.0.score")...)
		}
		var want struct{ scores, top, probs, ranks, entropies, divergences []float32 }
		var answer, likeliest []int32
		for j := range positions {
			row, said := figures[j*vocab:(j+1)*vocab], last[j*vocab:(j+1)*vocab]
			id := largest(said)
			answer, likeliest = append(answer, id), append(likeliest, largest(row))
			want.scores, want.top = append(want.scores, row[id]), append(want.top, row[largest(row)])
			logs, final := logProbs(row), logProbs(said)
			rank, entropy, divergence := 1, 0.0, 0.0
			for k, l := range logs {
				entropy -= math.Exp(l) * l
				divergence += math.Exp(final[k]) * (final[k] - l)
				if l > logs[id] {
					rank++
				}
			}
			want.probs = append(want.probs, float32(math.Exp(logs[id])))
			want.ranks = append(want.ranks, float32(rank))
			want.entropies = append(want.entropies, float32(entropy))
			want.divergences = append(want.divergences, float32(divergence))
		}
		checkIDs(t, name+": answers", answers, answer)
		checkIDs(t, name+": likeliest", best, likeliest)
		gpttest.CheckNear(t, name+": scores of the answers", scores, want.scores, tolerance)
		gpttest.CheckNear(t, name+": scores of the likeliest", top, want.top, tolerance)
		gpttest.CheckNear(t, name+": probabilities", probs, want.probs, 10*tolerance) // e to the power of scores of up to 10
		gpttest.CheckNear(t, name+": ranks", ranks, want.ranks, 0)
		gpttest.CheckNear(t, name+": entropies", entropies, want.entropies, 10*tolerance)
		if i < layers {
			gpttest.CheckNear(t, name+": divergences", divergences, want.divergences, 10*tolerance)
		} else if n := norm(divergences); n != 0 {
			t.Errorf("%s: the last distribution differs from itself by %g", name, n)
		}
	}
}

func largest(row []float32) int32 {
	best := 0
	for i, v := range row {
		if v > row[best] {
			best = i
		}
	}
	return int32(best)
}

func logProbs(row []float32) []float64 {
	sum := 0.0
	for _, v := range row {
		sum += math.Exp(float64(v))
	}
	logs := make([]float64, len(row))
	for i, v := range row {
		logs[i] = float64(v) - math.Log(sum)
	}
	return logs
}

func norm(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// attribution holds what each part of the model added to a score, and their sum.
func (r *reference) attribution(t *testing.T) {
	m := r.in.Model
	figures, n := r.seen.Floats(t, "attribution"), r.seen.Shape("attribution")[1]
	for i, position := range r.seen.Ints(t, "attribution.positions") {
		token := r.seen.Ints(t, "attribution.tokens")[i]
		v := r.ask(t, "lens", "%s&show=attribution&position=%d&answer=%d", r.text, position, token)
		checkIDs(t, "token", ints(t, v, "attribution.token.id"), []int32{token})
		got, want := make([]float32, n), figures[i*n:(i+1)*n]
		for _, row := range at(t, v, "attribution.rows.*") {
			block := 2 + int(ints(t, row, "block")[0])*(m.Heads+3)
			to := map[string]int{
				"token embedding": 0, "position embedding": 1, "attention bias": block + m.Heads,
				"mlp": block + m.Heads + 1, "mlp bias": block + m.Heads + 2, "shift": n - 1,
			}
			part := at(t, row, "part")[0].(string)
			if part == "attention" {
				copy(got[block:block+m.Heads], floats(t, row, "heads.*"))
				continue
			}
			place, ok := to[part]
			if !ok || got[place] != 0 {
				t.Errorf("part %q of block %v is unknown, or there twice", part, at(t, row, "block"))
			}
			got[place] = floats(t, row, "score")[0]
		}
		gpttest.CheckNear(t, fmt.Sprintf("position %d", position), got, want, tolerance)
		sum := 0.0
		for _, v := range want {
			sum += float64(v)
		}
		for _, name := range []string{"score", "sum"} { // relative to the parts, of which some cancel each other
			if d := math.Abs(float64(floats(t, v, "attribution.%s", name)[0]) - sum); d > tolerance*norm(want) {
				t.Errorf("position %d: %s is off by %g", position, name, d)
			}
		}
	}
}

// ablation holds the scores without parts of the model.
func (r *reference) ablation(t *testing.T) {
	checked := 0
	for _, kind := range []string{"heads", "attention", "mlp", "blocks"} {
		v := r.ask(t, "lens", "%s&show=ablation&each=%s&top=100", r.text, kind)
		for _, a := range at(t, v, "each.*") {
			name := "without." + at(t, a, "off.0")[0].(string)
			if kind == "blocks" {
				name += ".block"
			}
			if r.seen.Shape(name) == nil {
				continue // there are figures of two heads of each block
			}
			figures := r.seen.Floats(t, name)
			ids := ints(t, a, "after.top.*.id")
			if want := min(100, len(figures)); len(ids) != want {
				t.Fatalf("%s: %d tokens, expected %d", name, len(ids), want)
			}
			gpttest.CheckNear(t, name, floats(t, a, "after.top.*.score"), pick(figures, ids...), tolerance)
			if ids[0] != largest(figures) {
				t.Errorf("%s: the likeliest is %d, expected %d", name, ids[0], largest(figures))
			}
			checked++
		}
	}
	if want := r.in.Model.Layers * (3 + min(r.in.Model.Heads, 2)); checked != want {
		t.Errorf("%d parts were switched off, expected %d", checked, want)
	}
}

// next holds what is expected after every position, and what came.
func (r *reference) next(t *testing.T) {
	temperatures := r.seen.Floats(t, "next.temperatures")
	ids, probs := r.seen.Ints(t, "next.ids"), r.seen.Floats(t, "next.probabilities")
	last := r.time - 1
	for _, position := range []int{0, last / 2, last} {
		v := r.ask(t, "next", "%s&position=%d&top=5&temperature=%s", r.text, position, list(temperatures))
		for i, temperature := range temperatures {
			from := (i*r.time + position) * 5
			name := fmt.Sprintf("position %d, temperature %v", position, temperature)
			checkIDs(t, name, ints(t, v, "temperatures.%d.tokens.*.id", i), ids[from:from+5])
			gpttest.CheckNear(t, name, floats(t, v, "temperatures.%d.tokens.*.prob", i), probs[from:from+5], 10*tolerance)
			gpttest.CheckNear(t, name+", drawn", floats(t, v, "temperatures.%d.tokens.*.drawn", i), probs[from:from+5], 10*tolerance)
		}
		if position != last {
			continue
		}
		var ranks, surprises []float32
		for i := range last {
			ranks = append(ranks, floats(t, v, "positions.%d.rank", i)...)
			surprises = append(surprises, floats(t, v, "positions.%d.surprise", i)...)
		}
		var want []float32
		for _, above := range r.seen.Ints(t, "next.rank") {
			want = append(want, float32(above+1))
		}
		gpttest.CheckNear(t, "ranks", ranks, want, 0)
		gpttest.CheckNear(t, "surprises", surprises, r.seen.Floats(t, "next.surprise"), tolerance)
		gpttest.CheckNear(t, "entropies", floats(t, v, "positions.*.entropy"), r.seen.Floats(t, "next.entropy"), 10*tolerance)
		from := r.time * 5 // the figures at temperature 1
		checkIDs(t, "likeliest", ints(t, v, "positions.*.top.*.id"), ids[from:2*from])
		gpttest.CheckNear(t, "probabilities", floats(t, v, "positions.*.top.*.prob"), probs[from:2*from], 10*tolerance)
	}
}

// attention holds maps, weighted by values or not.
func (r *reference) attention(t *testing.T) {
	heads := r.in.Model.Heads
	for layer := range r.in.Model.Layers {
		probs, weighted := fmt.Sprintf("attn.%d", layer), fmt.Sprintf("weighted.%d", layer)
		for name, figures := range map[string][]float32{
			probs:    r.expected.Floats(t, probs)[:heads*r.time*r.time],
			weighted: r.seen.Floats(t, weighted),
		} {
			v := r.ask(t, "attention", "%s&layer=%d&weighted=%t", r.text, layer, name == weighted)
			var got []float32
			for h := range heads {
				for i := range r.time {
					row := make([]float32, r.time)
					copy(row, floats(t, v, "heads.%d.map.%d.*", h, i))
					got = append(got, row...)
				}
			}
			gpttest.CheckNear(t, name, got, figures, tolerance)
		}
	}
}

// embed holds which tokens are near to each other, a direction and a map.
func (r *reference) embed(t *testing.T) {
	vocab := r.in.Model.Vocab
	words := r.seen.Ints(t, "embed.tokens")
	all := r.seen.Floats(t, "embed.cosines")
	v := r.ask(t, "embed", "%s&nearest=100", repeat("word", words))
	for i, id := range words {
		figures := all[i*vocab : (i+1)*vocab]
		checkIDs(t, "word", ints(t, v, "words.%d.tokens.*.id", i), []int32{id})
		near := ints(t, v, "words.%d.nearest.*.id", i)
		if want := min(100, vocab-1); len(near) != want { // all but the word
			t.Errorf("%d neighbours of %d, expected %d", len(near), id, want)
		}
		gpttest.CheckNear(t, fmt.Sprintf("neighbours of %d", id), floats(t, v, "words.%d.nearest.*.cosine", i), pick(figures, near...), tolerance)
		gpttest.CheckNear(t, fmt.Sprintf("words and %d", id), floats(t, v, "cosines.%d.*", i), pick(figures, words...), tolerance)
	}

	d := r.seen.Ints(t, "embed.direction")
	figures := r.seen.Floats(t, "embed.direction.cosines")
	v = r.ask(t, "embed", "word=%%23%d - %%23%d %%2B %%23%d&nearest=100", d[0], d[1], d[2])
	place := map[int32]int32{} // of each token, by its rank
	for _, list := range []string{"nearest", "excluded"} {
		ids := ints(t, v, "sum.%s.*.id", list)
		gpttest.CheckNear(t, "cosines of the sum", floats(t, v, "sum.%s.*.cosine", list), pick(figures, ids...), tolerance)
		for i, rank := range ints(t, v, "sum.%s.*.rank", list) {
			place[rank] = ids[i]
		}
	}
	var nearest []int32
	for rank := range int32(10) {
		nearest = append(nearest, place[rank+1])
	}
	checkIDs(t, "the nearest to the sum", nearest, r.seen.Ints(t, "embed.direction.nearest"))

	words = r.seen.Ints(t, "embed.projected")
	v = r.ask(t, "embed", "%s&on=%d,%d&nearest=0", repeat("word", words), d[1], d[0])
	gpttest.CheckNear(t, "projections", floats(t, v, "direction.projections.*.length"), r.seen.Floats(t, "embed.projections"), tolerance)

	v = r.ask(t, "embed", "%s&nearest=0", repeat("word", r.seen.Ints(t, "embed.map")))
	var points []float32
	for _, p := range at(t, v, "map.points.*") {
		points = append(points, floats(t, p, "x")[0], floats(t, p, "y")[0])
	}
	gpttest.CheckNear(t, "map", points, r.seen.Floats(t, "embed.map.points"), tolerance)
	gpttest.CheckNear(t, "share of the variance", floats(t, v, "map.explained.*"), r.seen.Floats(t, "embed.map.share"), tolerance)
}

// repeat is a parameter that is given several times.
func repeat(name string, ids []int32) string {
	var all []string
	for _, id := range ids {
		all = append(all, fmt.Sprintf("%s=%d", name, id))
	}
	return strings.Join(all, "&")
}

// mlp holds the strongest answers, and which tokens one of them writes.
func (r *reference) mlp(t *testing.T) {
	layer, position := r.seen.Ints(t, "mlp.layer")[0], r.seen.Ints(t, "mlp.position")[0]
	v := r.ask(t, "mlp", "%s&layer=%d&position=%d&top=10&writes=100", r.text, layer, position)
	checkIDs(t, "neurons", ints(t, v, "answers.layers.0.answers.*.neuron"), r.seen.Ints(t, "mlp.units"))
	gpttest.CheckNear(t, "answers", floats(t, v, "answers.layers.0.answers.*.value"), r.seen.Floats(t, "mlp.answers"), tolerance)
	neuron := r.seen.Ints(t, "mlp.units")[0]
	n := r.ask(t, "mlp", "%s&layer=%d&neuron=%d&writes=100", r.text, layer, neuron)
	hidden := r.seen.Floats(t, fmt.Sprintf("blocks.%d.mlp.hidden", layer))
	var values []float32
	for i := range r.time {
		values = append(values, hidden[i*len(hidden)/r.time+int(neuron)])
	}
	gpttest.CheckNear(t, "answers of a neuron", floats(t, n, "neuron.values.*"), values, tolerance)
	scores := r.seen.Floats(t, "mlp.scores")
	for _, of := range []any{at(t, v, "answers.layers.0.answers.0")[0], at(t, n, "neuron")[0]} {
		for _, list := range []string{"raised", "lowered"} {
			ids := ints(t, of, "%s.*.id", list)
			gpttest.CheckNear(t, list, floats(t, of, "%s.*.score", list), pick(scores, ids...), tolerance)
			if list == "raised" {
				checkIDs(t, list, ids[:10], r.seen.Ints(t, "mlp.tokens"))
			}
		}
	}
}

// context holds how far a token's vectors in two texts move apart, and what moves them.
func (r *reference) context(t *testing.T) {
	at := r.seen.Ints(t, "context.positions")
	v := r.ask(t, "context", "ids=1&first=%s&second=%s&at=%s", list(r.seen.Ints(t, "context.first")), list(r.seen.Ints(t, "context.second")), list(at))
	gpttest.CheckNear(t, "cosine", floats(t, v, "apart.*.cosine_distance"), r.seen.Floats(t, "context.cosine"), tolerance)
	gpttest.CheckNear(t, "euclidean", floats(t, v, "apart.*.euclidean"), r.seen.Floats(t, "context.euclidean"), tolerance)
	for i, text := range []string{"first", "second"} {
		checkIDs(t, "position", ints(t, v, "%s.position", text), at[i:i+1])
		for key, name := range map[string]string{"weight": "moved", "length": "length", "away": "away"} {
			name = "context." + name + "." + text
			gpttest.CheckNear(t, name, floats(t, v, "%s.blocks.*.positions.*.%s", text, key), r.seen.Floats(t, name), tolerance)
		}
	}
}

// forget holds what is expected before a window slides that the sequence fills.
func (r *reference) forget(t *testing.T) {
	came, vocab := r.expected.Ints(t, "targets")[r.time-1], r.in.Model.Vocab
	v := r.ask(t, "forget", "%s,%d&context=%d&predict=0&top=%d", r.text, came, r.time, min(vocab, 100))
	scores := r.expected.Floats(t, "logits")[(r.time-1)*vocab : r.time*vocab]
	logs := logProbs(scores)
	gpttest.CheckNear(t, "log of the probability", floats(t, v, "slides.0.with.log_prob"), []float32{float32(logs[came])}, tolerance)
	gpttest.CheckNear(t, "scores", floats(t, v, "slides.0.with.top.*.score"), pick(scores, ints(t, v, "slides.0.with.top.*.id")...), tolerance)
	checkIDs(t, "forgotten, kept", ints(t, v, "slides.0.forgotten.to"), ints(t, v, "slides.0.kept.from"))
	checkIDs(t, "kept", ints(t, v, "slides.0.kept.from"), []int32{int32(r.time - r.time/2)})
}
