package train

import (
	"testing"

	"caldera/gpt/checkpoint"
)

// TestFolderIsModel expects the folder of a run to stand for its best checkpoint,
// wherever a model is asked for, and for its newest where none is the best.
func TestFolderIsModel(t *testing.T) {
	c, err := checkpoint.Open("../../gpt/testdata/gpt2-one")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	write := func(dir string) error { return c.SaveDir(t.Context(), dir, checkpoint.SaveOptions{}) }
	d := Dir(t.TempDir())
	for _, s := range []struct {
		step int
		best bool
		want string
	}{{5, false, Newest}, {10, true, Best}, {15, false, Best}} {
		if err := d.Save(s.step, s.best, write); err != nil {
			t.Fatal(err)
		}
		opened, err := checkpoint.Open(string(d))
		if err != nil {
			t.Fatal(err)
		}
		if opened.Path != d.Path(s.want) || len(opened.Notes()) != 1 {
			t.Errorf("after step %d: opened %s, told %q, expected %s", s.step, opened.Path, opened.Notes(), s.want)
		}
		opened.Close()
	}
}
