package gpt_test

import (
	"slices"
	"testing"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/devicetest"
	"caldera/internal/gpttest"
)

// TestSlide expects of a context that slides the scores of the newer half alone.
func TestSlide(t *testing.T) {
	devicetest.Each(t, func(t *testing.T, b backend.Backend) {
		m := gpttest.Load(t, b, "testdata/gpt2-tiny", backend.F32)
		for _, size := range []int{7, 8} {
			s := gpttest.NewSession(t, m, size)
			defer s.Close()
			text := sequence(size, 257)
			if _, err := s.Feed(t.Context(), text[:size-1]...); err != nil {
				t.Fatal(err)
			}
			_, err := s.Slide(t.Context())
			gpttest.WantError(t, err, "expected it to be full")
			if _, err := s.Feed(t.Context(), text[size-1]); err != nil {
				t.Fatal(err)
			}
			if got := s.Tokens(); !slices.Equal(got, text) {
				t.Errorf("the context holds %v, expected %v", got, text)
			}
			scores, err := s.Slide(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			kept := text[size-size/2:]
			if got := s.Tokens(); !slices.Equal(got, kept) || s.Len() != size/2 {
				t.Errorf("after sliding the context holds %v, expected %v", got, kept)
			}
			gpttest.CheckNear(t, "scores", scores, gpttest.Feed(t, m, kept...), 1e-5)
		}
	})
	_, m := tiny(t)
	s := gpttest.NewSession(t, m, 1)
	defer s.Close()
	if _, err := s.Feed(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if scores, err := s.Slide(t.Context()); scores != nil || err != nil || s.Len() != 0 {
		t.Errorf("a context of one token: %d scores, %v, %d tokens left", len(scores), err, s.Len())
	}
	if ids, err := (gpt.Options{Vocab: 250, Barred: []int{3}, IgnoreEOS: true}).NeverDrawn(m); err != nil || !slices.Equal(ids, []int{3, 250, 251, 252, 253, 254, 255, 256}) {
		t.Errorf("never drawn: %v, %v", ids, err)
	}
}
