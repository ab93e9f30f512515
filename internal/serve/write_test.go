package serve

import (
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/inspect"
	"caldera/internal/gpttest"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

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
		"text=x&top_p=2":                         {"top-p: found 2, expected 0 (the likeliest token alone) to 1 (off)"},
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
