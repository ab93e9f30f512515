package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"caldera/gpt/tokenizer"
	"caldera/internal/atomicfile"
	"caldera/internal/cli"
	"caldera/internal/train"
)

type tokenizerCommand struct {
	Texts        []string `arg:"" optional:"" placeholder:"TEXT" help:"Files of UTF-8 text, directories whose *.txt files are read, at any depth, or - for standard input (default: standard input)."`
	VocabSize    *int     `placeholder:"N" xor:"size" help:"Tokens in all: 256 bytes, what merges make of them, and special ones (${size})."`
	MinFrequency *int     `placeholder:"N" xor:"frequency" help:"Merge a pair of tokens only if it is there N times (${frequency})."`
	Char         bool     `xor:"size,frequency" help:"Make every character of the texts a token, and nothing else."`
	Special      []string `placeholder:"TOKEN" sep:"none" empty:"" default:"<|endoftext|>" help:"Special token, found in text as a whole; may be given several times, and --special= is for none (${default})."`
	Output       string   `short:"o" required:"" placeholder:"DIR" help:"Write vocab.json, merges.txt and tokenizer.json to a directory, which is made if it is not there."`
	Force        bool     `help:"Replace the tokenizer that is there."`
}

// What is meant where a flag is not given: kong's own defaults would count as
// given beside --char.
const (
	defaultVocabSize    = 8192
	defaultMinFrequency = 2
)

// tokenizerFiles are what is written.
var tokenizerFiles = []string{"vocab.json", "merges.txt", "tokenizer.json"}

// staleFiles tell of the tokenizer of a directory too. They are of the one that
// was there before, and would change what the new one does.
var staleFiles = []string{"added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"}

// Run reads the texts, makes a vocabulary and writes it.
func (f *tokenizerCommand) Run(ctx context.Context) error {
	if slices.Equal(f.Special, []string{""}) {
		f.Special = nil
	}
	corpus, err := tokenizer.NewCorpus(f.Special...)
	if err != nil {
		return cli.Usagef("--special: %w", err)
	}
	o, err := f.options()
	if err != nil {
		return err
	}
	if err := f.free(); err != nil {
		return err
	}
	texts, err := findTexts(f.Texts)
	if err != nil {
		return err
	}
	p := newProgress()
	defer p.end()
	if err := texts.read(ctx, corpus, p); err != nil {
		return err
	}
	var v tokenizer.Vocabulary
	if f.Char {
		v, err = corpus.Characters()
	} else {
		o.Progress = func(done, total int) { p.step("merging", int64(done), int64(total)) }
		v, err = corpus.TrainBPE(ctx, o)
	}
	if errors.Is(err, tokenizer.ErrNoText) {
		return fmt.Errorf("%v: there is no text, expected some to make a vocabulary of", texts)
	}
	if err != nil {
		return err
	}
	if err := save(f.Output, v); err != nil {
		return err
	}
	p.end()
	fmt.Fprint(os.Stderr, train.Warnings(texts.left))
	// How large the vocabulary is, a model must be told.
	fmt.Fprintf(os.Stderr, "%s: %d tokens", f.Output, len(v.Tokens))
	if n := len(v.Tokens); !f.Char && n < o.VocabSize {
		fmt.Fprintf(os.Stderr, ", not %d: no other pair is there %d times", o.VocabSize, o.MinFrequency)
	}
	fmt.Fprintln(os.Stderr)
	return nil
}

// options are what byte-level BPE is trained with.
func (f *tokenizerCommand) options() (tokenizer.BPEOptions, error) {
	o := tokenizer.BPEOptions{VocabSize: defaultVocabSize, MinFrequency: defaultMinFrequency}
	if f.VocabSize != nil {
		o.VocabSize = *f.VocabSize
	}
	if f.MinFrequency != nil {
		o.MinFrequency = *f.MinFrequency
	}
	if least := 256 + len(f.Special); o.VocabSize < least || o.VocabSize > tokenizer.MaxTokens {
		return o, cli.Usagef("--vocab-size=%d: expected %d, for 256 bytes and the special tokens, to %d", o.VocabSize, least, tokenizer.MaxTokens)
	}
	if o.MinFrequency < 1 {
		return o, cli.Usagef("--min-frequency=%d: expected 1 or more", o.MinFrequency)
	}
	return o, nil
}

// free reports an output that cannot be written, or must not.
func (f *tokenizerCommand) free() error {
	if f.Output == "" {
		return cli.Usagef("--output is empty: expected the name of a directory to write")
	}
	if there, err := cli.OutputDir(f.Output); err != nil || !there {
		return err
	}
	for _, name := range slices.Concat(tokenizerFiles, staleFiles) {
		if _, err := os.Lstat(filepath.Join(f.Output, name)); err == nil && !f.Force {
			return fmt.Errorf("%s is there already: choose another --output, or replace the tokenizer with --force", filepath.Join(f.Output, name))
		}
	}
	return nil
}

// leftOver is what save leaves in a directory if it is killed.
var leftOver = regexp.MustCompile(`^\.train-\d+$`)

// save writes the files of v to dir. They are written beside their names first,
// and take them when all are whole.
func save(dir string, v tokenizer.Vocabulary) (failed error) {
	files, err := v.BothFiles()
	if err != nil {
		return err
	}
	undo, err := atomicfile.Mkdir(dir)
	if err != nil {
		return err
	}
	defer func() {
		if failed != nil {
			undo()
		}
	}()
	lock, err := train.Dir(dir).Lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if leftOver.MatchString(e.Name()) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	new, err := os.MkdirTemp(dir, ".train-*")
	if err != nil {
		return err
	}
	defer func() { failed = errors.Join(failed, os.RemoveAll(new)) }()
	for _, name := range tokenizerFiles {
		err := atomicfile.Write(filepath.Join(new, name), func(w io.Writer) error {
			_, err := w.Write(files[name])
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, name := range tokenizerFiles {
		if err := os.Rename(filepath.Join(new, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for _, name := range staleFiles {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
