package train

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// content writes a checkpoint whose whole content is text.
func content(text string) func(string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, "content"), []byte(text), 0o666) }
}

// there is what the links lead to, and all names in d.
func there(t *testing.T, d Dir) string {
	t.Helper()
	var out []string
	for _, link := range []string{Newest, Best} {
		text, err := os.ReadFile(filepath.Join(d.Path(link), "content"))
		if err != nil {
			text = []byte("-")
		}
		out = append(out, link+"="+string(text))
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestSave(t *testing.T) {
	d := Dir(t.TempDir())
	if dir, err := d.Open(); dir != "" || err != nil {
		t.Errorf("in an empty directory there is %q, %v", dir, err)
	}
	for _, c := range []struct {
		step int
		best bool
		want string
	}{
		{5, true, "newest=5 best=5 best newest step-000005"},
		{10, false, "newest=10 best=5 best newest step-000005 step-000010"},
		{15, false, "newest=15 best=5 best newest step-000005 step-000015"},
		{1234567, true, "newest=1234567 best=1234567 best newest step-1234567"},
	} {
		text := strings.TrimLeft(stepDir(c.step)[len("step-"):], "0")
		if err := d.Save(c.step, c.best, content(text)); err != nil {
			t.Fatal(err)
		}
		if got := there(t, d); got != c.want {
			t.Errorf("after step %d: %s, expected %s", c.step, got, c.want)
		}
		if dir, err := d.Open(); dir != d.Path(stepDir(c.step)) || err != nil {
			t.Errorf("the newest is %s, %v", dir, err)
		}
	}
	if err := d.Save(1234567, false, content("again")); err == nil || there(t, d) != "newest=1234567 best=1234567 best newest step-1234567" {
		t.Errorf("one that is there was saved over: %v, %s", err, there(t, d))
	}
}

// TestLinksStay reads the links all the time while checkpoints are saved: there
// is no moment without them.
func TestLinksStay(t *testing.T) {
	d := Dir(t.TempDir())
	if err := d.Save(1, true, content("1")); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			for _, link := range links {
				if target, err := os.Readlink(d.Path(link)); err != nil || !stepName.MatchString(target) {
					t.Errorf("%s leads to %q, %v", link, target, err)
					return
				}
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for step := range 50 {
		save := d.Save
		if step%5 == 4 {
			save, step = d.Replace, step-1 // of the same name
		}
		if err := save(step+2, true, content("x")); err != nil {
			t.Fatal(err)
		}
	}
	for range 2000 { // which is what a save does with links, without waiting for the disk
		for _, link := range links {
			if err := d.link(link, "step-000050"); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(done)
	reader.Wait()
}

// TestCutOff leaves behind what a run leaves that is killed, or finds no room,
// at each point of a save.
func TestCutOff(t *testing.T) {
	full := errors.New("no space left on device")
	for name, cut := range map[string]func(d Dir) error{
		"full disk": func(d Dir) error {
			err := d.Save(10, true, func(dir string) error { return errors.Join(content("half")(dir), full) })
			if !errors.Is(err, full) {
				t.Errorf("error %v", err)
			}
			if got := there(t, d); got != "newest=5 best=5 best newest step-000005" {
				t.Errorf("after a full disk: %s", got)
			}
			return nil
		},
		"while it writes": func(d Dir) error { return os.Mkdir(d.Path(".step-000010.tmp"), 0o777) },
		"a plot":          func(d Dir) error { return os.WriteFile(d.Path(plotName+".0123456789abcdef.tmp"), nil, 0o666) },
		"before the link": func(d Dir) error { return os.Mkdir(d.Path("step-000010"), 0o777) },
		"half a link":     func(d Dir) error { return os.Symlink("step-000010", d.Path(".newest.tmp")) },
		"before the links": func(d Dir) error {
			return errors.Join(os.Mkdir(d.Path("step-000010"), 0o777), os.Symlink("step-000010", d.Path(".best.tmp")))
		},
	} {
		d := Dir(t.TempDir())
		if err := d.Save(5, true, content("5")); err != nil {
			t.Fatal(err)
		}
		if err := cut(d); err != nil {
			t.Fatal(err)
		}
		if dir, err := d.Open(); dir != d.Path("step-000005") || err != nil {
			t.Errorf("%s: the newest is %s, %v", name, dir, err)
		}
		if err := d.Save(10, true, content("10")); err != nil {
			t.Errorf("%s: then %v", name, err)
		}
		if got := there(t, d); got != "newest=10 best=10 best newest step-000010" {
			t.Errorf("%s: then there is %s", name, got)
		}
	}
	// The first save, cut off before its link.
	d := Dir(t.TempDir())
	for _, step := range []int{900, 1000000} {
		if err := os.Mkdir(d.Path(stepDir(step)), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if dir, err := d.Open(); dir != d.Path("step-1000000") || err != nil {
		t.Errorf("without links the newest is %s, %v", dir, err)
	}
}

// TestForeign leaves alone what no run has made.
func TestForeign(t *testing.T) {
	for name, make := range map[string]func(d Dir) error{
		"is no link":          func(d Dir) error { return os.Mkdir(d.Path(Newest), 0o777) },
		"leads to ../victim,": func(d Dir) error { return os.Symlink("../victim", d.Path(Newest)) },
		"leads to /etc,":      func(d Dir) error { return os.Symlink("/etc", d.Path(Best)) },
	} {
		parent := t.TempDir()
		d := Dir(filepath.Join(parent, "out"))
		if err := errors.Join(os.Mkdir(string(d), 0o777), os.Mkdir(filepath.Join(parent, "victim"), 0o777), make(d)); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{"Save": d.Save(5, false, content("5")), "Replace": d.Replace(5, true, content("5")), "Sweep": d.Sweep()} {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v, expected %q", what, err, name)
			}
		}
		if entries, err := os.ReadDir(parent); err != nil || len(entries) != 2 {
			t.Errorf("%s: then there is %v, %v", name, entries, err)
		}
	}
}

func TestLock(t *testing.T) {
	d := Dir(t.TempDir())
	first, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lock(); err == nil || !strings.Contains(err.Error(), "another run writes to it") {
		t.Errorf("a second run: %v", err)
	}
	first.Close()
	again, err := d.Lock()
	if err != nil {
		t.Errorf("after the first run: %v", err)
	}
	again.Close()
}

func state() State {
	return State{Format: 1, Step: 5, Tokens: 40, Seconds: 1.5, Measured: &Measured{5, 2}, Best: &Measured{3, 1.25}, Options: options(),
		Data: DataRecord{Paths: []string{"/a"}, ValFraction: 0.1, Train: 90, Val: 10, Fingerprint: "ab"}}
}

func TestState(t *testing.T) {
	dir := t.TempDir()
	want := state()
	want.Options.MinLR, want.Options.Prompt = ptr(0.0), ptr("\x00 ü\n")
	if err := writeState(dir, want); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, stateName))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readState(dir)
	if err != nil || *got.Best != *want.Best || *got.Measured != *want.Measured || *got.Options.MinLR != 0 || *got.Options.Prompt != *want.Options.Prompt ||
		got.Options.WarmupIters != nil || got.Options.Rate(3) != want.Options.Rate(3) || !slices.Equal(got.Data.Paths, want.Data.Paths) || got.Step != 5 {
		t.Errorf("%+v, %v comes back of %s", got, err, text)
	}
	for _, c := range []struct{ old, new, bad string }{
		{`"format": 1`, `"format": 2`, "format 2, expected 1"},
		{`"step": 5,`, `"step": 0,`, "step 0"},
		{`"step": 5,`, `"step": 99999999999999,`, "step 99999999999999"},
		{`"step": 3,`, `"step": 6,`, "at step 6: expected a step from 0 to 5"},
		{`"val_loss": 1.25`, `"val_loss": 1e999`, "1e999"},
		{`"seconds": 1.5`, `"seconds": -1`, "-1 seconds"},
		{`"batch_size": 2`, `"batch_size": 0`, "batch_size=0"},
		{`"beta1": 0.9`, `"beta1": 2`, "beta1=2"},
		{`"val_fraction": 0.1`, `"val_fraction": 1.1`, "val_fraction"},
		{`"format": 1`, `"format": 1, "other": 2`, "other"},
		{`"format": 1`, `"format": 1, "format": 1`, "twice"},
		{`"paths": [`, `"paths": [[[[[[[[[`, "nested deeper"},
		{`"val_fraction": 0.1`, `"val_fraction": "x"`, "val_fraction"},
		{`}`, ``, "JSON"},
	} {
		hostile := strings.Replace(string(text), c.old, c.new, 1)
		if hostile == string(text) {
			t.Fatalf("%s is not there", c.old)
		}
		write(t, filepath.Join(dir, stateName), []byte(hostile))
		if _, err := readState(dir); err == nil || !strings.Contains(err.Error(), c.bad) || !strings.Contains(err.Error(), stateName) {
			t.Errorf("%s: error %v, expected %s", c.new, err, c.bad)
		}
	}
	write(t, filepath.Join(dir, stateName), make([]byte, maxStateSize+1))
	if _, err := readState(dir); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a large file: %v", err)
	}
}
