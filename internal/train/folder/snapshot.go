package folder

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"caldera/internal/atomicfile"
	"caldera/internal/regular"
)

// Snapshot tells of weights that a run kept on its way: snapshot.json.
type Snapshot struct {
	Format  int      `json:"format"`   // 1
	Step    int      `json:"step"`     // steps of training before; 0: none was learned yet
	Tokens  int64    `json:"tokens"`   // that they learned from
	Loss    *float64 `json:"loss"`     // of the latest step, before it, in nats a token; null at step 0
	ValLoss *float64 `json:"val_loss"` // validation loss of these weights, in nats a token

	Base *Base `json:"base,omitempty"` // of an adapter; nil where the directory has a whole model
}

// Base is the model whose weights stay as they are while an adapter of it learns.
type Base struct {
	Path        string `json:"path"`   // absolute
	Name        string `json:"name"`   // for the adapter's users: of the hub, or the path
	Fingerprint string `json:"sha256"` // as in checkpoint.Checkpoint.Fingerprint
}

const (
	snapshotName    = "snapshot.json"
	snapshotFormat  = 1
	maxSnapshotSize = 1 << 16
)

// IsSnapshot reports whether path is a directory that has a snapshot.json. A link
// is none.
func IsSnapshot(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() {
		return false
	}
	info, err = os.Lstat(filepath.Join(path, snapshotName))
	return err == nil && info.Mode().IsRegular()
}

// WriteSnapshot writes snapshot.json to dir.
func WriteSnapshot(dir string, s Snapshot) error {
	s.Format = snapshotFormat
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, snapshotName), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// ReadSnapshot reads snapshot.json of a directory whose name tells its step.
func ReadSnapshot(dir string) (s Snapshot, err error) {
	text, err := regular.Read(os.DirFS(dir), snapshotName, maxSnapshotSize)
	if err == nil {
		err = decode(text, &s)
	}
	switch named := stepOf(filepath.Base(dir)); {
	case err != nil:
	case s.Format != snapshotFormat:
		err = fmt.Errorf("format %d, expected %d: it was written by another version", s.Format, snapshotFormat)
	case s.Step != named || !stepOK(s.Step):
		err = fmt.Errorf("found step %d, expected %d, which the name of the directory tells, and at most %d", s.Step, named, math.MaxInt32)
	case s.Tokens < 0:
		err = fmt.Errorf("found %d tokens, expected 0 or more", s.Tokens)
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("%s: %w", snapshotName, regular.Cause(err))
	}
	return s, nil
}
