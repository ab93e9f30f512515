package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// trainResult is what a result of bench train is asked for here.
type trainResult struct {
	Model    string `json:"model_type"`
	DType    string
	Batch    int
	Time     int
	Peer     string
	Failure  string
	Kind     string    `json:"failure_kind"`
	Loss     float64   `json:"first_loss"`
	SameLoss bool      `json:"same_loss"`
	Speed    float64   `json:"avg_ts"`
	Samples  []int64   `json:"samples_ns"`
	Ratios   []float64 `json:"samples_ratio"`
}

func trainResults(t *testing.T, path string) (all []trainResult) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return all
}

// TestTrainAlone trains the smallest model of tests and nanoGPT's where there is no PyTorch:
// that is told, and ours is measured, in f32 and in mixed precision.
func TestTrainAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "train.json")
	_, stderr, code := command(t, "train", "--backend=cpu", "-m", "../../../gpt/testdata/gpt2-tiny", "--shape=nanogpt", "--time=8", "--python=/no/python",
		"--dtype=f32,f16", "--no-ceilings", "-r", "2", "-o", "json", "--output", path)
	if code != 0 || !strings.Contains(stderr, "bench: not measured: pytorch beside nanogpt f32 on cpu:0: absent: there is no /no/python") {
		t.Errorf("exit %d, standard error:\n%s", code, stderr)
	}
	results := trainResults(t, path)
	if len(results) != 8 {
		t.Fatalf("%d results: %+v", len(results), results)
	}
	for i, want := range []trainResult{
		{Model: "gpt2-tiny", DType: "f32", Batch: 4, Kind: "absent"}, {Model: "gpt2-tiny", DType: "f16", Batch: 4, Kind: "unsupported"},
		{Model: "nanogpt", DType: "f32", Batch: 12, Kind: "absent"}, {Model: "nanogpt", DType: "f16", Batch: 12, Kind: "unsupported"},
	} {
		ours, theirs := results[2*i], results[2*i+1]
		if ours.Model != want.Model || ours.DType != want.DType || ours.Batch != want.Batch || ours.Time != 8 || ours.Peer != "" || len(ours.Samples) != 2 || ours.Speed <= 0 || ours.Loss <= 0 {
			t.Errorf("ours: %+v", ours)
		}
		if theirs.Peer != "pytorch" || theirs.Kind != want.Kind || len(theirs.Samples) > 0 {
			t.Errorf("PyTorch: %+v", theirs)
		}
	}
	for _, args := range [][]string{{"show", path}, {"show", "-o", "csv", path}, {"compare", "--agree", path, path}} {
		if stdout, stderr, code := command(t, args...); code != 0 || !strings.Contains(stdout, "nanogpt") {
			t.Errorf("%v: exit %d\n%s%s", args, code, stdout, stderr)
		}
	}
}

// TestTrainOutOfMemory asks for more than any machine has, and is told what fits.
func TestTrainOutOfMemory(t *testing.T) {
	_, stderr, code := command(t, strings.Fields("train --backend=cpu --peer=none -r 1 --shape=nanogpt --batch=16384")...)
	if code != 1 || !strings.Contains(stderr, "out of memory: a training step needs") || !strings.Contains(stderr, "what fits is --batch=") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
