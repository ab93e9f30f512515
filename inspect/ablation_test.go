package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/inspect"
	"caldera/internal/gpttest"
)

// tiny is an Inspector of a small model on the CPU, whose weights can be changed.
func tiny(t *testing.T) *inspect.Inspector {
	t.Helper()
	b, err := backend.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	m, err := gpt.Load(t.Context(), b, "../gpt/testdata/gpt2-tiny", gpt.LoadOptions{Train: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	in := inspect.New(m, nil, inspect.Options{})
	t.Cleanup(in.Close)
	return in
}

func TestParsePart(t *testing.T) {
	for name, want := range map[string]inspect.Part{
		"0": {}, "3": {Block: 3}, "3.attention": {Block: 3, Kind: inspect.Attention}, "12.mlp": {Block: 12, Kind: inspect.MLP},
		"1.head.0": {Block: 1, Kind: inspect.Head}, "0.head.11": {Kind: inspect.Head, Head: 11},
	} {
		got, err := inspect.ParsePart(name)
		if err != nil || got != want || got.String() != name {
			t.Errorf("%q is %+v, %v; expected %+v", name, got, err, want)
		}
		var back inspect.Part
		if text, err := json.Marshal(want); err != nil || json.Unmarshal(text, &back) != nil || back != want {
			t.Errorf("%q as JSON is %s, and then %+v", name, text, back)
		}
	}
	for _, name := range []string{"", ".", "x", "3.", "3.head", "3.head.", "3.head.x", "3.heads.1", "3.mlp.1", "head.3", "3.3", "99999999999999999999", "3 .mlp"} {
		_, err := inspect.ParsePart(name)
		gpttest.WantError(t, err, "part", "expected the number of a block, such as 3")
		wantUser(t, err)
	}
}

func wantUser(t *testing.T, err error) {
	t.Helper()
	if !errors.As(err, new(inspect.UserError)) {
		t.Errorf("%v is no UserError", err)
	}
}

// TestLensErrors asks for what there is not.
func TestLensErrors(t *testing.T) {
	in := tiny(t)
	ids, ctx := []int{3, 1, 4, 1, 5}, t.Context()
	lens := func(ids []int, o inspect.LensOptions) error { _, err := in.Lens(ctx, ids, o); return err }
	attribution := func(ids []int, at, token, against int) error {
		_, err := in.Attribution(ctx, ids, inspect.AttributionOptions{Position: at, Token: token, Against: against})
		return err
	}
	ablate := func(ids []int, at, token int, off ...inspect.Part) error {
		_, err := in.Ablate(ctx, ids, off, inspect.AblationOptions{Position: at, Token: token})
		return err
	}
	for _, c := range []struct {
		err   error
		parts []string
	}{
		{lens(nil, inspect.LensOptions{}), []string{"no tokens"}},
		{lens(make([]int, 65), inspect.LensOptions{}), []string{"65 tokens", "64"}},
		{lens([]int{257}, inspect.LensOptions{}), []string{"is 257", "0 to 256"}},
		{lens(ids, inspect.LensOptions{Token: 257}), []string{"token 257", "0 to 256"}},
		{lens(ids, inspect.LensOptions{From: 5}), []string{"position 5", "0 to 4"}},
		{lens(ids, inspect.LensOptions{From: math.MinInt}), []string{"0 to 4"}},
		{lens(ids, inspect.LensOptions{To: 6}), []string{"position 6"}},
		{lens(ids, inspect.LensOptions{From: 2, To: 2}), []string{"positions 2 to 2", "second above the first"}},
		{lens(ids, inspect.LensOptions{From: -1, To: -2}), []string{"positions -1 to -2"}},
		{attribution(nil, 0, -1, -1), []string{"no tokens"}},
		{attribution(ids, 5, -1, -1), []string{"position 5"}},
		{attribution(ids, -6, -1, -1), []string{"position -6"}},
		{attribution(ids, 0, 257, -1), []string{"token 257"}},
		{attribution(ids, 0, -1, 1000), []string{"token 1000"}},
		{ablate(nil, 0, -1), []string{"no tokens"}},
		{ablate(ids, 9, -1), []string{"position 9"}},
		{ablate(ids, 0, 257), []string{"token 257"}},
		{ablate(ids, 0, -1, inspect.Part{Block: 3}), []string{"layer 3", "0 to 2"}},
		{ablate(ids, 0, -1, inspect.Part{Block: -1, Kind: inspect.MLP}), []string{"layer -1"}},
		{ablate(ids, 0, -1, inspect.Part{Kind: inspect.Head, Head: 4}), []string{"head 4", "0 to 3"}},
	} {
		gpttest.WantError(t, c.err, c.parts...)
		wantUser(t, c.err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := in.Ablate(ended, ids, nil, inspect.AblationOptions{Token: -1}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
	if err := lens(ids, inspect.LensOptions{From: -2, To: 5, Token: -1}); err != nil {
		t.Errorf("and it works still: %v", err)
	}
}

// TestNotFinite looks into a model whose numbers are NaN: results say so, and marshal.
func TestNotFinite(t *testing.T) {
	in := tiny(t)
	gamma := in.Model.Final().Gamma
	values := make([]float32, gamma.Len())
	for i := range values {
		values[i] = float32(math.NaN())
	}
	if err := backend.SetF32(in.Model.Backend, gamma, values); err != nil {
		t.Fatal(err)
	}
	ids := []int{3, 1, 4}
	lens, err := in.Lens(t.Context(), ids, inspect.LensOptions{Token: -1, Top: 2})
	if err != nil {
		t.Fatal(err)
	}
	if cell := lens.Blocks[1][1]; cell.Rank != 0 || cell.Note == "" || len(cell.Top) != 2 || cell.Top[0].ID != 0 || lens.Appears[1] != -1 {
		t.Errorf("rank %d, the likeliest %v, appears at %d; expected 0, tokens 0 and 1, and -1", cell.Rank, cell.Top, lens.Appears[1])
	}
	attribution, err := in.Attribution(t.Context(), ids, inspect.AttributionOptions{Token: 1, Against: -1})
	if err != nil {
		t.Fatal(err)
	}
	ablation, err := in.Ablate(t.Context(), ids, nil, inspect.AblationOptions{Token: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{lens, attribution, ablation} {
		if text, err := json.Marshal(v); err != nil || !slices.Contains([]byte(text), '{') {
			t.Errorf("%T: %v", v, err)
		}
	}
}

// TestMaskedMemory switches parts off without recording a program anew, and
// gives all memory back.
func TestMaskedMemory(t *testing.T) {
	in := tiny(t)
	used := func() int64 {
		n, _, _ := backend.Memory(in.Model.Backend)
		return int64(n)
	}
	before := used()
	ids := []int{3, 1, 4, 1, 5, 9, 2, 6}
	ablate := func(kind inspect.PartKind) {
		for _, p := range in.Parts(kind) {
			if _, err := in.Ablate(t.Context(), ids, []inspect.Part{p}, inspect.AblationOptions{Position: -1, Token: -1}); err != nil {
				t.Fatal(err)
			}
		}
	}
	ablate(inspect.WholeBlock)
	once := used()
	if once <= before {
		t.Errorf("%d bytes before and %d after: what reads with masks is not kept", before, once)
	}
	for _, kind := range []inspect.PartKind{inspect.Head, inspect.Attention, inspect.MLP} {
		if ablate(kind); used() != once {
			t.Errorf("memory went from %d to %d bytes when other parts were switched off", once, used())
		}
	}
	in.Close()
	if after := used(); after != before {
		t.Errorf("%d bytes are left of it, %d before", after, before)
	}
}
