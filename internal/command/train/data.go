package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"caldera/gpt/tokenizer"
	"caldera/internal/cli"
	"caldera/internal/train"
)

type sourceFlags struct {
	Data        []string `short:"d" sep:"none" placeholder:"PATH" help:"What to learn from: UTF-8 text, directories of *.txt, - for standard input, or token ids: a directory with nanoGPT's train.bin and val.bin, files *.bin of nanoGPT or llm.c. May be given several times; not needed to resume."`
	Val         []string `sep:"none" placeholder:"PATH" help:"What to validate with, of the same kind (default: val.bin, or the last of the data)."`
	ValFraction *float64 `placeholder:"X" help:"Share of the tokens, the last, that is held out where nothing else is there to validate with (0.1)."`
	Tokenizer   string   `xor:"tokenizer" placeholder:"PATH" help:"Tokenizer of a new model: a directory that has one, or its tokenizer.json (default: one is made of the texts)."`
	VocabSize   *int     `placeholder:"N" help:"Tokens of the tokenizer that is made, or of the model where the data is token ids (2048, or characters for a small text)."`
	Char        bool     `xor:"tokenizer" help:"Make a tokenizer with a token for each character."`
}

const (
	defaultValFraction = 0.1
	runVocabSize       = 2048    // of a tokenizer that is made for a run
	smallText          = 2 << 20 // bytes, of which a tokenizer of characters is made
	manyCharacters     = 512     // tokens, with which it is none after all
)

// open reads the data and finds the tokenizer.
func (j *job) open(ctx context.Context) error {
	if err := j.checkSources(); err != nil {
		return err
	}
	bins, valBins, texts, err := train.FindBins(j.record.Paths)
	if err != nil {
		return err
	}
	more, valOther, valTexts, err := train.FindBins(j.record.ValPaths)
	if err != nil {
		return err
	}
	valBins = slices.Concat(valBins, more, valOther)
	switch {
	case len(bins) > 0 && len(valTexts) > 0 || len(texts) > 0 && len(valBins) > 0:
		return cli.Usagef("one of --data and --val is text and the other token ids: expected one kind")
	case len(bins) > 0:
		err = j.openBins(ctx, bins, valBins)
	default:
		err = j.openTexts(ctx, texts, valTexts)
	}
	if err != nil {
		return err
	}
	if err := j.data.Split(j.record.ValFraction, j.options.BlockSize); err != nil {
		return err
	}
	vocab := deref(j.VocabSize, 0)
	if j.init != nil {
		vocab = j.init.Config.Vocab
	}
	if j.tokenizer != nil {
		if n := j.tokenizer.VocabSize(); vocab == 0 || j.init == nil {
			vocab = n
		} else if n > vocab {
			return fmt.Errorf("the tokenizer has %d tokens and the checkpoint %d: they do not belong together", n, vocab)
		}
	}
	err = j.data.Scan(ctx, vocab, func(done, total int64) { j.progress.step("checking ids", done, total) })
	j.progress.end()
	if err != nil {
		return err
	}
	if j.Init == resume {
		if err := j.state.SameData(j.data); err != nil {
			return err
		}
	}
	j.record.Train, j.record.Val, j.record.Fingerprint = j.data.Train.Len(), j.data.Val.Len(), j.data.Fingerprint
	for _, paths := range [][]string{j.record.Paths, j.record.ValPaths} {
		for i, path := range paths {
			if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
				paths[i] = train.Stdin // a pipe, whose name will mean nothing to those who resume
			}
		}
	}
	return nil
}

// vocab is the number of tokens of a new model.
func (j *job) vocab() int {
	if j.tokenizer != nil {
		return j.tokenizer.VocabSize()
	}
	return deref(j.VocabSize, j.data.Largest+1)
}

// checkSources settles where data comes from.
func (j *job) checkSources() error {
	if j.VocabSize != nil && (*j.VocabSize < 1 || *j.VocabSize > tokenizer.MaxTokens) {
		return cli.Usagef("--vocab_size=%d: expected 1 to %d", *j.VocabSize, tokenizer.MaxTokens)
	}
	r := &j.record
	*r = j.state.Data
	if j.Init != resume {
		r.ValFraction = deref(j.ValFraction, defaultValFraction)
	}
	if !(r.ValFraction > 0 && r.ValFraction < 1) {
		return cli.Usagef("--val_fraction=%v: expected a share between 0 and 1", r.ValFraction)
	}
	for _, x := range []struct {
		flag  string
		given []string
		to    *[]string
	}{{"data", j.Data, &r.Paths}, {"val", j.Val, &r.ValPaths}} {
		if len(x.given) == 0 {
			if slices.Contains(*x.to, train.Stdin) {
				return cli.Usagef("the run began with a text from standard input or a pipe: give it again with --%s=- or the name of a pipe", x.flag)
			}
			continue
		}
		*x.to = nil
		for _, path := range x.given {
			if path != train.Stdin {
				absolute, err := filepath.Abs(path)
				if err != nil {
					return err
				}
				path = absolute
			}
			*x.to = append(*x.to, path)
		}
	}
	if len(r.Paths) == 0 {
		return cli.Usagef("%s does not tell what the run learned from: name it with --data", j.from)
	}
	return nil
}

// openBins opens token ids. They may come without a tokenizer.
func (j *job) openBins(ctx context.Context, bins, val []string) (err error) {
	if j.Char {
		return cli.Usagef("--char makes a tokenizer of texts, and %s has token ids", bins[0])
	}
	if err := j.findTokenizer(false); err != nil {
		return err
	}
	if j.data, err = train.OpenBins(ctx, bins, val); err != nil {
		return err
	}
	for _, warning := range j.data.Warnings {
		fmt.Fprintf(os.Stderr, "warning: %s\n", warning)
	}
	return nil
}

// openTexts encodes texts, with a tokenizer that is made of them where there is
// no other.
func (j *job) openTexts(ctx context.Context, paths, valPaths []string) (failed error) {
	if err := j.findTokenizer(true); err != nil {
		return err
	}
	var left []train.LeftOut
	var opened [2]*train.Texts
	for i, paths := range [][]string{paths, valPaths} {
		if len(paths) == 0 {
			continue
		}
		files, found, err := train.FindTexts(paths, j.OutDir)
		if err != nil {
			return err
		}
		if opened[i], err = train.OpenTexts(ctx, files, found...); err != nil {
			return err
		}
		defer func() { failed = errors.Join(failed, opened[i].Close()) }()
		left = append(left, opened[i].Left...)
	}
	fmt.Fprint(os.Stderr, train.Warnings(left))
	if j.tokenizer == nil {
		if err := j.makeTokenizer(ctx, opened[0]); err != nil {
			return err
		}
	}
	var tokens [2]train.Tokens
	for i, t := range opened {
		if t == nil {
			continue
		}
		var err error
		tokens[i], err = t.Encode(ctx, j.tokenizer, func(n int64) { j.progress.step("encoding", n, t.Size) })
		if err != nil {
			return err
		}
	}
	j.progress.end()
	if before, after := j.tokenizer.Prefix(), j.tokenizer.Suffix(); len(before)+len(after) > 0 {
		fmt.Fprintf(os.Stderr, "tokenizer: each text begins with %s and ends with %s\n", j.names(before), j.names(after))
	}
	j.data = train.NewData(tokens[0], tokens[1])
	return nil
}

// findTokenizer loads the checkpoint's or the one that is named, if any.
// Without one there must be token ids.
func (j *job) findTokenizer(text bool) error {
	var named *tokenizer.Tokenizer
	var err error
	if j.Tokenizer != "" {
		if named, err = loadTokenizer(j.Tokenizer); err != nil {
			return err
		}
	}
	if j.init == nil {
		j.tokenizer = named
		return nil
	}
	j.tokenizer, err = j.init.Tokenizer()
	if err != nil && !errors.Is(err, tokenizer.ErrNone) && (named != nil || !text) {
		fmt.Fprintf(os.Stderr, "%s: warning: the checkpoint's tokenizer cannot be read and is left out: %v\n", cli.Self(), err)
		j.tokenizer, err = nil, nil
	}
	if errors.Is(err, tokenizer.ErrNone) {
		j.tokenizer, err = nil, nil
	}
	if err != nil {
		return err
	}
	switch {
	case named == nil && j.tokenizer == nil && text:
		return cli.Usagef("the checkpoint has no tokenizer and the data is text: name one with --tokenizer, or use token ids")
	case named != nil && j.tokenizer == nil:
		j.tokenizer = named
	case named != nil && !train.SameTokenizer(named, j.tokenizer):
		return cli.Usagef("--tokenizer=%s, of %d tokens, is not the checkpoint's, of %d, which cannot change: leave the flag out", j.Tokenizer, named.VocabSize(), j.tokenizer.VocabSize())
	}
	return nil
}

// names are tokens for people.
func (j *job) names(ids []int) string {
	if len(ids) == 0 {
		return "no token of its own"
	}
	var names []string
	for _, id := range ids {
		text, _ := j.tokenizer.Token(id)
		names = append(names, strconv.Quote(text))
	}
	return strings.Join(names, " ")
}

// loadTokenizer loads that of a directory, or of a file of a directory.
func loadTokenizer(path string) (*tokenizer.Tokenizer, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--tokenizer=%s: no such file or directory", path)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if !slices.Contains(tokenizerFiles, filepath.Base(path)) {
			return nil, cli.Usagef("--tokenizer=%s: expected a directory, or the tokenizer.json, vocab.json or merges.txt of one", path)
		}
		path = filepath.Dir(path)
	}
	return tokenizer.Load(path)
}

// makeTokenizer makes one of the texts: of characters where they are small and
// have few, else of byte pairs.
func (j *job) makeTokenizer(ctx context.Context, texts *train.Texts) error {
	size := deref(j.VocabSize, runVocabSize)
	if least := 256 + 1; !j.Char && size < least {
		return cli.Usagef("--vocab_size=%d: expected %d, for 256 bytes and a special token, to %d", size, least, tokenizer.MaxTokens)
	}
	j.progress.step("reading", 0, 0)
	corpus, err := texts.Corpus(ctx)
	if err != nil {
		return err
	}
	var v tokenizer.Vocabulary
	made := false
	if j.Char || j.VocabSize == nil && texts.Size < smallText {
		if v, err = corpus.Characters(); err != nil {
			return noText(err)
		}
		made = j.Char || len(v.Tokens) <= manyCharacters
	}
	if !made {
		v, err = corpus.TrainBPE(ctx, tokenizer.BPEOptions{VocabSize: size, MinFrequency: defaultMinFrequency,
			Progress: func(done, total int) { j.progress.step("merging", int64(done), int64(total)) }})
		if err != nil {
			return noText(err)
		}
	}
	j.progress.end()
	j.tokenizer, err = tokenizer.New(v)
	return err
}

// noText tells what to do about texts without words.
func noText(err error) error {
	if errors.Is(err, tokenizer.ErrNoText) {
		return errors.New("the data has no text, expected some to learn from")
	}
	return err
}

func deref[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
