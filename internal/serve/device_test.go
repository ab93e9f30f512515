package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/gpttest"
	"caldera/internal/view"
)

// real is a server of the embedded model on the CPU, whose memory is counted.
type real struct {
	*served
	in    *inspect.Inspector
	m     *Model
	count *gpttest.Account
	idle  int // bytes in use when nobody asks
}

func startReal(t *testing.T, o ModelOptions) *real {
	t.Helper()
	b := gpttest.OpenCPU(t)
	in := gpttest.Inspect(t, b)
	o.Vars = map[string]string{"shapes": "gpt2"}
	m := NewModel(in, o)
	r := &real{start(t, m), in, m, b, b.InUse()}
	t.Cleanup(func() {
		r.stop()
		m.Close()
		in.Close()
		if n := b.InUse(); n != r.idle {
			t.Errorf("%d bytes of the device are in use after all, %d before", n, r.idle)
		}
	})
	return r
}

// as reads the data of an event.
func as[T any](t *testing.T, e event) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(e.data))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("event %+v: %v", e, err)
	}
	return v
}

// TestSameAsCommand expects the bytes that a command prints with --json.
func TestSameAsCommand(t *testing.T) {
	s := startReal(t, ModelOptions{})
	for _, q := range []string{"tokens?text=It+is+a+truth,+%E4%B8%96%E7%95%8C", "tokens?tokens=5,17", "tally", "tally?shape=gpt2", "tokens?text=" + url.QueryEscape("<script>-- --help</script>")} {
		name, query, _ := strings.Cut(q, "?")
		v, _ := view.Find(name)
		values, _ := url.ParseQuery(query)
		p, err := view.Parse(v, values, s.m.o.Vars)
		if err != nil {
			t.Fatal(err)
		}
		a, err := view.Ask(t.Context(), s.in, v, p, view.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		view.WriteJSON(&want, a)
		if g := s.get("/api/" + q); g.status != 200 || g.body != want.String() {
			t.Errorf("%s: found %d %s, expected %s", q, g.status, g.body, want.String())
		}
	}
	if g := s.get("/api/tokens.csv?text=%3DEmma"); g.status != 200 || !strings.Contains(g.body, "'=") {
		t.Errorf("a table of tokens: %+v", g)
	}
	s.get("/api/tokens.svg?text=Emma").wantError(t, 404, "no such form")
	s.get("/api/tokens?text="+strings.Repeat("x+", 100_000)).wantError(t, 400, "context holds 256")
	s.get("/api/tokens?tokens=99999").wantError(t, 400, "99999", "0 to 2047")
	s.get("/api/tokens?text=x&made=perhaps").wantError(t, 400, "made")
	s.get("/api/tokens?text=x&compare=gpu").wantError(t, 400, "compare", `"gpu:0"`)
	s.get("/api/tally?shape=none").wantError(t, 400, "shape")
}

func TestInfo(t *testing.T) {
	s := startReal(t, ModelOptions{Others: []string{"vulkan:0"}})
	var info Info
	if err := json.Unmarshal([]byte(s.get("/api/info").body), &info); err != nil {
		t.Fatal(err)
	}
	if info.Model.Shape.Layers != 6 || info.Model.Parameters != 3111936 || !info.Model.Tokenizer || info.Device.Name != "cpu:0" && info.Device.Name != "cpu" || !slices.Equal(info.Compare, []string{"vulkan:0"}) {
		t.Errorf("it tells of %+v on %+v, compared with %v", info.Model, info.Device, info.Compare)
	}
	if len(info.Views) != len(view.All()) || len(info.Streams) != 2 || info.Passage != inspect.Passage {
		t.Errorf("it lists %d views and %d streams", len(info.Views), len(info.Streams))
	}
	for _, v := range info.Views {
		if v.Name == "tally" && (!v.Table || !v.Picture) || v.Name == "tokens" && (!v.Table || v.Picture || v.Parameters[0].Name != "text" || !v.Parameters[0].Several) {
			t.Errorf("of %s it tells %+v", v.Name, v)
		}
	}
	for _, p := range info.Streams[0].Parameters {
		if p.Name == "top-k" && p.Default != "40" {
			t.Errorf("top-k: %+v", p)
		}
	}
}

// TestCompare compares with another device, here the same one.
func TestCompare(t *testing.T) {
	asked := ""
	var other *inspect.Inspector
	s := startReal(t, ModelOptions{Others: []string{"vulkan:0"}, Other: func(_ context.Context, which string) (*inspect.Inspector, error) {
		asked = which
		return other, nil
	}})
	other = s.in
	var a struct {
		Compared struct{ Numbers int }
	}
	if err := json.Unmarshal([]byte(s.get("/api/tokens?text=Emma&compare=vulkan").body), &a); err != nil || asked != "vulkan:0" || a.Compared.Numbers == 0 {
		t.Errorf("asked %q, compared %d numbers (%v)", asked, a.Compared.Numbers, err)
	}
}

// tokensOf are the tokens of a stream of /api/generate.
func tokensOf(t *testing.T, list []event) (start WriteStart, tokens []WriteToken, done WriteDone) {
	t.Helper()
	for i, e := range list {
		if e.id != strconv.Itoa(i+1) {
			t.Errorf("event %d has id %s", i, e.id)
		}
		switch e.name {
		case "start":
			start = as[WriteStart](t, e)
		case "token":
			tokens = append(tokens, as[WriteToken](t, e))
		case "done":
			done = as[WriteDone](t, e)
		default:
			t.Fatalf("event %+v", e)
		}
	}
	return start, tokens, done
}

// TestGenerate expects what a session draws with the same options.
func TestGenerate(t *testing.T) {
	s := startReal(t, ModelOptions{})
	const text = "Elizabeth was"
	g := s.get("/api/generate?text=Elizabeth+was&n=20&temperature=0.9&top_k=7&top-p=0.8&min_p=0.01&seed=5&alternatives=12")
	start, tokens, done := tokensOf(t, readEvents(t, g.body))
	ids, err := s.in.Encode(text)
	if err != nil {
		t.Fatal(err)
	}
	session := gpttest.NewSession(t, s.in.Model, 0)
	defer session.Close()
	o := gpt.Options{Sampling: gpt.Sampling{Temperature: 0.9, TopK: 7, TopP: 0.8, MinP: 0.01, Seed: 5}, Predict: 20, LogProbs: 12, Drawn: 12}
	i, all := 0, text
	for want, err := range session.Generate(t.Context(), ids, o) {
		if err != nil {
			t.Fatal(err)
		}
		got := tokens[i]
		if got.ID != want.ID || got.Position != len(ids)+i || got.Read != len(ids)+i || got.Slid || math.Abs(float64(got.Probability)-math.Exp(want.LogProb)) > 1e-12 {
			t.Fatalf("token %d is %+v, expected %+v", i, got, want)
		}
		if len(got.Likeliest) != 12 || got.Left != want.Drawn.Kept || len(got.Kept) != got.Left || got.Left > 7 {
			t.Errorf("token %d: %d likeliest, %d of %d kept; expected 12 and %d", i, len(got.Likeliest), len(got.Kept), got.Left, want.Drawn.Kept)
		}
		sum, found := 0.0, false
		for j, c := range got.Kept {
			sum += float64(c.Probability)
			found = found || c.ID == got.ID && c.Probability == got.Drawn
			if c.ID != want.Drawn.Top[j].ID || got.Likeliest[j].ID != want.Top[j].ID {
				t.Errorf("token %d: candidate %d is %+v and %+v", i, j, c, got.Likeliest[j])
			}
		}
		if !found || math.Abs(sum-1) > 1e-9 {
			t.Errorf("token %d, drawn with %v, is among those kept: %v; these add up to %v", i, got.Drawn, found, sum)
		}
		all += got.Delta
		i++
	}
	if i != 20 || len(tokens) != 20 || done != (WriteDone{"length", 20, ""}) || start.Seed != 5 || start.N != 20 || len(start.Prompt.Pieces) != len(ids) {
		t.Errorf("%d tokens of %d, %+v, %+v", len(tokens), i, start, done)
	}
	for _, x := range tokens {
		ids = append(ids, x.ID)
	}
	if want, _ := s.in.Tokenizer.Decode(ids); all != want {
		t.Errorf("the text is %q, expected %q", all, want)
	}
	// The same in single steps, by ids.
	var list []string
	for _, id := range ids[:len(ids)-20] {
		list = append(list, strconv.Itoa(id))
	}
	for i := range 3 {
		body := url.Values{"tokens": {strings.Join(list, ",")}, "n": {"1"}, "temperature": {"0"}, "alternatives": {"3"}}.Encode()
		_, one, done := tokensOf(t, readEvents(t, s.do("POST", "/api/generate", body).body))
		if len(one) != 1 || done.Reason != "length" || one[0].ID != one[0].Likeliest[0].ID || one[0].Left != 1 || one[0].Drawn != 1 {
			t.Fatalf("step %d: %+v, %+v", i, one, done)
		}
		list = append(list, strconv.Itoa(one[0].ID))
	}
}

// TestCharactersStayWhole has a model write that knows single bytes: each piece of text
// is valid, and together they are what the ids stand for.
func TestCharactersStayWhole(t *testing.T) {
	s := startReal(t, ModelOptions{})
	g := s.get("/api/generate?text=" + url.QueryEscape("naïve 世") + "&n=60&temperature=100&top_k=0&top_p=1&min_p=0&seed=3")
	start, tokens, done := tokensOf(t, readEvents(t, g.body))
	var ids []int
	for _, p := range start.Prompt.Pieces {
		ids = append(ids, p.ID)
	}
	all, partial := start.Prompt.Text, 0
	for _, x := range tokens {
		ids = append(ids, x.ID)
		all += x.Delta
		if !utf8.ValidString(x.Delta) {
			t.Errorf("the piece %q is not whole", x.Delta)
		}
		if strings.Contains(x.Text, "<0x") {
			partial++
		}
	}
	want, _ := s.in.Tokenizer.Decode(ids)
	if all += done.Delta; all != want || partial == 0 {
		t.Errorf("the text is %q, expected %q; %d tokens are parts of characters", all, want, partial)
	}
	// A prompt that ends within a character.
	g = s.get("/api/generate?n=1&tokens=" + fmt.Sprint(ids[len(ids)-1]))
	if _, one, _ := tokensOf(t, readEvents(t, g.body)); len(one) != 1 || !utf8.ValidString(one[0].Delta) {
		t.Errorf("found %+v", one)
	}
}

// TestContextSlides writes more than the context holds.
func TestContextSlides(t *testing.T) {
	s := startReal(t, ModelOptions{})
	start, tokens, _ := tokensOf(t, readEvents(t, s.get("/api/generate?text=Emma&context=16&n=40&seed=1&ignore_eos=true").body))
	slid := 0
	for i, x := range tokens {
		if x.Read > 16 {
			t.Errorf("token %d was drawn with %d tokens in a context of 16", i, x.Read)
		}
		if x.Slid {
			slid++
			if x.Read != 9 {
				t.Errorf("token %d, behind a slide, has %d in its context, expected half and one", i, x.Read)
			}
		}
	}
	if start.Context != 16 || slid != 3 || len(tokens) != 40 {
		t.Errorf("a context of %d slid %d times in %d tokens", start.Context, slid, len(tokens))
	}
}

// TestLongPrompt reads a prompt of three chunks, of a model without a tokenizer.
func TestLongPrompt(t *testing.T) {
	b := gpttest.OpenCPU(t)
	config := model.Config{Family: "gpt2", Layers: 1, Heads: 1, Width: 8, Context: 2048, Vocab: 11, TieEmbeddings: true}
	m, err := gpt.Random(t.Context(), b, config, gpt.LoadOptions{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	in := inspect.New(m, nil, inspect.Options{})
	defer in.Close()
	ids := make([]int, 2*gpt.MaxChunk+100)
	list := make([]string, len(ids))
	for i := range ids {
		ids[i] = i * i % 11
		list[i] = strconv.Itoa(ids[i])
	}
	d := NewModel(in, ModelOptions{})
	defer d.Close()
	begin, err := d.Open("generate", url.Values{"tokens": {strings.Join(list, ",")}, "n": {"5"}, "temperature": {"2"}, "seed": {"4"}, "top_p": {"0.9"}, "top_k": {"0"}, "min_p": {"0"}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var got []WriteToken
	silent := 0
	for more := true; more; {
		var events []Event
		if events, more, err = w.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if token, ok := e.Data.(WriteToken); ok {
				got = append(got, token)
			}
		}
		if len(events) == 0 {
			silent++
		}
	}
	s := gpttest.NewSession(t, m, 0)
	defer s.Close()
	i := 0
	for want, err := range s.Generate(t.Context(), ids, gpt.Options{Sampling: gpt.Sampling{Temperature: 2, TopP: 0.9, Seed: 4}, Predict: 5}) {
		if err != nil {
			t.Fatal(err)
		}
		if got[i].ID != want.ID || got[i].Text != strconv.Itoa(want.ID) || got[i].Delta != "" || got[i].Read != len(ids)+i {
			t.Errorf("token %d is %+v, expected %d", i, got[i], want.ID)
		}
		i++
	}
	if len(got) != 5 || silent != 2 {
		t.Errorf("%d tokens, and %d pieces that only read; expected 5 and 2", len(got), silent)
	}
}

func TestGenerateRefuses(t *testing.T) {
	s := startReal(t, ModelOptions{})
	for query, parts := range map[string][]string{
		"n=0&text=x":                             {"n: found 0", "1 to 4096"},
		"n=-1&text=x":                            {"n: found -1"},
		"n=4097&text=x":                          {"n: found 4097"},
		"n=1e3&text=x":                           {"n: expected"},
		"text=x&temperature=-1":                  {"temperature: found -1"},
		"text=x&temperature=NaN":                 {"temperature: found NaN"},
		"text=x&top_p=2":                         {"top-p: found 2"},
		"text=x&min_p=-0.1":                      {"min-p"},
		"text=x&top_k=-3":                        {"top-k"},
		"text=x&seed=-2":                         {"seed: found -2"},
		"text=x&alternatives=51":                 {"alternatives: found 51"},
		"text=x&context=257":                     {"context: found 257", "to 256"},
		"text=It+is+a+truth+universal&context=2": {"context: found 2"},
		"text=x&help":                            {`"help"`},
		"tokens=2048":                            {"2048"},
		"tokens=1&text=x":                        {"both"},
		"text=" + strings.Repeat("word+", 300):   {"context holds 256"},
	} {
		s.get("/api/generate?"+query).wantError(t, 400, parts...)
	}
	if s.log.String() != "" {
		t.Errorf("the log is %q", s.log.String())
	}
}

const learned = "the cat sat on the mat. "

// TestTrain expects a model that learns to be seen doing so.
func TestTrain(t *testing.T) {
	s := startReal(t, ModelOptions{})
	query := url.Values{"text": {strings.Repeat(learned, 20)}, "layers": {"1"}, "heads": {"2"}, "width": {"16"}, "context": {"16"}, "steps": {"60"}, "every": {"20"},
		"sample": {"10"}, "probe": {"the c"}, "character": {"a"}, "rate": {"0.02"}}.Encode()
	list := readEvents(t, s.do("POST", "/api/train", query).body)
	var steps []inspect.TrainingStep
	var looks []inspect.TrainingLook
	for _, e := range list[1 : len(list)-1] {
		switch e.name {
		case "steps":
			steps = append(steps, as[TrainSteps](t, e).Steps...)
		case "look":
			looks = append(looks, as[inspect.TrainingLook](t, e))
			if n := looks[len(looks)-1].Step; n != len(steps) {
				t.Errorf("the look of step %d came after %d steps", n, len(steps))
			}
		default:
			t.Errorf("event %+v", e)
		}
	}
	begin, end := as[inspect.TrainingStart](t, list[0]), as[TrainDone](t, list[len(list)-1])
	if begin.Layers != 1 || begin.Steps != 60 || end.Reason != "steps" || end.Steps != 60 || len(steps) != 60 || len(looks) != 4 {
		t.Fatalf("from %+v to %+v: %d steps, %d looks", begin, end, len(steps), len(looks))
	}
	if steps[59].Loss > steps[0].Loss/2 || looks[3].Next[0].Text != "a" {
		t.Errorf("the loss went from %v to %v, and after %q comes %+v", steps[0].Loss, steps[59].Loss, looks[3].Probe, looks[3].Next[0])
	}
	eventually(t, "its memory is free", func() bool { return s.turns.Waiting() == 0 && s.streams.left() == 4 })
	for query, parts := range map[string][]string{
		"layers=0": {"layers: found 0"}, "layers=99": {"layers: found 99"}, "text=short": {"text: found 5 characters"}, "steps=100000000": {"steps"}, "probe=%E4%B8%96": {"probe"},
		"rate=Inf": {"rate"}, "width=256&layers=8&batch=64&context=256": {"operations"}, "seed=-1": {"seed"},
	} {
		s.get("/api/train?"+query).wantError(t, 400, parts...)
	}
}

// TestTrainingTakesItsTime ends a training by the clock.
func TestTrainingTakesItsTime(t *testing.T) {
	s := startReal(t, ModelOptions{})
	begin, err := s.m.train(TrainParams{Text: strings.Repeat(learned, 20), Layers: 1, Heads: 1, Width: 8, Context: 8, Batch: 1, Steps: 10000, Rate: 0.01, Every: 10000, Sample: 1, Temperature: 1, Top: 1})
	if err != nil {
		t.Fatal(err)
	}
	w, err := begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	l := w.(*learning)
	for l.done < 4 {
		if _, more, err := l.Next(t.Context()); !more || err != nil {
			t.Fatal(more, err)
		}
	}
	l.limit = 0
	list, more, err := l.Next(t.Context())
	if more || err != nil || len(list) == 0 || list[len(list)-1].Data.(TrainDone).Reason != "time" || list[len(list)-1].Data.(TrainDone).Steps != 4 {
		t.Errorf("it ended with %+v, %v, %v", list, more, err)
	}
}

// TestAllAtOnce trains two models, writes texts and answers two hundred views at the
// same time. Each answer must be right, and typing must not wait for the trainings to end.
func TestAllAtOnce(t *testing.T) {
	s := startReal(t, ModelOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var long, short sync.WaitGroup
	var ended atomic.Int32
	for i := range 2 {
		long.Go(func() {
			path := fmt.Sprintf("%s/api/train?layers=1&heads=1&width=8&context=8&batch=1&steps=10000&every=10000&sample=1&tab=train%d&text=%s", s.url, i, url.QueryEscape(strings.Repeat(learned, 20)))
			r, _ := http.NewRequestWithContext(ctx, "GET", path, nil)
			answer, err := s.c.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			var b [4096]byte
			for err == nil {
				_, err = answer.Body.Read(b[:])
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("training %d ended by itself: %v", i, err)
			}
			ended.Add(1)
		})
	}
	eventually(t, "two trainings", func() bool { return s.streams.left() == 2 })
	for i := range 200 {
		short.Go(func() {
			text := fmt.Sprintf("number %d", i)
			if i%20 == 0 {
				g := s.get(fmt.Sprintf("/api/generate?n=5&temperature=0&text=%s", url.QueryEscape(text)))
				if _, tokens, done := tokensOf(t, readEvents(t, g.body)); len(tokens) != 5 || done.Reason != "length" {
					t.Errorf("text %d: %+v", i, g)
				}
				return
			}
			g := s.get(fmt.Sprintf("/api/tokens?text=%s&tab=t%d", url.QueryEscape(text), i%7+7*(i/7)))
			if g.status != 200 || !strings.Contains(g.body, fmt.Sprintf("%q", text)) {
				t.Errorf("request %d got %d %s", i, g.status, g.body)
			}
		})
	}
	short.Wait()
	if ended.Load() != 0 {
		t.Error("a training ended first")
	}
	cancel()
	long.Wait()
}
