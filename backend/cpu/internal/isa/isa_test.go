package isa

import (
	"strings"
	"testing"
)

func TestAllowed(t *testing.T) {
	for _, c := range []struct{ env, allowed string }{
		{"", "sse2 avx2 avxvnni avx512 neon"}, {"go", ""}, {"sse2", "sse2"}, {"avx2", "sse2 avx2"}, {"avxvnni", "sse2 avx2 avxvnni"}, {"avx512", "sse2 avx2 avxvnni avx512"},
	} {
		t.Setenv(Env, c.env)
		var got []string
		for _, name := range Names[1:] {
			if allowed(name) {
				got = append(got, name)
			}
		}
		if s := strings.Join(got, " "); s != c.allowed {
			t.Errorf("%s=%s allows %q, expected %q", Env, c.env, s, c.allowed)
		}
		if err := Check(); err != nil {
			t.Error(err)
		}
	}
	t.Setenv(Env, "mmx")
	if err := Check(); err == nil || !strings.Contains(err.Error(), "CALDERA_CPU=mmx") {
		t.Errorf("got %v, expected an error that names the variable and its value", err)
	}
}
