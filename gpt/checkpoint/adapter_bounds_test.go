package checkpoint

import (
	"path/filepath"
	"slices"
	"testing"

	"caldera/gpt/checkpoint/gguf"
)

// TestGGUFAdapterAlpha tells a key that is missing from one that is no number.
func TestGGUFAdapterAlpha(t *testing.T) {
	begin := []gguf.KeyValue{
		{Key: keyArchitecture, Value: gguf.OfText("llama")}, {Key: keyGeneralType, Value: gguf.OfText("adapter")}, {Key: keyAdapterType, Value: gguf.OfText("lora")},
	}
	for name, c := range map[string]struct {
		more  []gguf.KeyValue
		parts []string
	}{
		"none":     {nil, []string{keyAdapterAlpha + " is missing"}},
		"a number": {[]gguf.KeyValue{{Key: keyAdapterAlpha, Value: gguf.OfFloat32(2)}}, nil},
		"an int":   {[]gguf.KeyValue{{Key: keyAdapterAlpha, Value: gguf.OfInt32(2)}}, []string{keyAdapterAlpha + ": found int32, expected a number"}},
	} {
		path := filepath.Join(t.TempDir(), "adapter.gguf")
		if err := gguf.Write(path, slices.Concat(begin, c.more), nil, nil); err != nil {
			t.Fatal(err)
		}
		a, err := OpenAdapter(path)
		wantParts(t, name, err, c.parts)
		if err == nil {
			a.Close()
		}
	}
}

// TestFingerprintEnds: what ends a text does not make another model, and a fingerprint that counts it is good still.
func TestFingerprintEnds(t *testing.T) {
	c, err := Open(adapterBase)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sum, err := c.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	c.Config.EOS = []int{5, 7}
	old, err := c.fingerprint(c.Config)
	if err != nil || old == sum {
		t.Fatalf("%v, %s: expected another fingerprint than %s with what ends a text", err, old, sum)
	}
	for _, x := range []string{sum, old} {
		if err := c.Is(x); err != nil {
			t.Error(err)
		}
	}
	c.Config.Epsilon *= 2
	wantParts(t, "another epsilon", c.Is(sum), []string{"not the model that the run began with"})
}
