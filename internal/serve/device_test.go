package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"caldera/inspect"
	"caldera/internal/gpttest"
	"caldera/internal/view"
)

// real is a server of the embedded model on the CPU, whose buffers are counted.
type real struct {
	*served
	in    *inspect.Inspector
	m     *Model
	count *gpttest.Account
	idle  int // buffers in use when nobody asks
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
			t.Errorf("%d buffers of the device are in use after all, %d before", n, r.idle)
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

// testRun is a training run to look at.
const testRun = "../view/testdata/run"

// TestSameAsCommand expects the bytes that a command prints with --json.
func TestSameAsCommand(t *testing.T) {
	s := startReal(t, ModelOptions{Runs: []string{testRun}})
	asked := map[string]bool{}
	for _, q := range []string{
		"tally", "tally?shape=gpt2", "tokens?text=It+is+a+truth,+%E4%B8%96%E7%95%8C", "tokens?tokens=5,17", "tokens?text=" + url.QueryEscape("<script>-- --help</script>"),
		"embed?word=lady", "next?text=It+is+a+truth&top-k=4", "attention?text=It+is+a+truth&layer=2&head=1", "context?first=a+large+fortune&second=the+good+fortune",
		"lens?text=It+is&position=1", "mlp?text=It+is&layer=3", "forget?text=It+is+a+truth&context=3", "learn?run=" + testRun + "&text=the&most=2",
	} {
		name, query, _ := strings.Cut(q, "?")
		asked[name] = true
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
	for _, v := range view.All() {
		if !asked[v.Name] {
			t.Errorf("nobody asked %s", v.Name)
		}
	}
	if g := s.get("/api/next?text=It+is&top_k=4"); g.status != 200 { // as other programs spell it
		t.Errorf("found %+v", g)
	}
	s.get("/api/learn?run=..&text=the").wantError(t, 400, `run: found ".."`)
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

// TestAllAtOnce trains two models, writes texts and answers two hundred views at the
// same time. Each answer must be right, and typing must not wait for the trainings to end.
func TestAllAtOnce(t *testing.T) {
	s := startReal(t, ModelOptions{})
	var alone [7]string // what the device says when it does nothing else
	for i := range alone {
		alone[i] = s.get(fmt.Sprintf("/api/next?text=number+%d&top=3", i)).body
	}
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
			if g := s.get(fmt.Sprintf("/api/next?text=number+%d&top=3&tab=t%d", i%7, i)); g.status != 200 || g.body != alone[i%7] {
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

// TestLongView answers a quick view while one goes on that runs the model for each head.
func TestLongView(t *testing.T) {
	s := startReal(t, ModelOptions{})
	want := s.get("/api/next?text=Emma&top=3").body
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	r, _ := http.NewRequestWithContext(ctx, "GET", s.url+"/api/lens?show=ablation&each=heads&tab=long&text="+strings.Repeat("man+", 240), nil)
	go func() {
		answer, err := s.c.Do(r)
		if err == nil {
			answer.Body.Close()
		}
		ended <- err
	}()
	eventually(t, "the long view", func() bool { return s.turns.left() == 0 })
	for range 5 { // of which each waits for one run of the model at most
		if got := s.get("/api/next?text=Emma&top=3&tab=quick").body; got != want {
			t.Errorf("found %s, expected %s", got, want)
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("the quick views have waited for all of the long one (%v)", err)
	case <-time.After(50 * time.Millisecond): // in which the answer would have come
	}
	cancel()
	<-ended
}
