package bench

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"caldera/backend"
)

// TestStartup starts processes for real: this test is their program.
func TestStartup(t *testing.T) {
	model, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := backend.Find("cpu")
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	o := StartupOptions{Options: quiet(1), Threads: 1}
	o.DType = backend.F32
	results, err := Startup(t.Context(), d, model, o)
	if err != nil {
		t.Fatal(err)
	}
	all := time.Since(begin)
	if len(results) != 2 || results[0].Caches != "cold" || results[1].Caches != "warm" {
		t.Fatalf("got %+v", results)
	}
	for _, r := range results {
		if ns := r.SamplesNS[0]; len(r.SamplesNS) != 1 || ns < r.OpenNS+r.LoadNS || ns > all.Nanoseconds() {
			t.Errorf("%s: %v ns to the first token, %d to open and %d to load, of %v in all", r.Caches, r.SamplesNS, r.OpenNS, r.LoadNS, all)
		}
		if r.OpenNS <= 0 || r.LoadNS <= 0 || r.ModelNParams != int64(model.Config.Parameters()) || r.DType != "f32" || r.NPrompt != 16 {
			t.Errorf("%s: %+v", r.Caches, r)
		}
		if err := reread(r); err != nil {
			t.Error(err)
		}
	}
}

func TestStartupFails(t *testing.T) {
	d := backend.Device{Backend: "mixed", Index: 7}
	_, err := Startup(t.Context(), d, Model{Name: "m", Config: tiny}, StartupOptions{Options: quiet(1)})
	if err == nil || !strings.Contains(err.Error(), "cold start of m on mixed:7: ") || !strings.Contains(err.Error(), "no device") {
		t.Errorf("got %v, expected what the process said", err)
	}
}

// TestCachesIn leaves a process no place but the one given.
func TestCachesIn(t *testing.T) {
	env := cachesIn([]string{"HOME=/home/x", "XDG_CACHE_HOME=/a", "MESA_SHADER_CACHE_DIR=/b", "PATH=/bin", startupEnv + "=1"}, "/tmp/c")
	for _, want := range []string{"PATH=/bin", "XDG_CACHE_HOME=/tmp/c", "MESA_SHADER_CACHE_DIR=" + filepath.Join("/tmp/c", "mesa")} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is not in %v", want, env)
		}
	}
	for _, v := range env {
		if strings.HasPrefix(v, startupEnv) || strings.HasSuffix(v, "=/a") || strings.HasSuffix(v, "=/b") {
			t.Errorf("%s is still there", v)
		}
	}
}

// TestStartupHidden sees that nobody comes to be such a process by a slip.
func TestStartupHidden(t *testing.T) {
	for value, want := range map[string]bool{"": false, "1": os.Getppid() == 1, "yes": false, strconv.Itoa(os.Getppid()): true} {
		t.Setenv(startupEnv, value)
		if got := isStartupChild(); got != want {
			t.Errorf("%s=%q: %v, expected %v", startupEnv, value, got, want)
		}
	}
}
