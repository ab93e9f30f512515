package peer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"caldera/internal/bench/result"
)

func TestFind(t *testing.T) {
	if all, err := Find(nil, Places{}); err != nil || len(all) != 2 {
		t.Errorf("%d peers, %v", len(all), err)
	}
	if _, err := Find([]string{"pytorch", "tensorflow"}, Places{}); err == nil || !strings.Contains(err.Error(), `"tensorflow": expected node-llama-cpp or pytorch`) {
		t.Errorf("got %v", err)
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	installed := filepath.Join(t.TempDir(), "node_modules", "node-llama-cpp")
	if err := errors.Join(os.MkdirAll(filepath.Join(installed, "dist"), 0o700), os.WriteFile(filepath.Join(installed, "dist", "index.js"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		find func() ([]Program, error)
		want string
	}{
		{func() ([]Program, error) { return torchPrograms("/no/python") }, "there is no /no/python"},
		{func() ([]Program, error) { return llamaPrograms("", "") }, "scripts/peers.sh llama installs it"},
		{func() ([]Program, error) { return llamaPrograms(t.TempDir(), "") }, "holds no node-llama-cpp"},
		{func() ([]Program, error) { return llamaPrograms(installed, "Radeon") }, "scripts/peers.sh llama-vulkan installs one"},
	} {
		if _, err := test.find(); !errors.Is(err, result.ErrAbsent) || !strings.Contains(err.Error(), test.want) && !strings.Contains(err.Error(), "node is not on the PATH") {
			t.Errorf("got %v, expected %s", err, test.want)
		}
	}
}

func TestFindTrainers(t *testing.T) {
	for _, test := range []struct {
		names []string
		n     int
		want  string
	}{
		{nil, 1, ""}, {[]string{"pytorch"}, 1, ""}, {[]string{"none"}, 0, ""},
		{[]string{"node-llama-cpp"}, 0, `unknown peer "node-llama-cpp": expected pytorch or none`},
		{[]string{"pytorch", "none"}, 0, "none goes without other peers: found pytorch,none"},
	} {
		found, err := FindTrainers(test.names, Places{})
		if len(found) != test.n || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %d peers, %v", test.names, len(found), err)
		}
	}
}

// TestInstalledLlama finds the newest library, wherever the user has the cache directory.
func TestInstalledLlama(t *testing.T) {
	for _, name := range []string{"a", "a[b", "a*?"} {
		cache := filepath.Join(t.TempDir(), name)
		t.Setenv("XDG_CACHE_HOME", cache)
		if got, err := installedLlama(); !errors.Is(err, result.ErrAbsent) {
			t.Errorf("nothing is installed in %s: %q, %v", cache, got, err)
		}
		want := filepath.Join(cache, "caldera", "node-llama-cpp-2", "node_modules", "node-llama-cpp")
		for _, dir := range []string{want, strings.Replace(want, "-2", "-1", 1)} {
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := installedLlama(); err != nil || got != want {
			t.Errorf("%q, %v, expected %q", got, err, want)
		}
	}
}
