package checkpoint_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/internal/gpttest"
)

// withGeneration is a copy of a model directory with that generation_config.json.
func withGeneration(t *testing.T, text string) string {
	t.Helper()
	dir := gpttest.Base(t).Write(t)
	if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestSampling reads what published files say of sampling, from both formats, and what convert
// writes of it.
func TestSampling(t *testing.T) {
	number := func(x float64) *float64 { return &x }
	count := func(n int) *int { return &n }
	for text, want := range map[string]checkpoint.Sampling{
		`{"bos_token_id": 1, "max_new_tokens": 77, "pad_token_id": null, "note": [1, {"a": "<b>"}]}`: {},
		// https://huggingface.co/Qwen/Qwen2.5-0.5B-Instruct
		`{"do_sample": true, "repetition_penalty": 1.1, "temperature": 0.7, "top_p": 0.8, "top_k": 20}`: {
			RepeatPenalty: number(1.1), RepeatLastN: count(-1), Temperature: number(0.7), TopP: number(0.8), TopK: count(20)},
		// https://huggingface.co/meta-llama/Llama-3.2-1B
		`{"do_sample": true, "temperature": 0.6, "top_p": 0.9, "min_p": null}`: {Temperature: number(0.6), TopP: number(0.9)},
		`{"top_k": -1}`: {TopK: count(0)}, // as vLLM has it
		`{"do_sample": false, "temperature": 0.6, "top_k": 0, "min_p": 0.1}`: {Temperature: number(0), TopK: count(0), MinP: number(0.1)},
	} {
		from := gpttest.OpenCheckpoint(t, withGeneration(t, text))
		read := func(c *checkpoint.Checkpoint) checkpoint.Sampling {
			t.Helper()
			got, err := c.Sampling()
			if err != nil {
				t.Error(err)
			}
			return got
		}
		if diff := cmp.Diff(want, read(from)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
		dir := gpttest.SaveDir(t, from, backend.None)
		if diff := cmp.Diff(want, read(gpttest.OpenCheckpoint(t, dir))); diff != "" {
			t.Errorf("%s, saved (-want +got):\n%s", text, diff)
		}
		// All that the file says is kept, and what ends a text is said.
		var was, is map[string]any
		saved, err := os.ReadFile(filepath.Join(dir, "generation_config.json"))
		if err == nil {
			err = errors.Join(json.Unmarshal([]byte(text), &was), json.Unmarshal(saved, &is))
		}
		if err != nil || is["eos_token_id"] == nil {
			t.Errorf("%s: saved as %q, %v", text, saved, err)
		}
		for key, value := range was {
			if !cmp.Equal(is[key], value) {
				t.Errorf("%s: %s is saved as %v, expected %v", text, key, is[key], value)
			}
		}
		path := filepath.Join(t.TempDir(), "model.gguf")
		if err := from.SaveGGUF(t.Context(), path, checkpoint.SaveOptions{Warn: func(string) {}}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, read(gpttest.OpenCheckpoint(t, path))); diff != "" {
			t.Errorf("%s, as GGUF (-want +got):\n%s", text, diff)
		}
	}
	for text, part := range map[string]string{
		`{"temperature": -1}`:       "generation_config.json: temperature: found -1, expected 0 to",
		`{"temperature": "hot"}`:    "temperature: found \"hot\", expected a number",
		`{"top_p": 1.5}`:            "top_p: found 1.5, expected 0 to 1",
		`{"top_k": -3}`:             "top_k: found -3",
		`{"temperature": NaN}`:      "generation_config.json: temperature: found \"NaN\", expected a number",
		`{"min_p": -Infinity}`:      "generation_config.json: min_p: found \"-Infinity\", expected a number",
		`{"temperature": 1e999}`:    "temperature: found 1e999, expected a number",
		`{"temperature": 1e300}`:    "temperature: found 1e+300, expected 0 to",
		`{"top_k": 1e30}`:           "top_k: found 1e30, expected a whole number",
		`{"top_k": [1]}`:            "top_k: found [1], expected a whole number",
		`{"top_k": 2.5}`:            "top_k: found 2.5, expected a whole number",
		`{"repetition_penalty": 0}`: "repetition_penalty: found 0",
		`{"do_sample": 1}`:          "do_sample: found 1, expected true or false",
	} {
		_, err := gpttest.OpenCheckpoint(t, withGeneration(t, text)).Sampling()
		gpttest.WantError(t, err, part)
	}
	text := `{"temperature": NaN, "do_sample": 7, "top_k": "x", "top_p": 8, "min_p": -1, "repetition_penalty": 0}`
	c := gpttest.OpenCheckpoint(t, withGeneration(t, text))
	if got, err := c.Sampling("temp", "top-k", "top-p", "min-p", "repeat-penalty"); err != nil || got != (checkpoint.Sampling{}) {
		t.Errorf("with all that is wrong given: %+v, %v", got, err)
	}
}
