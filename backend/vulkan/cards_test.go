//go:build cgo

package vulkan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"caldera/internal/gpulab"
)

// playedLimits is a variable of a child of TestGPUs: a folder to write the limits of its card to,
// from where they are copied to testdata/cards. The choice of kernels is tested on them (choice_test.go).
const playedLimits = "CALDERA_GPULAB_LIMITS"

// cardFile is where the limits of a card are.
func cardFile(dir, card string) string { return filepath.Join(dir, card+".json") }

// cardLimits are the limits of a card as its driver tells them, but for those that depend on the machine.
func cardLimits(t *testing.T, card string) (l Limits) {
	t.Helper()
	text, err := os.ReadFile(cardFile("testdata/cards", card))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &l); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestPlayedLimits holds the limits that are kept of a played card to what its driver tells.
// TestGPUs runs it, as it does TestPlayed.
func TestPlayedLimits(t *testing.T) {
	name := os.Getenv(playedCard)
	if name == "" {
		t.Skip("TestGPUs runs it")
	}
	card, err := gpulab.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	b := openLab(t, card)
	defer b.Close()
	got := b.limits
	got.AllocationSize, got.Unified, got.Coherent, got.TimestampBits, got.TimestampPeriod = 0, false, false, 0, 0
	if dir := os.Getenv(playedLimits); dir != "" {
		text, err := json.MarshalIndent(&got, "", "\t")
		if err == nil {
			err = os.WriteFile(cardFile(dir, name), append(text, '\n'), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := cardLimits(t, name); got != want {
		t.Errorf("the limits of %s are\n%+v\nand testdata/cards has\n%+v: write them with %s=testdata/cards", name, got, want, playedLimits)
	}
}
