package blaslib

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// itself is a process of this test's program with arguments, in the emulator that this one runs in, if it does.
func itself(args ...string) *exec.Cmd {
	all := append([]string{os.Args[0]}, args...)
	if emulator := os.Getenv("CALDERA_EMULATOR"); emulator != "" {
		all = append([]string{emulator}, all...)
	}
	return exec.Command(all[0], all[1:]...)
}

// TestUseOwn asks for package gemm in processes that were told otherwise, or nothing.
func TestUseOwn(t *testing.T) {
	if os.Getenv("CALDERA_TEST_OWN") != "" {
		if err := UseOwn(); err != nil {
			t.Fatal(err)
		}
		return
	}
	for env, want := range map[string]string{"": "", "caldera": "", "gonum": "gonum multiplies matrices already; unset CALDERA_BLAS, or set it to caldera"} {
		for _, set := range []string{"go", ""} { // the rule would take a library, or not
			c := itself("-test.run=^TestUseOwn$")
			c.Env = append(os.Environ(), "CALDERA_TEST_OWN=1", Env+"="+env, "CALDERA_CPU="+set)
			out, err := c.CombinedOutput()
			if (err != nil) != (want != "") || !strings.Contains(string(out), want) {
				t.Errorf("%s=%s, CALDERA_CPU=%s: %v\n%s\nexpected %q", Env, env, set, err, out, want)
			}
		}
	}
}
