package setting

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestSpell(t *testing.T) {
	flag := func(name string) string { return "--" + name }
	for _, c := range []struct {
		err         error
		plain, flag string
	}{
		{Errorf("{batch_size=%d}: expected %d or more", 0, 1), "batch_size=0: expected 1 or more", "--batch_size=0: expected 1 or more"},
		{Errorf("%s is in the way: choose another {out_dir}", "{data}"), "{data} is in the way: choose another out_dir", "{data} is in the way: choose another --out_dir"},
		{fmt.Errorf("model x: %w", Errorf("{n-gen %d} or {lr}: %w", 3, io.EOF)), "model x: n-gen 3 or lr: EOF", "model x: --n-gen 3 or --lr: EOF"},
		{errors.Join(Errorf("{a}"), io.EOF, Errorf("{b}: %v", Errorf("{c}"))), "a\nEOF\nb: c", "--a\nEOF\n--b: --c"},
		{Spell(Errorf("{a}"), func(string) string { return "-A" }), "-A", "-A"},
		{errors.New("{data} is away"), "{data} is away", "{data} is away"},
	} {
		if got := c.err.Error(); got != c.plain {
			t.Errorf("%q, want %q", got, c.plain)
		}
		got := Spell(c.err, flag)
		if got.Error() != c.flag {
			t.Errorf("%q, want %q", got, c.flag)
		}
		if errors.Is(got, io.EOF) != errors.Is(c.err, io.EOF) {
			t.Errorf("%q wraps something else", got)
		}
	}
	if Spell(nil, flag) != nil {
		t.Error("no error became one")
	}
	if !errors.Is(Errorf("%w", io.EOF), io.EOF) {
		t.Error("what is wrapped is not found")
	}
}
