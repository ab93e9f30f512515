package bench

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"caldera/gpt/checkpoint/safetensors"
	"caldera/internal/gpttest"
)

// tooLarge is a checkpoint with a weight that f16 cannot tell.
func tooLarge(t *testing.T) string {
	t.Helper()
	const from = "../../../gpt/testdata/gpt2-tiny"
	dir := filepath.Join(t.TempDir(), "large")
	f, err := safetensors.OpenDir(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []safetensors.Tensor
	for _, name := range f.Tensors() {
		x, _ := f.Tensor(name)
		x.Data = append([]byte{}, x.Data...)
		if strings.HasSuffix(name, "h.1.mlp.c_fc.weight") {
			binary.LittleEndian.PutUint32(x.Data, math.Float32bits(-70000))
		}
		all = append(all, x)
	}
	config, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err == nil {
		err = os.Mkdir(dir, 0o777)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), config, 0o666)
	}
	if err == nil {
		err = gpttest.WriteTensors(filepath.Join(dir, safetensors.SingleName), all, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestGoesOn measures what it can where something fails: all of that is
// written, and so are the profiles.
func TestGoesOn(t *testing.T) {
	dir := tooLarge(t)
	for _, args := range [][]string{
		{"run", "-p", "8", "-n", "2", "-r", "1", "--no-ceilings", "--profile"},
		{"startup", "-r", "1"},
	} {
		files := t.TempDir()
		out, profile := filepath.Join(files, "out.json"), filepath.Join(files, "trace.json")
		if args[0] == "run" {
			args = append(args, profile)
		}
		_, stderr, code := command(t, append(args, "--backend=cpu", "-m", dir, "--dtype=f16,f32", "-o", "json", "--output", out)...)
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		if last := lines[len(lines)-1]; code != 1 || strings.Count(last, "-70000 does not fit f16") != 1 {
			t.Errorf("%v: exit %d, last line %q", args, code, last)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		var results []struct {
			DType      string
			Incomplete bool
		}
		if err := json.Unmarshal(data, &results); err != nil || len(results) != 2 {
			t.Fatalf("%v: %v, %d results", args, err, len(results))
		}
		for _, r := range results {
			if r.DType != "f32" || r.Incomplete {
				t.Errorf("%v: %+v", args, r)
			}
		}
		if args[0] == "run" {
			if data, err := os.ReadFile(profile); err != nil || !strings.Contains(string(data), "large f32") || strings.Contains(string(data), "large f16") {
				t.Errorf("the profile: %v, %.300s", err, data)
			}
		}
	}
}

// TestCacheType measures with other keys and values, which results tell and
// compare keeps apart.
func TestCacheType(t *testing.T) {
	dir := t.TempDir()
	text := "../../../internal/bench/testdata/sense.txt"
	nats := map[string]float64{}
	for _, cache := range []string{"f32", "f16"} {
		for _, args := range [][]string{
			{"run", "-p", "8", "-n", "0", "-r", "2", "--no-ceilings"},
			{"perplexity", "-f", text, "--windows=2"},
		} {
			path := filepath.Join(dir, args[0]+"-"+cache+".json")
			if _, stderr, code := command(t, append(args, "--backend=cpu", "--cache-type="+cache, "-o", "json", "--output", path)...); code != 0 {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var results []struct {
				TypeK string `json:"type_k"`
				TypeV string `json:"type_v"`
				Nats  float64
			}
			if err := json.Unmarshal(data, &results); err != nil || len(results) != 1 || results[0].TypeK != cache || results[0].TypeV != cache {
				t.Fatalf("%v: %+v, %v", args, results, err)
			}
			if args[0] == "perplexity" {
				nats[cache] = results[0].Nats
			}
		}
	}
	// A text is known by what it says.
	same, other := filepath.Join(dir, "other.txt"), filepath.Join(dir, "sense.txt")
	for path, end := range map[string]string{same: "", other: "The end."} {
		data, err := os.ReadFile(text)
		if err == nil {
			err = os.WriteFile(path, append(data, end...), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, stderr, code := command(t, "perplexity", "-f", path, "--windows=2", "--backend=cpu", "--cache-type=f32", "-o", "json", "--output", path+".json"); code != 0 {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		want := map[string]int{same: 0, other: 1}[path]
		if _, stderr, code := command(t, "compare", filepath.Join(dir, "perplexity-f32.json"), path+".json"); code != want {
			t.Errorf("%s: exit %d, expected %d: %s", path, code, want, stderr)
		}
	}
	if d := math.Abs(nats["f16"] - nats["f32"]); d == 0 || d > 1e-3 {
		t.Errorf("%v nats a token: expected rounded keys and values to make a little difference", nats)
	}
	for _, kind := range []string{"run", "perplexity"} {
		_, stderr, code := command(t, "compare", filepath.Join(dir, kind+"-f32.json"), filepath.Join(dir, kind+"-f16.json"))
		if code != 1 || !strings.Contains(stderr, "nothing to compare") || !strings.Contains(stderr, ", cache f16") {
			t.Errorf("%s: exit %d, %q", kind, code, stderr)
		}
	}
}

// TestLongerPerplexity reads windows longer than the context of training where a flag scales positions, and
// measures types of which rows are no whole blocks.
func TestLongerPerplexity(t *testing.T) {
	dir, text := gpttest.ChatModel(t, gpttest.ChatML), "../../../internal/bench/testdata/sense.txt"
	path := filepath.Join(t.TempDir(), "out.json")
	args := []string{"perplexity", "--backend=cpu", "-m", dir, "-f", text, "--windows=1", "-o", "json", "--output", path}
	_, stderr, code := command(t, append(args, "-c", "600", "--dtype=f32,q6_k")...) // rows of 64 and 96
	if code != 0 || !strings.Contains(stderr, "q6_k: 14 of 14 matrices have another type, for their rows are not whole blocks\n") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	var results []struct {
		Model string `json:"model_type"`
		DType string
		Nats  float64
	}
	read := func() {
		t.Helper()
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, &results)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if read(); len(results) != 2 || results[1].DType != "q6_k" || results[0].Nats == results[1].Nats {
		t.Errorf("%+v", results)
	}
	plain := results[0].Nats
	if _, stderr, code := command(t, append(args, "-c", "600", "--dtype=f32", "--rope-scaling=linear", "--rope-scale=2")...); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if read(); len(results) != 1 || results[0].Model != filepath.Base(dir)+"+linear2" || results[0].Nats == plain {
		t.Errorf("%+v", results)
	}
	for flag, want := range map[string]string{
		"--rope-scaling=yarn": "--rope-scaling=yarn without --rope-scale", "--rope-scale=2": "--rope-scale=2 without --rope-scaling",
		"--rope-scaling=linear --rope-scale=17": "--rope-scale=17: expected more than 1, and at most 16",
	} {
		if _, stderr, code := command(t, append(args, strings.Fields(flag)...)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d: %s", flag, code, stderr)
		}
	}
}

// TestAgree runs one measurement twice, and changes one of the files.
func TestAgree(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a.json", "b.json"} {
		if _, stderr, code := command(t, "overhead", "--backend=cpu", "-r", "4", "-o", "json", "--output", at(name)); code != 0 {
			t.Fatalf("exit %d: %s", code, stderr)
		}
	}
	// On a busy machine the two may differ; a file agrees with itself anywhere.
	stdout, stderr, code := command(t, "compare", "--agree", at("a.json"), at("a.json"))
	if code != 0 || strings.Count(stdout, "| agrees") != 7 {
		t.Errorf("exit %d:\n%s%s", code, stdout, stderr)
	}
	if stdout, _, code = command(t, "compare", "--agree", at("a.json"), at("b.json")); code > 1 || strings.Contains(stdout, "DIFFERS") != (code == 1) {
		t.Errorf("exit %d:\n%s", code, stdout)
	}
	data, err := os.ReadFile(at("b.json"))
	if err != nil {
		t.Fatal(err)
	}
	var results []map[string]any
	if err := json.Unmarshal(data, &results); err != nil {
		t.Fatal(err)
	}
	for _, r := range results { // far from anything that was measured
		r["samples_ns"], r["avg_ns"], r["stddev_ns"] = []float64{1e12, 1e12, 1e12 + 3}, 1e12+1, math.Sqrt(3)
	}
	if data, err = json.Marshal(results); err == nil {
		err = os.WriteFile(at("b.json"), data, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code = command(t, "compare", "--agree", at("a.json"), at("b.json"))
	if code != 1 || strings.Count(stdout, "| DIFFERS") != 7 || !strings.Contains(stderr, "differ in 7 of the figures") {
		t.Errorf("exit %d:\n%s%s", code, stdout, stderr)
	}
}

// TestOutputThroughLink writes the file that a link leads to.
func TestOutputThroughLink(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "results.md"), filepath.Join(dir, "latest.md")
	if err := os.Symlink("results.md", link); err != nil {
		t.Skip(err)
	}
	if _, stderr, code := command(t, "overhead", "--backend=cpu", "-r", "1", "--output", link); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "| dispatch ") {
		t.Errorf("%v: %s", err, text)
	}
	if to, err := os.Readlink(link); err != nil || to != "results.md" {
		t.Errorf("the link is gone: %q, %v", to, err)
	}
}
