package train

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fake is a learner whose weights are a sum of all that it has seen. fail may
// make a step of it something else.
type fake struct {
	Weights float64
	fail    func(step int) (loss, norm float64, err error)
	val     func(weights float64) float64
	full    error
	steps   int
}

func (f *fake) Step(ids, _ []int, rate float64) (loss, norm float64, err error) {
	f.steps++
	for i, id := range ids {
		f.Weights += rate * float64((i+1)*id)
	}
	if f.fail != nil {
		if loss, norm, err = f.fail(f.steps); loss != 0 || norm != 0 || err != nil {
			return loss, norm, err
		}
	}
	return 1 / float64(f.steps), 1, nil
}

func (f *fake) Loss([]int, []int) (float64, error) {
	if f.val != nil {
		return f.val(f.Weights), nil
	}
	return 1 / (1 + f.Weights), nil
}

func (f *fake) Save(dir string) error {
	if f.full != nil {
		return f.full
	}
	text, err := json.Marshal(f)
	return errors.Join(err, os.WriteFile(filepath.Join(dir, "content"), text, 0o666))
}

func (f *fake) SaveWeights(dir string) error { return f.Save(dir) }

// told notes what a run reports.
type told struct {
	lines []string
	step  func(step int)

	sample func() error
}

func (n *told) note(format string, args ...any) {
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}
func (n *told) Step(e Entry, _ time.Duration) {
	n.note("step %d", e.Step)
	if n.step != nil {
		n.step(e.Step)
	}
}
func (n *told) Evaluating(int, int)          {}
func (n *told) Evaluated(m Measured, b bool) { n.note("val %d %v", m.Step, b) }
func (n *told) Snapshot(m Measured)          { n.note("snapshot %d", m.Step) }
func (n *told) Saved(step int, best bool)    { n.note("saved %d %v", step, best) }
func (n *told) Sample(_ context.Context, s int) error {
	n.note("sample %d", s)
	if n.sample != nil {
		return n.sample()
	}
	return nil
}

// begin makes a run in dir that is new or goes on.
func begin(t *testing.T, dir string, o Options, l *fake) (*Run, *told) {
	t.Helper()
	from, s, err := Dir(dir).OpenState()
	if err != nil {
		t.Fatal(err)
	}
	if from != "" {
		text, err := os.ReadFile(filepath.Join(from, "content"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, l); err != nil {
			t.Fatal(err)
		}
		l.steps = s.Step
	}
	log, err := OpenLog(dir, s.Step)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	told := &told{}
	r := &Run{Options: o, Data: NewData(tokens(40), tokens(9)), Learner: l, Dir: Dir(dir), Log: log, State: s, Reporter: told}
	if _, err := r.Prepare(); err != nil {
		t.Fatal(err)
	}
	return r, told
}

// logged are the lines of the log without what differs from run to run.
func logged(t *testing.T, dir string) (out []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, logName))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		e.Time, e.Speed = 0, 0
		short, _ := json.Marshal(e)
		out = append(out, string(short))
	}
	return out
}

// TestStepsDiffer learns from other windows at each step, and from the same ones
// in another run with the same seed.
func TestStepsDiffer(t *testing.T) {
	learn := func(seed uint64) (rises []float64) {
		o, l := options(), &fake{}
		o.Seed, o.DecayLR = seed, false
		r, told := begin(t, t.TempDir(), o, l)
		before := 0.0
		told.step = func(int) {
			rises = append(rises, math.Round(1e6*(l.Weights-before)))
			before = l.Weights
		}
		if err := r.Train(t.Context()); err != nil {
			t.Fatal(err)
		}
		return rises
	}
	first := learn(1)
	if unique := slices.Compact(slices.Sorted(slices.Values(first))); len(unique) != 10 {
		t.Errorf("ten steps learn %v", first)
	}
	if again := learn(1); !slices.Equal(again, first) {
		t.Errorf("with the same seed they learn %v, they learned %v", again, first)
	}
	if other := learn(2); slices.Equal(other, first) {
		t.Errorf("with another seed they learn %v too", other)
	}
}

func TestRun(t *testing.T) {
	dir, l := t.TempDir(), &fake{}
	o := options()
	o.SampleInterval = ptr(4)
	r, told := begin(t, dir, o, l)
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "val 0 true,step 1,step 2,step 3,step 4,sample 4,step 5,val 5 true,saved 5 true,step 6,step 7,step 8,sample 8,step 9,step 10,val 10 true,saved 10 true,sample 10"
	if got := strings.Join(told.lines, ","); got != want {
		t.Errorf("it did %s, expected %s", got, want)
	}
	lines := logged(t, dir)
	if len(lines) != 13 || lines[0] != `{"step":0,"val_loss":1,"time":0}` || !strings.HasPrefix(lines[1], `{"step":1,"loss":1,"lr":0.0005,"norm":1,"tokens":8,"time":0}`) {
		t.Errorf("log %s", strings.Join(lines, "\n"))
	}
	_, s, err := Dir(dir).OpenState()
	if err != nil || s.Step != 10 || s.Tokens != 80 || s.Best.Step != 10 || s.Seconds <= 0 {
		t.Errorf("state %+v, %v", s, err)
	}
	checkPlot(t, dir, "training", "validation")
}

// checkPlot expects loss.svg to be XML that has these words.
func checkPlot(t *testing.T, dir string, words ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, plotName))
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(string(text)))
	for err == nil {
		_, err = d.Token()
	}
	if err != io.EOF {
		t.Errorf("%s is no XML: %v", plotName, err)
	}
	for _, w := range words {
		if !strings.Contains(string(text), ">"+w+"<") {
			t.Errorf("%s lacks %s", plotName, w)
		}
	}
}

// TestPlotElsewhere has the picture in a file that is named, as PNG.
func TestPlotElsewhere(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "loss.png")
	r, _ := begin(t, dir, options(), &fake{})
	r.Plot = path
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	if _, err := os.Stat(filepath.Join(dir, plotName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there too: %v", plotName, err)
	}
	if err := r.Log.WritePlot(path + ".gif"); err == nil {
		t.Error("a GIF was drawn")
	}
}

// TestResume ends a run after each of its steps; what goes on comes to the same
// weights and the same log.
func TestResume(t *testing.T) {
	whole, l := t.TempDir(), &fake{}
	r, _ := begin(t, whole, options(), l)
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	for stop := 1; stop < 10; stop++ {
		dir, part := t.TempDir(), &fake{}
		r, told := begin(t, dir, options(), part)
		ctx, cancel := context.WithCancel(t.Context())
		told.step = func(step int) {
			if step == stop {
				cancel()
			}
		}
		if err := r.Train(ctx); err != context.Canceled || r.SavedStep() != stop {
			t.Fatalf("stopped at step %d: saved %d, %v", stop, r.SavedStep(), err)
		}
		// As if it had gone on, and been killed before it saved again.
		f, err := os.OpenFile(filepath.Join(dir, logName), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, `{"step":%d,"loss":7,"time":1}`+"\n"+`{"step":%d,"lo`, stop+1, stop+2)
		f.Close()

		rest := &fake{}
		r, _ = begin(t, dir, options(), rest)
		if err := r.Train(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rest.Weights != l.Weights {
			t.Errorf("stopped at step %d: weights %v, expected %v", stop, rest.Weights, l.Weights)
		}
		if got, want := strings.Join(logged(t, dir), "\n"), strings.Join(logged(t, whole), "\n"); got != want {
			t.Errorf("stopped at step %d: log\n%s\nexpected\n%s", stop, got, want)
		}
	}
}

// TestBest saves where the loss has fallen, and only there if told so.
func TestBest(t *testing.T) {
	for _, always := range []bool{true, false} {
		dir := t.TempDir()
		losses := []float64{5, 3, 4, 2, 2} // among equals the first is the best
		l := &fake{val: func(float64) float64 { defer func() { losses = losses[1:] }(); return losses[0] }}
		o := options()
		o.MaxIters, o.EvalInterval, o.AlwaysSave = 4, 1, always
		o.Accumulation = 3
		r, told := begin(t, dir, o, l)
		r.eval.random = 1 // one batch
		if err := r.Train(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := "val 0 true,step 1,val 1 true,saved 1 true,step 2,val 2 false,saved 2 false,step 3,val 3 true,saved 3 true,step 4,val 4 false,saved 4 false"
		if !always {
			want = strings.Replace(want, ",saved 2 false", "", 1)
		}
		told.lines = without(told.lines, "sample")
		if got := strings.Join(told.lines, ","); got != want {
			t.Errorf("it did %s, expected %s", got, want)
		}
		if got := there(t, Dir(dir)); !strings.Contains(got, "step-000003 step-000004") {
			t.Errorf("there is %s", got)
		}
		if target, _ := os.Readlink(Dir(dir).Path(Best)); target != "step-000003" {
			t.Errorf("the best is %s", target)
		}
		if r.State.Tokens != 4*3*8 {
			t.Errorf("%d tokens", r.State.Tokens)
		}
	}
}

// TestBestCutOff kills a run between the links to its newest checkpoint and to
// its best, which are the same: the run that goes on makes up for it before
// another save deletes what has no link.
func TestBestCutOff(t *testing.T) {
	dir := t.TempDir()
	o := options()
	o.MaxIters, o.EvalInterval = 2, 1
	l := &fake{}
	r, _ := begin(t, dir, o, l)
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.State.Best.Step != 2 {
		t.Fatalf("the best is %+v", r.State.Best)
	}
	if err := os.Remove(r.Dir.Path(Best)); err != nil { // which led to a step before
		t.Fatal(err)
	}
	o.MaxIters = 3
	r, _ = begin(t, dir, o, &fake{val: func(float64) float64 { return 100 }})
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(r.Dir.Path(Best)); target != "step-000002" || err != nil {
		t.Errorf("the best is %s, %v", target, err)
	}
	if _, err := os.Stat(filepath.Join(r.Dir.Path(Best), "content")); err != nil || r.Dir.Finished() != Best {
		t.Errorf("%v", err)
	}
}

func without(lines []string, prefix string) (out []string) {
	for _, l := range lines {
		if !strings.HasPrefix(l, prefix) {
			out = append(out, l)
		}
	}
	return out
}

// TestDiverged stops before anything of a bad step is saved.
func TestDiverged(t *testing.T) {
	for what, c := range map[string]struct{ loss, norm float64 }{
		"the loss is NaN":                   {math.NaN(), 1},
		"the loss is -Inf":                  {math.Inf(-1), 1},
		"the norm of the gradients is +Inf": {1, math.Inf(1)},
		"the norm of the gradients is NaN":  {1, math.NaN()},
	} {
		for _, at := range []int{3, 7} {
			dir := t.TempDir()
			l := &fake{fail: func(step int) (float64, float64, error) {
				if step == at {
					return c.loss, c.norm, nil
				}
				return 0, 0, nil
			}}
			r, _ := begin(t, dir, options(), l)
			err := r.Train(t.Context())
			want := fmt.Sprintf("step %d: %s: training has diverged; the checkpoint of step 5 is kept; try a lower learning_rate", at, what)
			if at < 5 {
				want = strings.Replace(want, "the checkpoint of step 5 is kept", "nothing was saved before", 1)
			}
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error %v, expected %s", err, want)
			}
			from, s, err := Dir(dir).OpenState()
			if err != nil || at < 5 && from != "" || at > 5 && s.Step != 5 {
				t.Errorf("then there is %s, of step %d, %v", from, s.Step, err)
			}
			if n := len(logged(t, dir)); n != at+at/5 {
				t.Errorf("%d lines of the log", n)
			}
		}
	}
	l := &fake{val: func(w float64) float64 { return math.Log(-w) }}
	r, _ := begin(t, t.TempDir(), options(), l)
	if err := r.Train(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "step 0: the validation loss is -Inf before any training: the weights to begin with") {
		t.Errorf("error %v", err)
	}
}

// TestNotSaved keeps the checkpoint that is there.
func TestNotSaved(t *testing.T) {
	dir, full := t.TempDir(), errors.New("no space left on device")
	l := &fake{}
	r, told := begin(t, dir, options(), l)
	told.step = func(step int) {
		if step == 6 {
			l.full = full
		}
	}
	err := r.Train(t.Context())
	if !errors.Is(err, full) || err.Error() != "saving the checkpoint of step 10: no space left on device; that of step 5 is kept" {
		t.Errorf("error %v", err)
	}
	if _, s, err := Dir(dir).OpenState(); err != nil || s.Step != 5 {
		t.Errorf("then there is step %d, %v", s.Step, err)
	}
	// Ctrl-C at a full disk is more than an interruption.
	r, told = begin(t, t.TempDir(), options(), &fake{full: full})
	ctx, cancel := context.WithCancel(t.Context())
	told.step = func(int) { cancel() }
	if err := r.Train(ctx); !errors.Is(err, full) || errors.Is(err, context.Canceled) || !strings.HasSuffix(err.Error(), "there is no other") {
		t.Errorf("error %v", err)
	}
	// A terminal that is closed while a sample is printed.
	o, every := options(), 1
	o.SampleInterval = &every
	r, told = begin(t, t.TempDir(), o, &fake{})
	ctx, cancel = context.WithCancel(t.Context())
	told.sample = func() error {
		cancel()
		return errors.New("write /dev/stdout: input/output error")
	}
	if err := r.Train(ctx); err != context.Canceled || r.SavedStep() != 1 {
		t.Errorf("saved %d, error %v", r.SavedStep(), err)
	}
	// A device that fails.
	lost := errors.New("device lost")
	r, _ = begin(t, t.TempDir(), options(), &fake{fail: func(int) (float64, float64, error) { return 0, 0, lost }})
	if err := r.Train(t.Context()); !errors.Is(err, lost) || !strings.HasPrefix(err.Error(), "step 1: ") {
		t.Errorf("error %v", err)
	}
}

func TestLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, logName)
	write(t, path, []byte("{\"step\":1,\"time\":1}\nno JSON\n{\"step\":2,\"time\":1}\n"))
	if _, err := OpenLog(dir, 5); err == nil || !strings.Contains(err.Error(), logName+": line 2") || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("a damaged log: %v", err)
	}
	l, err := OpenLog(dir, 0) // a new run
	if err != nil || len(l.Entries) != 0 || len(logged(t, dir)) != 0 {
		t.Fatalf("a new log: %v", err)
	}
	for i := range 2*plotPoints + 1 {
		if err := l.Add(Entry{Step: i, Loss: ptr(float64(i % 2))}); err != nil {
			t.Fatal(err)
		}
	}
	train, val := l.curves()
	if len(train) != (2*plotPoints+1+2)/3 || len(val) != 0 {
		t.Errorf("%d and %d points", len(train), len(val))
	}
	if err := l.WritePlot(filepath.Join(dir, plotName)); err != nil {
		t.Fatal(err)
	}
	checkPlot(t, dir, "training")
	l.Close()
	if err := l.Add(Entry{}); err == nil {
		t.Error("a closed log takes lines")
	}
}
