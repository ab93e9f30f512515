package cpu

import (
	"errors"
	"testing"
	"time"

	"caldera/backend"
)

func TestProfile(t *testing.T) {
	b, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	tensor := func(dims ...int) backend.Tensor {
		x, err := backend.New(b, backend.F32, dims...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	small := &backend.Add{Dst: tensor(3), A: tensor(3), B: tensor(3)}
	big := &backend.Linear{Dst: tensor(200, 300), X: tensor(200, 500), W: tensor(300, 500)}
	program, err := backend.Record(b, small, big)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	spans, err := backend.Profile(b, func(same backend.Backend) error {
		if same != b {
			t.Error("the backend was wrapped, though it can profile")
		}
		if err := b.Run(big); err != nil {
			return err
		}
		_, nested := b.Profile(func() error { return nil })
		if nested == nil {
			t.Error("a profile within another: no error")
		}
		return program.Run()
	})
	wall := time.Since(start)
	if err != nil || len(spans) != 3 {
		t.Fatalf("%d spans, %v", len(spans), err)
	}
	end, sum := time.Duration(0), time.Duration(0)
	for i, want := range []string{"linear", "add", "linear"} {
		s := spans[i]
		if s.Op != want || s.Begin < end || s.Duration < 0 || s.Dispatches != 1 || (want == "linear" && s.Duration == 0) {
			t.Errorf("span %d: %+v, want a %s behind %v", i, s, want, end)
		}
		end = s.Begin + s.Duration
		sum += s.Duration
	}
	if end > wall || sum > wall {
		t.Errorf("spans end at %v and sum up to %v, in %v", end, sum, wall)
	}
	if want := "dst f32[200 300], x f32[200 500], w f32[300 500]"; spans[2].Signature() != want {
		t.Errorf("signature %q, want %q", spans[2].Signature(), want)
	}
	if n := testing.AllocsPerRun(20, func() { _ = b.Run(small) }); n != 0 {
		t.Errorf("after a profile Run allocates %v times", n)
	}
	wrong := errors.New("wrong")
	if _, err := b.Profile(func() error { return wrong }); err != wrong {
		t.Errorf("run failed, Profile says %v", err)
	}
	b.Close()
	if _, err := b.Profile(func() error { return nil }); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("Profile of a closed backend: %v", err)
	}
}
