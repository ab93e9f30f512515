package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"caldera/backend"
	_ "caldera/backend/cpu"
	"caldera/gpt"
	"caldera/internal/commandtest"
	"caldera/nn"
)

// The test binary is a Python that has PyTorch where this is set, of the kind
// that it names.
const asPython = "CALDERA_TEST_PYTHON"

// python is one, for --python.
func python(t *testing.T, mode string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a shell's script stands for Python")
	}
	path := filepath.Join(t.TempDir(), "python")
	script := fmt.Sprintf("#!/bin/sh\n%s='%s' %s= exec '%s'\n", asPython, mode, asCommand, os.Args[0])
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// fakePython trains the checkpoint that it is given, with our own library.
func fakePython(mode string) {
	var tr *gpt.Trainer
	rate := 0.0
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var q struct {
			Command, Model              string
			IDs, Targets                []int
			Batch, Time, Accumulate     int
			Steps                       int
			Rate, Beta1, Beta2, Epsilon float64
			Decay, Clip                 float64
			Recompute                   bool
		}
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			panic(err)
		}
		switch q.Command {
		case "start":
			fmt.Println(`{"name": "PyTorch", "version": "9", "device": "CPU"}`)
		case "train":
			b, err := backend.Open("cpu")
			if err != nil {
				panic(err)
			}
			m, err := gpt.Load(context.Background(), b, q.Model, gpt.LoadOptions{Train: true})
			if err != nil {
				panic(err)
			}
			rate = q.Rate
			if tr, err = gpt.NewTrainer(m, gpt.TrainOptions{
				Batch: q.Batch, Time: q.Time, Accumulate: q.Accumulate, Clip: float32(q.Clip), Recompute: q.Recompute,
				AdamW: nn.AdamW{Beta1: q.Beta1, Beta2: q.Beta2, Epsilon: float32(q.Epsilon), Decay: float32(q.Decay)},
			}); err != nil {
				panic(err)
			}
			fmt.Println(`{"threads": 1}`)
		case "steps":
			switch mode {
			case "crashes":
				fmt.Fprintln(os.Stderr, "Segmentation fault")
				os.Exit(139)
			case "hangs":
				time.Sleep(24 * time.Hour)
			}
			start := time.Now()
			losses := []float64{}
			for range q.Steps {
				loss, _, err := tr.Step(q.IDs, q.Targets, rate)
				if err != nil {
					panic(err)
				}
				losses = append(losses, loss)
			}
			text, _ := json.Marshal(map[string]any{"ns": time.Since(start).Nanoseconds(), "losses": losses})
			fmt.Println(string(text))
		}
	}
	os.Exit(0)
}

// TestTrainBeside trains the embedded model beside a program that does the same.
func TestTrainBeside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "train.json")
	_, stderr, code := command(t, "train", "--backend=cpu", "-m", "../../../models/austen", "--batch=1", "--time=16", "--accumulate=2",
		"--python="+python(t, "good"), "--timeout=1h", "-r", "2", "-o", "json", "--output", path)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	results := trainResults(t, path)
	if len(results) != 2 || results[1].Peer != "pytorch" || !results[1].SameLoss || len(results[1].Ratios) != 2 || results[1].Failure != "" {
		t.Errorf("%+v", results)
	}
	stdout, stderr, code := command(t, "show", path)
	if code != 0 || !strings.Contains(stdout, "| 1×16×2 |") || !strings.Contains(stdout, "- pytorch 9 on CPU") || strings.Contains(stdout, "something else") {
		t.Errorf("exit %d:\n%s%s", code, stdout, stderr)
	}
}

// TestTrainPeerFails: ours is measured to the end, and the exit code tells.
func TestTrainPeerFails(t *testing.T) {
	failed := func(mode string, timeout time.Duration) (string, func(want string)) {
		path := filepath.Join(t.TempDir(), "train.json")
		_, stderr, code := command(t, "train", "--backend=cpu", "-m", "../../../gpt/testdata/gpt2-tiny", "--batch=1", "--time=4", "--timeout="+timeout.String(),
			"--python="+python(t, mode), "-r", "2", "-o", "json", "--output", path)
		return stderr, func(want string) {
			if code != 1 || !strings.Contains(stderr, want) {
				t.Errorf("%s: exit %d: %s", mode, code, stderr)
			}
			if r := trainResults(t, path); len(r) != 2 || len(r[0].Samples) != 2 || r[1].Kind != "failed" || !strings.Contains(r[1].Failure, want) {
				t.Errorf("%s: %+v", mode, r)
			}
		}
	}
	_, check := failed("crashes", commandtest.Patience)
	check("warm-up: it ended (exit status 139): Segmentation fault")
	// How long it takes to come to its first steps depends on what else the machine does.
	for timeout := 2 * time.Second; ; timeout *= 2 {
		late := fmt.Sprintf("it did not answer within %v and was ended: raise the timeout", timeout)
		stderr, check := failed("hangs", timeout)
		if strings.Contains(stderr, late) && !strings.Contains(stderr, "warm-up: "+late) && timeout < commandtest.Patience {
			continue
		}
		check("warm-up: " + late)
		break
	}
}
