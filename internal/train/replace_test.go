package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReplace saves the first checkpoint of another run over all that a run may
// have left.
func TestReplace(t *testing.T) {
	type save struct {
		step int
		best bool
	}
	for name, c := range map[string]struct {
		old  []save
		cut  func(d Dir) error
		new  save
		want string
	}{
		"other steps":       {[]save{{5, true}, {10, false}}, nil, save{3, true}, "newest=new best=new best newest step-000003"},
		"not the best":      {[]save{{5, true}, {10, false}}, nil, save{3, false}, "newest=new best=- newest step-000003"},
		"the newest's step": {[]save{{5, true}, {10, false}}, nil, save{10, true}, "newest=new best=new best newest step-000010"},
		"the best's step":   {[]save{{5, true}, {10, false}}, nil, save{5, true}, "newest=new best=new best newest step-000005"},
		"both":              {[]save{{10, true}}, nil, save{10, false}, "newest=new best=- newest step-000010"},
		"cut off, moved":    {[]save{{10, true}}, func(d Dir) error { return d.moveAside("step-000010") }, save{10, true}, "newest=new best=new best newest step-000010"},
		"cut off, half moved": {[]save{{10, true}}, func(d Dir) error {
			return errors.Join(d.moveAside("step-000010"), d.copy("step-0000010", "step-000010"), d.link(Best, "step-000010"))
		}, save{10, true}, "newest=new best=new best newest step-000010"},
		"cut off, half copied": {[]save{{10, true}}, func(d Dir) error { return os.Mkdir(d.Path(".step-0000010.tmp"), 0o777) }, save{10, true}, "newest=new best=new best newest step-000010"},
		"cut off, not linked":  {[]save{{10, true}}, func(d Dir) error { return d.copy("step-000010", "step-0000010") }, save{10, true}, "newest=new best=new best newest step-000010"},
	} {
		t.Run(name, func(t *testing.T) {
			d := Dir(t.TempDir())
			for _, s := range c.old {
				if err := d.Save(s.step, s.best, content("old")); err != nil {
					t.Fatal(err)
				}
			}
			if c.cut != nil {
				if err := c.cut(d); err != nil {
					t.Fatal(err)
				}
			}
			whole := func(when string) {
				t.Helper()
				dir, err := d.Open()
				if text, err2 := os.ReadFile(filepath.Join(dir, "content")); err != nil || err2 != nil || string(text) != "old" {
					t.Errorf("%s the newest is %q, %v", when, text, errors.Join(err, err2))
				}
				if got := there(t, d); !strings.HasPrefix(got, "newest=old best=old ") {
					t.Errorf("%s there is %s", when, got)
				}
			}
			full := errors.New("no space left on device")
			if err := d.Replace(c.new.step, c.new.best, func(dir string) error {
				whole("while it saves")
				return errors.Join(content("half")(dir), full)
			}); !errors.Is(err, full) {
				t.Errorf("error %v", err)
			}
			whole("after a full disk")
			if err := d.moveAside(stepDir(c.new.step)); err != nil {
				t.Fatal(err)
			}
			whole("moved aside")
			if err := d.Replace(c.new.step, c.new.best, content("new")); err != nil {
				t.Fatal(err)
			}
			if got := there(t, d); got != c.want {
				t.Errorf("there is %s, expected %s", got, c.want)
			}
		})
	}
}

// TestRepair has a run cut off between its links.
func TestRepair(t *testing.T) {
	for name, c := range map[string]struct {
		best *Measured
		cut  func(d Dir) error
		want string
	}{
		"best of the old run":                  {&Measured{10, 1}, func(d Dir) error { return d.link(Newest, "step-000010") }, "newest=new best=new best newest step-000010"},
		"best of the old run, none of the new": {nil, func(d Dir) error { return d.link(Newest, "step-000010") }, "newest=new best=- newest step-000005 step-000010"},
		"before the first step":                {&Measured{0, 1}, func(d Dir) error { return d.link(Newest, "step-000010") }, "newest=new best=- newest step-000005 step-000010"},
		"nothing to do":                        {&Measured{5, 1}, func(d Dir) error { return d.link(Newest, "step-000010") }, "newest=new best=old best newest step-000005 step-000010"},
		"no links":                             {nil, func(d Dir) error { return errors.Join(os.Remove(d.Path(Newest)), os.Remove(d.Path(Best))) }, "newest=new best=- newest step-000005 step-000010"},
	} {
		d := Dir(t.TempDir())
		if err := d.Save(5, true, content("old")); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Mkdir(d.Path("step-000010"), 0o777), content("new")(d.Path("step-000010")), c.cut(d)); err != nil {
			t.Fatal(err)
		}
		if err := d.Repair(State{Step: 10, Best: c.best}); err != nil || there(t, d) != c.want {
			t.Errorf("%s: %v, there is %s, expected %s", name, err, there(t, d), c.want)
		}
	}
}

// fresh begins a run that replaces what is in dir.
func fresh(t *testing.T, dir string, o Options, l *fake) *Run {
	t.Helper()
	log, err := NewLog(dir, "", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	r := &Run{Options: o, Data: NewData(tokens(40), tokens(9)), Learner: l, Dir: Dir(dir), Log: log, Reporter: &told{}, Replaces: true}
	if _, err := r.Prepare(); err != nil {
		t.Fatal(err)
	}
	return r
}

// all of a directory that a run goes on with.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range []string{"newest/content", "newest/train.json", "best/train.json", logName, plotName} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}

// TestReplacingRun has a run take another's place, and end before that.
func TestReplacingRun(t *testing.T) {
	dir := t.TempDir()
	r, _ := begin(t, dir, options(), &fake{})
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := contents(t, dir)
	kept := func(when string) {
		t.Helper()
		if contents(t, dir) != old {
			t.Errorf("%s the old run has changed", when)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := fresh(t, dir, options(), &fake{}).Train(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after Ctrl-C: %v", err)
	}
	kept("after Ctrl-C")

	inf := &fake{fail: func(step int) (float64, float64, error) {
		if step == 3 {
			kept("at step 3")
			return 1, math.Inf(1), nil
		}
		return 0, 0, nil
	}}
	err := fresh(t, dir, options(), inf).Train(t.Context())
	if diverged := (*DivergedError)(nil); !errors.As(err, &diverged) || !strings.Contains(err.Error(), "nothing was saved before, and what was there is kept") {
		t.Errorf("diverged: %v", err)
	}
	kept("after it diverged")

	full := &fake{full: errors.New("no space left on device")}
	if err := fresh(t, dir, options(), full).Train(t.Context()); !errors.Is(err, full.full) || !strings.Contains(err.Error(), "what was there is kept") {
		t.Errorf("full disk: %v", err)
	}
	kept("after a full disk")

	// Of a run that was cut off before its first link, the checkpoint is moved aside too.
	d := Dir(t.TempDir())
	if err := errors.Join(os.Mkdir(d.Path("step-000010"), 0o777), content("old")(d.Path("step-000010")), d.moveAside("step-000010")); err != nil {
		t.Fatal(err)
	}
	if got := there(t, d); got != "newest=old best=- newest step-0000010 step-000010" {
		t.Errorf("moved aside without a link: %s", got)
	}

	// It ends right after the first checkpoint has become the newest.
	r = fresh(t, dir, options(), &fake{Weights: 3})
	r.State.Step, r.State.Best, r.State.Options = 5, &Measured{5, 1}, options()
	lines := 0
	if err := r.Log.Add(Entry{Step: 5}); err != nil {
		t.Fatal(err)
	}
	lines++
	if err := r.write(r.Dir.Replace, true); err != nil {
		t.Fatal(err)
	}
	if err := r.Dir.Sweep(); err != nil {
		t.Fatal(err)
	}
	r, _ = begin(t, dir, options(), &fake{})
	if got := logged(t, dir); r.State.Step != 5 || len(got) != lines || contents(t, dir) == old {
		t.Errorf("it goes on from step %d with the log %q", r.State.Step, got)
	}
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}

	if err := fresh(t, dir, options(), &fake{}).Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := there(t, Dir(dir)); !strings.HasSuffix(got, " best log.jsonl loss.svg newest step-000010") {
		t.Errorf("in the end there is %s", got)
	}
	if got := logged(t, dir); len(got) != 13 {
		t.Errorf("its log has %d lines", len(got))
	}
}

// TestOccupied tells what no run wrote from what a run without checkpoints did.
func TestOccupied(t *testing.T) {
	for _, name := range []string{logName, plotName} {
		d := Dir(t.TempDir())
		write(t, d.Path(name), []byte("mine"))
		if got, checkpoint, err := d.Occupied(); got != d.Path(name) || checkpoint || err != nil {
			t.Errorf("%s: %q, %v, %v", name, got, checkpoint, err)
		}
		write(t, d.Path("step-000001/config.json"), nil)
		if got, checkpoint, err := d.Occupied(); got != d.Path("step-000001") || !checkpoint || err != nil {
			t.Errorf("with a checkpoint: %q, %v, %v", got, checkpoint, err)
		}
		d = Dir(t.TempDir())
		if err := os.Mkdir(d.Path(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.Occupied(); err == nil || !strings.Contains(err.Error(), name+" is a directory") {
			t.Errorf("a directory: %v", err)
		}
	}
	dir := t.TempDir()
	log, err := NewLog(dir, "", false)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if got, _, err := Dir(dir).Occupied(); got != "" || err != nil {
		t.Errorf("after a run without checkpoints: %q, %v", got, err)
	}
	if err := Dir(dir).Save(1, false, content("x")); err != nil {
		t.Fatal(err)
	}
	if got := there(t, Dir(dir)); got != "newest=x best=- log.jsonl newest step-000001" {
		t.Errorf("after the first checkpoint there is %s", got)
	}
}
