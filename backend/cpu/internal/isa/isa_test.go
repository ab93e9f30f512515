package isa

import (
	"strings"
	"testing"
)

func TestAllowed(t *testing.T) {
	defer func(names []string) { Names = names }(Names)
	for _, c := range []struct{ arch, env, allowed string }{
		{"amd64", "", "sse2 avx2 avxvnni avx512"}, {"amd64", "go", ""}, {"amd64", "sse2", "sse2"}, {"amd64", "avx2", "sse2 avx2"},
		{"amd64", "avxvnni", "sse2 avx2 avxvnni"}, {"amd64", "avx512", "sse2 avx2 avxvnni avx512"},
		{"arm64", "", "neon"}, {"arm64", "go", ""}, {"arm64", "neon", "neon"}, {"riscv64", "go", ""},
	} {
		t.Setenv(Env, c.env)
		Names = namesOf(c.arch)
		var got []string
		for _, name := range Names[1:] {
			if allowed(name) {
				got = append(got, name)
			}
		}
		if s := strings.Join(got, " "); s != c.allowed {
			t.Errorf("%s: %s=%s allows %q, expected %q", c.arch, Env, c.env, s, c.allowed)
		}
		if err := Check(); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct{ arch, env string }{{"amd64", "mmx"}, {"amd64", "neon"}, {"arm64", "avx512"}, {"riscv64", "sse2"}} {
		t.Setenv(Env, c.env)
		Names = namesOf(c.arch)
		if err := Check(); err == nil || !strings.Contains(err.Error(), "CALDERA_CPU="+c.env+" names no instruction set") || !strings.Contains(err.Error(), strings.Join(Names, ", ")) {
			t.Errorf("%s: got %v, expected an error that names the variable, its value and %v", c.arch, err, Names)
		}
	}
}
