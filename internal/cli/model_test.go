package cli

import (
	"errors"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/gpt"
)

func TestWithFlags(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string // at the end
	}{
		{&gpt.MemoryError{Context: 300, Cache: backend.F16, DType: backend.Q8_0}, " (-c 300, or --cache-type=f16, or --dtype=q8_0)"},
		{&gpt.MemoryError{Sequences: 3, Cache: backend.F16}, " (--parallel=3, or --cache-type=f16)"},
		{errors.Join(errors.New("closing failed"), &gpt.MemoryError{DType: backend.F16}), " (--dtype=f16)"},
		{&gpt.MemoryError{}, "another device"},
		{errors.New("disk full"), "disk full"},
	} {
		if got := WithFlags(c.err, "--parallel=%d"); !errors.Is(got, c.err) || !strings.HasSuffix(got.Error(), c.want) {
			t.Errorf("%v, expected it to end with %q", got, c.want)
		}
	}
	if err := WithFlags(nil, ""); err != nil {
		t.Errorf("no error became %v", err)
	}
}
