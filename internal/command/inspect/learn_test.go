package inspect

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"caldera/internal/devicetest"
)

const learnRun = "../../view/testdata/run"

// TestLearn looks at a training run, of which it loads one checkpoint after the other
// and no other model.
func TestLearn(t *testing.T) {
	devicetest.UseTestDrivers(t)
	r := run(t, "learn", "--device=vulkan:llvmpipe", "--compare=cpu", "--made", "--json", "--steps=0,2000", "--top=1", learnRun, "the", "author")
	var a struct {
		Model, Device string
		Result        struct {
			Tokens []struct{ Text string }
			Stages []struct {
				Step     int
				Surprise float64
			}
			LeftOut int `json:"left_out"`
		}
		Made     []struct{ Value string }
		Compared struct {
			Device  string
			Numbers int
			Largest float64
		}
	}
	if err := json.Unmarshal([]byte(r.Out), &a); err != nil || r.Code != 0 {
		t.Fatalf("exit code %d, %v\n%s%s", r.Code, err, r.Out, r.Stderr)
	}
	if s := a.Result.Stages; len(s) != 2 || s[1].Step != 2000 || s[1].Surprise > s[0].Surprise-1 || a.Result.LeftOut != 3 || len(a.Result.Tokens) != 10 || len(a.Made) != 4 {
		t.Errorf("%+v", a)
	}
	if c := a.Compared; a.Model != learnRun || !strings.HasPrefix(a.Device, "vulkan") || c.Device != "cpu" || c.Numbers < 200 || c.Largest == 0 || c.Largest > 1e-3 {
		t.Errorf("%s on %s, compared with %+v", a.Model, a.Device, c)
	}
	file := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(file, []byte("the author\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	plain := run(t, "learn", "--backend=cpu", learnRun, "the author")
	if r := run(t, "learn", "--backend=cpu", learnRun, "-f", file); r.Code != 0 || r.Out != plain.Out || !strings.Contains(r.Out, `read "the author"`) {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Stderr)
	}
	picture := filepath.Join(t.TempDir(), "learn.png")
	if r := run(t, "learn", "--backend=cpu", learnRun, "the author", "-o", picture); r.Code != 0 || r.Stderr == "" {
		t.Errorf("exit code %d\n%s", r.Code, r.Stderr)
	}
	if got, err := os.ReadFile(picture); err != nil || !strings.HasPrefix(string(got), "\x89PNG") {
		t.Errorf("the picture: %v", err)
	}
	if r := run(t, "learn", "--list-devices", "--json"); r.Code != 0 || !strings.HasPrefix(r.Out, "[") {
		t.Errorf("the list of devices: exit code %d\n%s%s", r.Code, r.Out, r.Stderr)
	}
	wantFailure(t, run(t, "learn", "--backend=cpu"), 2, "no training run")
	wantFailure(t, run(t, "learn", "--backend=cpu", "/nonexistent", "a"), 2, "/nonexistent: no such file")
	wantFailure(t, run(t, "learn", "--backend=cpu", learnRun, "a", "--steps=3"), 2, "step 3: the run has kept no weights of it")
	wantFailure(t, run(t, "learn", "--backend=cpu", learnRun, "a", "-m", "x"), 2, "-m")
}
