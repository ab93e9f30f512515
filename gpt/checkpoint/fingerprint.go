package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"caldera/gpt/model"
)

// fingerprintEdge is how many bytes of each end of a tensor a fingerprint counts.
const fingerprintEdge = 4 << 10

// Fingerprint tells this checkpoint from others, in hexadecimal digits: a SHA-256 of the model's settings, but for
// the tokens that begin and end a text, which change no score, and
// of the name, type, shape and both ends of each tensor. It reads a few bytes of large weights, so it does not show each change.
func (c *Checkpoint) Fingerprint() (string, error) {
	config := c.Config
	config.BOS, config.EOS = nil, nil
	return c.fingerprint(config)
}

func (c *Checkpoint) fingerprint(settings model.Config) (string, error) {
	config, err := configJSON(settings, nil)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	h.Write(config)
	for _, name := range c.file.Tensors() {
		t := c.file.tensor(name)
		data := t.Data()
		fmt.Fprintf(h, "%q %s %v %d\n", name, t.DType, t.Shape, len(data))
		h.Write(data[:min(len(data), fingerprintEdge)])
		h.Write(data[max(0, len(data)-fingerprintEdge):])
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Is returns an error unless the checkpoint's fingerprint is that of the model which an adapter was trained beside.
func (c *Checkpoint) Is(fingerprint string) error {
	sum, err := c.Fingerprint()
	if err != nil || sum == fingerprint {
		return err
	}
	with, err := c.fingerprint(c.Config) // older runs have one of all settings
	if err == nil && with != fingerprint {
		err = fmt.Errorf("%s is not the model that the run began with (SHA-256 %.12s…, expected %.12s…): its adapter is of no use beside another", c.Path, sum, fingerprint)
	}
	return err
}
