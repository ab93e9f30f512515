//go:build cgo

package vulkan

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"caldera/backend"
	"caldera/internal/spirv"
	"caldera/shaders"
)

// TestTuned has a device take another kernel than the rule's, in this process and in the next one.
func TestTuned(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	card := played{name: "tuned", lanes: 32}
	run := func(b *Backend) (took []string, of string, ways []string) {
		t.Helper()
		op := &backend.Linear{Dst: newTensor(t, b, backend.F32, 1, 8), X: newTensor(t, b, backend.F32, 1, 8), W: newTensor(t, b, backend.F32, 8, 8)}
		if err := backend.Run(b, op); err != nil {
			t.Fatal(err)
		}
		of, ways = b.Ways(op)
		return b.taken(), of, ways
	}
	b, _ := card.openChecked(t)
	took, of, ways := run(b)
	if of != "1×8×8 f32·f32" || !strings.HasPrefix(ways[0], "linear_one ") || !slices.Equal(took, []string{"linear_one"}) {
		t.Fatalf("%s: ways %q, took %v", of, ways, took)
	}
	if of, ways := b.Ways(&backend.Add{}); of != "" || ways != nil {
		t.Errorf("an addition has ways %q", ways)
	}
	const other = "linear_vec x4, 64 lanes, 1 rows, 4 outputs"
	if !slices.Contains(ways, other) {
		t.Fatalf("%q is not among %q", other, ways)
	}
	b.Take(of, other)
	if took, _, _ = run(b); !slices.Contains(took, "linear_vec") {
		t.Errorf("linear_vec was to be taken, and %v were", took)
	}
	b.Take(of, "")
	tuned := backend.Tuned{Of: of, Way: other, Seconds: 1e-6, Rule: ways[0], RuleSeconds: 2e-6, Measured: time.Unix(1, 0).UTC()}
	if err := b.StoreTuned([]backend.Tuned{tuned, {Of: "another", Way: "a", Seconds: 1, Rule: "b", RuleSeconds: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := b.StoreTuned([]backend.Tuned{{Of: "no name", Seconds: 1, Rule: "b", RuleSeconds: 1}}); err == nil {
		t.Error("a choice without a name is stored")
	}
	next, _ := card.openChecked(t)
	if took, _, _ = run(next); !slices.Equal(took, []string{"linear_vec"}) || !strings.Contains(next.Describe(), ", tuned for 2 ops") {
		t.Errorf("linear_vec alone was to be taken, and %v were by %s", took, next.Describe())
	}
	list, path, err := next.Tuned()
	if err != nil || len(list) != 2 || list[0] != tuned {
		t.Fatalf("stored are %+v, %v", list, err)
	}

	// What is damaged, too large, another device's or of another format is not used, and said to be not.
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "cut off": text[:len(text)/2], "another format": bytes.Replace(text, []byte(`"caldera_format": 1`), []byte(`"caldera_format": 2`), 1),
		"another device": bytes.Replace(text, []byte(`"device": "tuned"`), []byte(`"device": "other"`), 1), "a long name": bytes.Replace(text, []byte(other), bytes.Repeat([]byte("x"), 300), 1),
		"a control character": bytes.Replace(text, []byte(other), []byte(`\u001b[1m`), 1), "a time of 0": bytes.Replace(text, []byte(`0.000001`), []byte("0"), 1),
		"too large": append(slices.Clone(text), make([]byte, storedMax)...),
	} {
		if bytes.Equal(bad, text) {
			t.Fatalf("%s: nothing was changed in\n%s", name, text)
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		b, _ := card.openChecked(t)
		if _, _, err := b.Tuned(); err == nil || len(b.tuned.ways) > 0 || !strings.Contains(b.Describe(), ", not tuned, because ") {
			t.Errorf("%s: %v, and this is %s", name, err, b.Describe())
		}
		if why := map[string]string{
			"a long name": ": choice 0 has a name of 300 bytes, expected 1 to 200", "a time of 0": ": choice 0 has a time of 0 s, expected a finite number above 0",
			"a control character": `: choice 0 has the name "\x1b[1m", expected text in UTF-8 without control characters`,
		}[name]; !strings.Contains(b.Describe(), why) {
			t.Errorf("%s: this is %s, expected %q", name, b.Describe(), why)
		}
		if line := b.Describe(); strings.Contains(line, filepath.Dir(path)) || len(line) > 300 {
			t.Errorf("%s: the line has the file's path, or more: %s", name, line)
		}
		if name != "empty" {
			continue
		}
		if took, _, _ := run(b); !slices.Equal(took, []string{"linear_one"}) {
			t.Errorf("%s: %v was taken", name, took)
		}
		if err := b.StoreTuned([]backend.Tuned{tuned}); err != nil {
			t.Errorf("a file that cannot be used is not replaced: %v", err)
		}
		if took, _, _ := run(b); !slices.Equal(took, []string{"linear_one", "linear_vec"}) || !strings.Contains(b.Describe(), ", tuned for 1 ops") {
			t.Errorf("after it is replaced %v were taken, and this is %s", took, b.Describe())
		}
	}
	if err := next.ForgetTuned(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("what was measured is not forgotten")
	}
	if took, _, _ = run(next); !slices.Contains(took, "linear_one") {
		t.Errorf("after it is forgotten %v was taken", took)
	}
	if list, _, err := next.Tuned(); err != nil || list != nil {
		t.Errorf("nothing is stored: %v, %v", list, err)
	}
}

// TestVerdictsStored: what passed its check is not checked again by the next process, and what failed is;
// a file that is damaged counts as absent.
func TestVerdictsStored(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	card := played{name: "verdicts", lanes: 32, checked: true}
	run := func() (*Backend, int) {
		t.Helper()
		b, _ := card.openChecked(t)
		someProducts(t, b)
		ran := b.checks.ran
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		return b, ran
	}
	b, first := run()
	if _, again := run(); first == 0 || again != 0 {
		t.Errorf("%d checks, and %d in the next process, expected some and none", first, again)
	}
	for _, text := range []string{"", "{", `{"caldera_format": 1, "device": "verdicts", "driver": "other", "passed": ["linear"]}`} {
		if err := os.WriteFile(b.checks.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, again := run(); again != first {
			t.Errorf("by a file of %q %d checks, expected %d", text, again, first)
		}
	}
}

// attentionRun computes attention over a context, and returns the result with the pipelines of attention that were taken.
func attentionRun(t *testing.T, b *Backend, context, queries int) (got []float32, op *backend.Attention, took []string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	f32 := func(dims ...int) backend.Tensor {
		x := newTensor(t, b, backend.F32, dims...)
		numbers := make([]float32, x.Len())
		for i := range numbers {
			numbers[i] = rng.Float32()
		}
		if err := backend.SetF32(b, x, numbers); err != nil {
			t.Fatal(err)
		}
		return x
	}
	op = &backend.Attention{Dst: f32(1, queries, 16), Q: f32(1, queries, 16), K: f32(1, context, 16), V: f32(1, context, 16), At: newTensor(t, b, backend.I32, 2, queries), Heads: 2, Scale: 1}
	at := make([]int32, 2*queries)
	for i := range queries {
		at[queries+i] = int32(context - queries + i)
	}
	if err := backend.SetI32(b, op.At, at); err != nil {
		t.Fatal(err)
	}
	p, err := backend.Record(b, op)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	for key := range b.pipes.made {
		if strings.HasPrefix(key.variant.Source, "attention") {
			took = append(took, key.variant.Name())
		}
	}
	slices.Sort(took)
	return values(t, b, op.Dst), op, took
}

// TestTunedAttention: attention is computed as was measured and stored, in a later process, on a driver and on GPUs; and by the rule
// where the file is damaged or another card's, which the device's line says.
func TestTunedAttention(t *testing.T) {
	onDriver := func(t *testing.T) *Backend { return openTest(t, lavapipe, nil) }
	onCard := func(t *testing.T) *Backend { b, _ := card32.openChecked(t); return b }
	for _, c := range []struct {
		name             string
		open             func(t *testing.T) *Backend
		context, queries int
		ways             []string // some of those that there are, the rule's first
		rule, tuned      []string // pipelines
		way              string
	}{
		{"driver", onDriver, 40, 1, []string{"attention texel", "attention x4", "attention"}, []string{"attention.texel"}, []string{"attention.x4"}, "attention x4"},
		{"parts", onCard, 600, 1, []string{"attention_one, parts of 128 keys", "attention_one, one part", "attention_one, parts of 256 keys", "attention x4", "attention"},
			[]string{"attention_join.subgroup", "attention_one.subgroup"}, []string{"attention_one.subgroup"}, "attention_one, one part"},
		{"tile", onCard, 40, 9, []string{"attention_tile, 1 queries a lane", "attention_tile, 2 queries a lane", "attention x4"}, []string{"attention_tile.subgroup"}, []string{"attention"}, "attention"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			b := c.open(t)
			want, op, took := attentionRun(t, b, c.context, c.queries)
			of, ways := b.Ways(op)
			if !slices.Equal(took, c.rule) || ways[0] != c.ways[0] || of == "" {
				t.Fatalf("%s: ways %q, took %q", of, ways, took)
			}
			for _, way := range c.ways {
				if !slices.Contains(ways, way) {
					t.Errorf("%q is not among %q", way, ways)
				}
			}
			for _, way := range ways { // all of them compute the same
				b.Take(of, way)
				got, _, _ := attentionRun(t, b, c.context, c.queries)
				for i, w := range want {
					if d := math.Abs(float64(got[i] - w)); !(d <= 1e-5) {
						t.Fatalf("by %s number %d is %v, expected %v", way, i, got[i], w)
					}
				}
			}
			b.Take(of, "")
			if err := b.StoreTuned([]backend.Tuned{{Of: of, Way: c.way, Seconds: 1e-6, Rule: ways[0], RuleSeconds: 2e-6, Measured: time.Unix(1, 0).UTC()}}); err != nil {
				t.Fatal(err)
			}
			next := c.open(t)
			if _, _, took := attentionRun(t, next, c.context-3, c.queries); !slices.Equal(took, c.tuned) || !strings.Contains(next.Describe(), ", tuned for 1 ops") {
				t.Errorf("%q was stored; %q were taken by %s", c.way, took, next.Describe())
			}
			text, err := os.ReadFile(next.tuned.path)
			if err != nil {
				t.Fatal(err)
			}
			for name, bad := range map[string][]byte{
				"cut off": text[:len(text)/2], "another driver's": bytes.Replace(text, []byte(`"driver": "`), []byte(`"driver": "other `), 1),
			} {
				if err := os.WriteFile(next.tuned.path, bad, 0o600); err != nil {
					t.Fatal(err)
				}
				b := c.open(t)
				if _, _, took := attentionRun(t, b, c.context, c.queries); !slices.Equal(took, c.rule) || !strings.Contains(b.Describe(), ", not tuned, because ") {
					t.Errorf("%s: %q were taken by %s", name, took, b.Describe())
				}
			}
		})
	}
}

// TestWaysAreRight: what has failed its check, and other divisions of the same shader, are no ways to compute an op.
func TestWaysAreRight(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	b, d := played{name: "a card", lanes: 32, checked: true}.openChecked(t)
	wrong := []string{"linear_one", "attention_one", "attention_tile"}
	d.edit = func(v *shaders.Variant, m *spirv.Module) *spirv.Module {
		if slices.Contains(wrong, v.Source) {
			return miscompiled(t, v)
		}
		return m
	}
	linear := &backend.Linear{Dst: newTensor(t, b, backend.F32, 1, 8), X: newTensor(t, b, backend.F32, 1, 8), W: newTensor(t, b, backend.F32, 8, 8)}
	attention := func(queries int) backend.Op {
		f32 := func(n int) backend.Tensor { return newTensor(t, b, backend.F32, 1, n, 16) }
		return &backend.Attention{Dst: f32(queries), Q: f32(queries), K: f32(600), V: f32(600), At: newTensor(t, b, backend.I32, 2, queries), Heads: 2, Scale: 1}
	}
	for _, op := range []backend.Op{linear, attention(1), attention(9)} {
		_, before := b.Ways(op)
		if !slices.ContainsFunc(wrong, func(source string) bool { return strings.HasPrefix(before[0], source) }) {
			t.Fatalf("the rule takes %s", before[0])
		}
		if err := backend.Run(b, op); err != nil {
			t.Fatal(err)
		}
		_, after := b.Ways(op)
		if len(after) == 0 || len(after) >= len(before) {
			t.Errorf("the ways are %q, and before %q", after, before)
		}
		for _, way := range after {
			if slices.ContainsFunc(wrong, func(source string) bool { return strings.HasPrefix(way, source) }) {
				t.Errorf("%q is among the ways, and its kernel is wrong", way)
			}
		}
	}
}

// TestStoredTunedIsBounded: a file with the longest names, of more ops than it may hold, is one that can be read; the oldest go.
func TestStoredTunedIsBounded(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	b, _ := card32.openChecked(t)
	long := strings.Repeat(`"`, longestWay)
	var list []backend.Tuned
	for i := range mostTuned + 2 {
		list = append(list, backend.Tuned{Of: fmt.Sprintf("%04d", i) + long[4:], Way: long, Seconds: 1.0 / 3, Rule: long, RuleSeconds: 1e-300 / 3, Measured: time.Unix(int64(i), 1).UTC()})
	}
	if err := b.StoreTuned(list); err != nil {
		t.Fatal(err)
	}
	got, path, err := b.Tuned()
	if err != nil || !slices.Equal(got, list[2:]) {
		t.Errorf("%d choices, %v, expected %d", len(got), err, mostTuned)
	}

	// What stands in the place of the file is not removed if it is no file.
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := b.ForgetTuned(); err == nil || !strings.Contains(err.Error(), path+" is a directory, expected a file") {
		t.Errorf("a directory in the place of the file: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the directory is gone: %v", err)
	}
	if _, _, err := b.Tuned(); err == nil || !strings.Contains(err.Error(), path+": it is not a regular file") {
		t.Errorf("a directory in the place of the file: %v", err)
	}
}
