package folder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"caldera/internal/regular"
)

// Entry is a line of log.jsonl: of a step, or of an evaluation, which has a
// validation loss and nothing but step and time beside it.
type Entry struct {
	Step    int      `json:"step"`               // steps so far
	Loss    *float64 `json:"loss,omitempty"`     // of the step, before it, in nats a token
	LR      *float64 `json:"lr,omitempty"`       // learning rate
	Norm    *float64 `json:"norm,omitempty"`     // of the gradients, before they were clipped
	Tokens  int64    `json:"tokens,omitempty"`   // learned from so far
	Speed   float64  `json:"tokens/s,omitempty"` // since the line before
	ValLoss *float64 `json:"val_loss,omitempty"` // in nats a token
	Time    float64  `json:"time"`               // seconds of training so far
}

// maxLog is the most that a log may have to be read again.
const maxLog = 1 << 30

// ReadLog calls each with every line of a log, without its line end, and what it
// tells. A last line that was cut off is passed over. If there is no log, the
// error is one of [io/fs.ErrNotExist].
func ReadLog(path string, each func(line []byte, e Entry)) error {
	f, err := regular.Open(os.DirFS(filepath.Dir(path)), filepath.Base(path))
	if err != nil {
		return fmt.Errorf("%s: %w", path, regular.Cause(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLog+1))
	if err != nil {
		return fmt.Errorf("%s: %w", path, regular.Cause(err))
	}
	if len(text) > maxLog {
		return fmt.Errorf("%s: more than %d bytes", path, maxLog)
	}
	for n := 1; len(text) > 0; n++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		text = rest
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			if !whole { // the writer was killed, or is at it
				break
			}
			return fmt.Errorf("%s: line %d: %w", path, n, err)
		}
		each(line, e)
	}
	return nil
}
