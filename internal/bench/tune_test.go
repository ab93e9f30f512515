package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"caldera/backend"
)

// ways is a device whose time for a product is known for each way to compute it.
type ways struct {
	*played
	taken  map[string]string
	times  map[string]time.Duration
	stored []backend.Tuned
}

func (w *ways) Unwrap() backend.Backend { return w.played }

func (w *ways) Ways(op backend.Op) (string, []string) {
	o, ok := op.(*backend.Linear)
	if !ok {
		return "", nil
	}
	names := []string{"rule", "slow", "fast", "alike"}
	if o.W.Dim(-2) != o.W.Dim(-1) {
		names = names[:1] // nothing to choose
	}
	return fmt.Sprintf("%d×%d×%d", o.X.Rows(), o.W.Dim(-1), o.W.Dim(-2)), names
}

func (w *ways) Take(of, way string) { w.taken[of] = way }

func (w *ways) Tuned() ([]backend.Tuned, string, error) { return w.stored, "file", nil }
func (w *ways) StoreTuned(list []backend.Tuned) error   { w.stored = list; return nil }
func (w *ways) ForgetTuned() error                      { w.stored = nil; return nil }

// Record freezes how long a run takes.
func (w *ways) Record(ops ...backend.Op) (backend.Program, error) {
	p := &wayProgram{w: w}
	for _, op := range ops {
		if of, names := w.Ways(op); len(names) > 1 {
			p.took += w.times[w.taken[of]]
		}
	}
	return p, nil
}

type wayProgram struct {
	w    *ways
	took time.Duration
}

func (p *wayProgram) Run() error   { p.w.begin(p.took); return nil }
func (p *wayProgram) Close() error { return nil }

// TestTune finds the fastest way, and keeps the rule's where another is faster by no more than chance.
func TestTune(t *testing.T) {
	for _, c := range []struct {
		fast time.Duration
		want string
	}{{50 * time.Microsecond, "fast"}, {99 * time.Microsecond, "rule"}} {
		p := &played{free: 1 << 30, total: 1 << 30}
		w := &ways{played: p, taken: map[string]string{}, times: map[string]time.Duration{
			"": 100 * time.Microsecond, "rule": 100 * time.Microsecond, "slow": time.Millisecond, "fast": c.fast, "alike": 99 * time.Microsecond,
		}}
		d := playedDevice(p)
		d.b.Backend = w
		o := TuneOptions{Prompt: 16, Sequences: 2, Options: quiet(2)}
		tuned, err := d.Tune(t.Context(), Random("tiny", tiny), o)
		if err != nil {
			t.Fatal(err)
		}
		var rows []string
		for _, got := range tuned {
			rows = append(rows, got.Of)
			if got.Way != c.want || got.Rule != "rule" || got.RuleSeconds < 99e-6 || got.RuleSeconds > 101e-6 {
				t.Errorf("%+v, expected %s", got, c.want)
			}
		}
		slices.Sort(rows)
		width := tiny.Complete().Width
		want := []string{fmt.Sprintf("16×%d×%[1]d", width), fmt.Sprintf("1×%d×%[1]d", width), fmt.Sprintf("2×%d×%[1]d", width)}
		slices.Sort(want)
		if !slices.Equal(rows, want) || len(w.stored) != len(tuned) {
			t.Errorf("tuned %v, expected %v; %d are stored", rows, want, len(w.stored))
		}
		for of, way := range w.taken {
			if way != "" {
				t.Errorf("%s is still taken for %s, before it is stored", way, of)
			}
		}
	}
	d := playedDevice(&played{})
	if _, err := d.Tune(t.Context(), Random("tiny", tiny), TuneOptions{Options: quiet(1)}); err == nil {
		t.Error("a device without ways to choose from is tuned")
	}
}
