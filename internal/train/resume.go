package train

import (
	"reflect"

	"caldera/gpt/tokenizer"
	"caldera/internal/setting"
)

// OpenState reads what the newest checkpoint of d tells about its run. The
// directory is "" where there is no checkpoint.
func (d Dir) OpenState() (dir string, s State, err error) {
	if dir, err = d.Open(); err != nil || dir == "" {
		return dir, s, err
	}
	s, err = readState(dir)
	return dir, s, err
}

// SameData reports data that is not what the run has learned from so far: with
// other data it would neither go on as it would have, nor would its validation
// losses compare.
func (s State) SameData(d *Data) error {
	if s.Data.Fingerprint == d.Fingerprint {
		return nil
	}
	return setting.Errorf("the data has %d tokens to learn from and %d to validate with (SHA-256 %.12s…), the checkpoint's had %d and %d (%.12s…): "+
		"resume with the same {data}; to go on with other data, begin a new run with {init=DIR}, the directory of the checkpoint",
		d.Train.Len(), d.Val.Len(), d.Fingerprint, s.Data.Train, s.Data.Val, s.Data.Fingerprint)
}

// SameTokenizer reports whether two tokenizers, either of which may be nil, make
// the same ids.
func SameTokenizer(a, b *tokenizer.Tokenizer) bool {
	if a == nil || b == nil {
		return a == b
	}
	return reflect.DeepEqual(a.Vocabulary(), b.Vocabulary())
}
