package models_test

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"io/fs"
	"testing"

	"caldera/models"
)

// TestDefaultIsComplete holds the embedded directory to what a loader asks of it: every file is there, and the
// tensors fill model.safetensors to its last byte (a copy cut short, or an LFS pointer, would not).
func TestDefaultIsComplete(t *testing.T) {
	dir := models.Default()
	for _, name := range []string{"config.json", "vocab.json", "merges.txt"} {
		b, err := fs.ReadFile(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		if name != "merges.txt" && !json.Valid(b) {
			t.Errorf("%s is not JSON", name)
		}
	}

	f, err := dir.Open("model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	var length uint64
	if err := binary.Read(f, binary.LittleEndian, &length); err != nil {
		t.Fatal(err)
	}
	var tensors map[string]struct {
		Offsets [2]int64 `json:"data_offsets"`
	}
	if err := json.NewDecoder(io.LimitReader(f, int64(length))).Decode(&tensors); err != nil {
		t.Fatalf("header of model.safetensors: %v", err)
	}
	var end int64
	for _, tensor := range tensors {
		end = max(end, tensor.Offsets[1])
	}
	if want := 8 + int64(length) + end; info.Size() != want {
		t.Errorf("model.safetensors has %d bytes, its header says %d", info.Size(), want)
	}
}
