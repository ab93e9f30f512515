package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProfile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace.json")
	stdout, stderr, code := command(t, "--backend=cpu", "--dtype=f32,f16", "-r", "1", "-p", "8,16", "-n", "3", "-d", "5", "--profile", path)
	if code != 0 || !strings.Contains(stdout, "| pp8 ") || strings.Contains(stdout, "attention") {
		t.Fatalf("exit %d, standard output:\n%s\nstandard error:\n%s", code, stdout, stderr)
	}
	for _, want := range []string{"austen f32: pp8 @ d5\n", "austen f16, cache f16: pp16 @ d5\n", "austen f16, cache f16: the first 3 steps of tg3 @ d5\n", "| attention "} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %q on standard error:\n%s", want, stderr)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var events []struct {
		Name, Cat string
		PID       int
	}
	if err := json.Unmarshal(data, &events); err != nil {
		t.Fatal(err)
	}
	passes := map[int]int{}
	for _, e := range events {
		if e.Cat == "pass" {
			passes[e.PID]++
		}
	}
	if len(passes) != 2 || passes[1] != 5 || passes[2] != 5 {
		t.Errorf("passes of each process: %v, expected 5 in each of 2", passes)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestProfileLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"--backend=cpu", "-r", "1", "--profile", filepath.Join(dir, "no", "such")},
		{"--backend=cpu", "-r", "1", "--profile", dir},
		{"--backend=cpu", "-r", "1", "--profile", filepath.Join(dir, "x.json"), "--output", dir}, // fails after the first file is made, or before
	} {
		stdout, stderr, code := command(t, args...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, "--profile") && !strings.Contains(stderr, "--output") {
			t.Errorf("%q: exit %d, standard output %q, standard error %q", args, code, stdout, stderr)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
