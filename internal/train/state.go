package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"caldera/internal/atomicfile"
	"caldera/internal/regular"
	"caldera/internal/setting"
	"caldera/internal/strictjson"
	"caldera/internal/train/folder"
)

// State is what a run needs to go on, beside weights, means and the tokenizer:
// train.json of a checkpoint.
type State struct {
	Format   int          `json:"format"` // 1
	Step     int          `json:"step"`   // steps so far
	Tokens   int64        `json:"tokens"` // that they learned from
	Seconds  float64      `json:"seconds"`
	Measured *Measured    `json:"evaluation"` // the latest
	Best     *Measured    `json:"best"`       // the least loss so far
	Options  Options      `json:"options"`
	Data     DataRecord   `json:"data"`
	Base     *folder.Base `json:"base,omitempty"` // of an adapter; nil where weights learn
	Plot     string       `json:"plot,omitempty"` // absolute path of the picture; empty: loss.svg beside the checkpoints
}

// Measured is a validation loss.
type Measured struct {
	Step    int     `json:"step"`
	ValLoss float64 `json:"val_loss"` // nats a token
}

// DataRecord tells what a run learns from.
type DataRecord struct {
	Paths       []string `json:"paths"` // absolute; empty for what cannot be read again
	ValPaths    []string `json:"val_paths"`
	ValFraction float64  `json:"val_fraction"`
	Train       int      `json:"train_tokens"`
	Val         int      `json:"val_tokens"`
	Fingerprint string   `json:"sha256"` // of their ids
}

const (
	stateName    = folder.StateName
	stateFormat  = 1
	maxStateSize = 1 << 20
)

// writeState writes train.json to dir.
func writeState(dir string, s State) error {
	s.Format = stateFormat
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, stateName), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// readState reads train.json of dir. Nothing in it is believed.
func readState(dir string) (s State, err error) {
	path := filepath.Join(dir, stateName)
	text, err := regular.Read(os.DirFS(dir), stateName, maxStateSize)
	if errors.Is(err, fs.ErrNotExist) {
		return s, setting.Errorf("%s has no %s, so no run can go on with it: begin a new one with {init=%s}", dir, stateName, dir)
	}
	if err == nil {
		s, err = parseState(text)
	}
	if err != nil {
		return s, fmt.Errorf("%s: %w", path, regular.Cause(err))
	}
	return s, nil
}

func parseState(text []byte) (s State, err error) {
	// Which refuses keys that are there twice, and what is nested deeply.
	if err := strictjson.Object(text, 8, func(string, json.RawMessage) error { return nil }); err != nil {
		return s, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, err
	}
	if s.Format != stateFormat {
		return s, fmt.Errorf("format %d, expected %d: it was written by another version", s.Format, stateFormat)
	}
	if s.Step < 1 || s.Step > math.MaxInt32 || s.Tokens < 0 || !(s.Seconds >= 0) {
		return s, fmt.Errorf("step %d, %d tokens, %v seconds: expected a step from 1 on, and no less than 0 of the others", s.Step, s.Tokens, s.Seconds)
	}
	for _, m := range []*Measured{s.Measured, s.Best} {
		if m != nil && (m.Step < 0 || m.Step > s.Step || !finite(m.ValLoss)) {
			return s, fmt.Errorf("a validation loss of %v at step %d: expected a step from 0 to %d", m.ValLoss, m.Step, s.Step)
		}
	}
	if err := s.Options.Validate(); err != nil {
		return s, fmt.Errorf("options: %w", err)
	}
	if (s.Base != nil) != (s.Options.LoRARank > 0) {
		return s, errors.New("base: expected the model of an adapter where options has lora_rank, and only there")
	}
	if v := s.Data.ValFraction; !(v >= 0 && v < 1) {
		return s, errors.New("data: val_fraction: expected 0 to 1")
	}
	return s, nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
