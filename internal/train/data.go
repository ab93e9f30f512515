package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"caldera/gpt/tokenizer"
	"caldera/internal/setting"
)

// Data are the token ids that a run learns from, and those that are held out.
type Data struct {
	Train, Val Tokens

	// What Scan found.
	Fingerprint string // SHA-256 of all ids
	Largest     int    // the largest id

	Warnings []string // of files that may be something else

	whole bool // Val is of files of its own
	files []*spool
}

// OpenBins maps files of token ids. Without a file of val, Split holds some of
// the others out.
func OpenBins(ctx context.Context, train, val []string) (_ *Data, err error) {
	d := &Data{whole: len(val) > 0}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	for _, list := range []struct {
		files []string
		to    *Tokens
	}{{train, &d.Train}, {val, &d.Val}} {
		for _, name := range list.files {
			p, file, err := openBin(ctx, name)
			if err != nil {
				return nil, err
			}
			d.files = append(d.files, file)
			if p.doubtful {
				d.Warnings = append(d.Warnings, fmt.Sprintf("%s: every second token id is 0: if the ids are of 32 bits, convert them to 16", name))
			}
			list.to.add(p)
		}
	}
	return d, nil
}

// NewData is the data of ids in memory; val may be empty, as for OpenBins.
func NewData(train, val Tokens) *Data { return &Data{Train: train, Val: val, whole: val.Len() > 0} }

// Split holds out the last share of the ids, unless what is held out has files
// of its own. Windows of block ids must fit, and a target behind them.
func (d *Data) Split(share float64, block int) error {
	of := ""
	if !d.whole {
		n := d.Train.Len()
		d.Train, d.Val = d.Train.split(n - int(float64(n)*share))
		of = fmt.Sprintf(" of %d, without the %d for validation ({val_fraction=%v})", n, d.Val.Len(), share)
	}
	if n := d.Train.Len(); n <= block {
		return setting.Errorf("the training data has %d tokens"+of+": expected more than block_size, %d; add text, or choose a smaller {block_size}", n, block)
	}
	if n := d.Val.Len(); n < 2 {
		return setting.Errorf("the validation data has %d tokens, expected 2 or more: add text, or choose a larger {val_fraction}", n)
	}
	return nil
}

// scanBlock is how many bytes are looked at between looks at the context.
const scanBlock = 1 << 24

// Scan reads all ids once. It reports the first that a vocabulary of vocab
// tokens lacks, where vocab is not 0, and makes the fingerprint.
func (d *Data) Scan(ctx context.Context, vocab int, progress func(done, total int64)) error {
	var done, total int64
	for _, t := range []Tokens{d.Train, d.Val} {
		for _, p := range t.parts {
			total += int64(len(p.data))
		}
	}
	sum := sha256.New()
	for _, t := range []Tokens{d.Train, d.Val} {
		sum.Write(binary.LittleEndian.AppendUint64(nil, uint64(t.Len())))
		for _, p := range t.parts {
			for from := 0; from < len(p.data); from += scanBlock {
				if err := ctx.Err(); err != nil {
					return err
				}
				block := part{data: p.data[from:min(from+scanBlock, len(p.data))], width: p.width}
				sum.Write(block.data)
				for i := range block.len() {
					id := block.at(i)
					d.Largest = max(d.Largest, id)
					if id >= tokenizer.MaxTokens {
						return fmt.Errorf("%s: token %d is %d, expected ids below %d: the file holds something else, or is damaged",
							p.name, p.first+from/p.width+i, id, tokenizer.MaxTokens)
					}
					if vocab > 0 && id >= vocab {
						return fmt.Errorf("%s: token %d is %d, and the vocabulary has ids 0 to %d: the data is of another tokenizer",
							p.name, p.first+from/p.width+i, id, vocab-1)
					}
				}
				done += int64(len(block.data))
				progress(done, total)
			}
		}
	}
	d.Fingerprint = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// Close unmaps the files.
func (d *Data) Close() error {
	var errs []error
	for _, file := range d.files {
		errs = append(errs, file.close())
	}
	return errors.Join(errs...)
}
