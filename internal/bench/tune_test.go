package bench

import (
	"errors"
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
	wrong  map[string]bool // ways that turn out to be wrong when they are recorded
	found  map[string]bool // those that did
	path   string
	full   error // of the disk
}

func (w *ways) Unwrap() backend.Backend { return w.played }

func (w *ways) Ways(op backend.Op) (string, []string) {
	o, ok := op.(*backend.Linear)
	if !ok {
		return "", nil
	}
	names := slices.DeleteFunc([]string{"rule", "slow", "fast", "alike"}, func(name string) bool { return w.found[name] })
	if o.W.Dim(-2) != o.W.Dim(-1) {
		names = names[:1] // nothing to choose
	}
	return fmt.Sprintf("%d×%d×%d", o.X.Rows(), o.W.Dim(-1), o.W.Dim(-2)), names
}

func (w *ways) Take(of, way string) { w.taken[of] = way }

func (w *ways) Tuned() ([]backend.Tuned, string, error) { return w.stored, w.path, nil }
func (w *ways) ForgetTuned() error                      { w.stored = nil; return nil }

func (w *ways) StoreTuned(list []backend.Tuned) error {
	if w.full == nil {
		w.stored = list
	}
	return w.full
}

// Record freezes how long a run takes.
func (w *ways) Record(ops ...backend.Op) (backend.Program, error) {
	p := &wayProgram{w: w}
	for _, op := range ops {
		of, names := w.Ways(op)
		if way := w.taken[of]; len(names) > 1 || way != "" {
			if w.wrong[way] { // another one is taken
				w.found[way] = true
				way = "slow"
			}
			p.took += w.times[way]
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

// newWays is such a device, on which the fast way takes so long.
func newWays(fast time.Duration, wrong ...string) (*Device, *ways) {
	p := &played{free: 1 << 30, total: 1 << 30}
	w := &ways{played: p, taken: map[string]string{}, path: "file", wrong: map[string]bool{}, found: map[string]bool{}, times: map[string]time.Duration{
		"": 100 * time.Microsecond, "rule": 100 * time.Microsecond, "slow": time.Millisecond, "fast": fast, "alike": 99 * time.Microsecond,
	}}
	for _, name := range wrong {
		w.wrong[name] = true
	}
	d := playedDevice(p)
	d.b.Backend = w
	return d, w
}

// TestTune finds the fastest way, and keeps the rule's where another is faster by no more than chance.
func TestTune(t *testing.T) {
	for _, c := range []struct {
		fast time.Duration
		want string
	}{{50 * time.Microsecond, "fast"}, {99 * time.Microsecond, "rule"}} {
		d, w := newWays(c.fast)
		o := TuneOptions{Prompt: 16, Sequences: 2, Options: quiet(2)}
		tuned, path, err := d.Tune(t.Context(), Random("tiny", tiny), o)
		if err != nil || path != "file" {
			t.Fatalf("stored in %q, %v", path, err)
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
	if _, _, err := d.Tune(t.Context(), Random("tiny", tiny), TuneOptions{Options: quiet(1)}); err == nil {
		t.Error("a device without ways to choose from is tuned")
	}
}

// TestTuneLeavesOutWhatIsWrong: a way that was not taken is not named, whether it is the rule's, the fastest or each of them.
func TestTuneLeavesOutWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		wrong     []string
		rule, way string // "": nothing is stored
	}{{[]string{"fast"}, "rule", "rule"}, {[]string{"rule"}, "slow", "fast"}, {[]string{"rule", "slow"}, "fast", "fast"}, {[]string{"rule", "slow", "fast", "alike"}, "", ""}} {
		d, w := newWays(50*time.Microsecond, c.wrong...)
		tuned, _, err := d.Tune(t.Context(), Random("tiny", tiny), TuneOptions{Options: quiet(2)})
		if err != nil || (len(tuned) == 0) != (c.way == "") {
			t.Errorf("%q are wrong: %d ops are tuned, %v", c.wrong, len(tuned), err)
		}
		for _, got := range tuned {
			if got.Way != c.way || got.Rule != c.rule || w.wrong[got.Way] {
				t.Errorf("%q are wrong: %+v, expected %s before %s", c.wrong, got, c.way, c.rule)
			}
		}
	}
}

// TestTuneHasNoPlace: where nothing can be stored nothing is measured; on a full disk what was measured is told, and no file is.
func TestTuneHasNoPlace(t *testing.T) {
	d, w := newWays(50 * time.Microsecond)
	w.path = ""
	tuned, path, err := d.Tune(t.Context(), Random("tiny", tiny), TuneOptions{Options: quiet(1)})
	if !errors.Is(err, ErrNoPlace) || tuned != nil || path != "" || len(w.taken) > 0 {
		t.Errorf("without a place: %d are tuned, in %q, %v", len(tuned), path, err)
	}
	d, w = newWays(50 * time.Microsecond)
	w.full = errors.New("no space left on device")
	tuned, path, err = d.Tune(t.Context(), Random("tiny", tiny), TuneOptions{Options: quiet(1)})
	if !errors.Is(err, w.full) || len(tuned) == 0 || path != "" {
		t.Errorf("on a full disk: %d are tuned, in %q, %v", len(tuned), path, err)
	}
}
