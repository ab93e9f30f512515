package blaslib

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

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
			c := exec.Command(os.Args[0], "-test.run=^TestUseOwn$")
			c.Env = append(os.Environ(), "CALDERA_TEST_OWN=1", Env+"="+env, "CALDERA_CPU="+set)
			out, err := c.CombinedOutput()
			if (err != nil) != (want != "") || !strings.Contains(string(out), want) {
				t.Errorf("%s=%s, CALDERA_CPU=%s: %v\n%s\nexpected %q", Env, env, set, err, out, want)
			}
		}
	}
}
