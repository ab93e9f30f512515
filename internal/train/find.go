package train

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Stdin is standard input's name where a path is expected.
const Stdin = "-"

// File is a text to read.
type File struct {
	Path  string // Stdin for standard input
	Named bool   // by the user; else it was found in a directory, and is left out where it is no text
	Size  int64  // bytes, 0 if that is not known
}

// Stream reports whether the file can be read only once: standard input, a pipe.
func (f File) Stream() bool {
	if f.Path == Stdin {
		return true
	}
	info, err := os.Stat(f.Path)
	return err == nil && !info.Mode().IsRegular()
}

// String is the name for people.
func (f File) String() string {
	if f.Path == Stdin {
		return "standard input"
	}
	return Shown(f.Path)
}

// wrap names the file in an error, unless it begins with the name.
func (f File) wrap(err error) error {
	if strings.HasPrefix(err.Error(), f.Path+": ") {
		return err
	}
	return fmt.Errorf("%v: %w", f, err)
}

// Shown is a path for people: quoted where it would not be plain on a terminal.
func Shown(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool { return !strconv.IsPrint(r) }) || !validUTF8(path) {
		return strconv.Quote(path)
	}
	return path
}

// LeftOut is what was found and is not read, and why.
type LeftOut struct {
	File
	Why error
}

func (l LeftOut) String() string { return l.wrap(l.Why).Error() }

// Why something is left out that a run, or another command, has written.
var (
	errCheckpoint = errors.New("it is a checkpoint, which is no text to learn from")
	errOutput     = errors.New("it is the output of a run, which is no text to learn from")
	errTokenizer  = errors.New("it is a file of a tokenizer, which is no text to learn from")
	errOwnOutput  = errors.New("it is where this command's output goes")
)

// FindTexts finds the texts that paths name: files, the *.txt files of
// directories at any depth, standard input. What a run or train tokenizer wrote
// is left out: files of a tokenizer, and directories below those that are named
// which are checkpoints or have some. out is the directory that the run writes
// to, "" for none.
func FindTexts(paths []string, out string) (files []File, left []LeftOut, err error) {
	f := finder{out: out, kinds: map[string]kind{}}
	for _, path := range paths {
		if path == Stdin {
			f.files = append(f.files, File{Path: Stdin, Named: true})
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, nil, err
		}
		if info.IsDir() {
			err = f.directory(path)
		} else {
			err = f.named(path, info)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if len(f.files) == 0 {
		return nil, nil, NoTexts(f.left)
	}
	return f.files, f.left, nil
}

// NoTexts is the error for texts of which nothing but this was found.
func NoTexts(left []LeftOut) error {
	if len(left) == 1 {
		return left[0].wrap(left[0].Why)
	}
	return fmt.Errorf("%v; %d others are no texts either", left[0], len(left)-1)
}

// finder gathers texts.
type finder struct {
	out   string
	files []File
	left  []LeftOut
	kinds map[string]kind // of directories that were looked at
}

func (f *finder) leave(path string, why error) {
	f.left = append(f.left, LeftOut{File{Path: path}, why})
}

// named adds a file that the user named.
func (f *finder) named(path string, info fs.FileInfo) error {
	if why := f.written(path, info); why != nil {
		f.leave(path, why)
		return nil
	}
	f.add(path, info, true)
	return nil
}

func (f *finder) add(path string, info fs.FileInfo, named bool) {
	file := File{Path: path, Named: named}
	if info.Mode().IsRegular() {
		file.Size = info.Size()
	}
	f.files = append(f.files, file)
}

// directory adds the texts below root.
func (f *finder) directory(root string) error {
	found, left := len(f.files), len(f.left)
	// With a separator at its end the name of a link to a directory is that directory's.
	err := filepath.WalkDir(root+string(filepath.Separator), func(path string, entry fs.DirEntry, err error) error {
		path = filepath.Clean(path)
		if err != nil {
			if path == filepath.Clean(root) {
				return err
			}
			f.leave(path, reason(err)) // a directory that cannot be read
			return nil
		}
		if entry.IsDir() {
			if path == filepath.Clean(root) {
				return nil
			}
			if k := f.kind(path); k == checkpointDir || k == outputDir {
				f.leave(path, map[kind]error{checkpointDir: errCheckpoint, outputDir: errOutput}[k])
				return fs.SkipDir
			}
			return nil
		}
		if !strings.EqualFold(filepath.Ext(path), ".txt") {
			return nil
		}
		f.found(path)
		return nil
	})
	if err != nil {
		return err
	}
	if len(f.files) == found && len(f.left) == left {
		return fmt.Errorf("%s has no files *.txt: expected some, or the names of other files", Shown(root))
	}
	return nil
}

// found adds a file of a directory.
func (f *finder) found(path string) {
	info, err := os.Stat(path) // of what a link points to
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.leave(path, errors.New("it is a link to nothing"))
	case err != nil:
		f.leave(path, reason(err))
	case info.IsDir(): // a link to a directory
	case !info.Mode().IsRegular():
		f.leave(path, errors.New("it is no regular file"))
	default:
		if why := f.written(path, info); why != nil {
			f.leave(path, why)
			return
		}
		f.add(path, info, false)
	}
}

// kind is what a directory is for.
type kind int

const (
	plainDir kind = iota
	tokenizerDir
	checkpointDir
	outputDir // of a run
)

// kind looks at a directory. One that cannot be read is a plain one.
func (f *finder) kind(dir string) kind {
	k, known := f.kinds[dir]
	if !known {
		k = kindOf(dir)
		if k != checkpointDir && f.out != "" && sameFile(dir, f.out) {
			k = outputDir
		}
		f.kinds[dir] = k
	}
	return k
}

func kindOf(dir string) kind {
	if temporaryName.MatchString(filepath.Base(dir)) {
		return checkpointDir // or what a run that was killed left of one
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return plainDir
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return slices.Contains(names, e.Name()) })
	}
	weights := slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return slices.Contains([]string{".safetensors", ".bin", ".gguf", ".pt"}, strings.ToLower(filepath.Ext(e.Name())))
	})
	newest, _ := Dir(dir).target(Newest)
	switch {
	case weights && has("config.json", stateName):
		return checkpointDir
	case newest != "", snapshotsIn(dir):
		return outputDir
	case has("tokenizer.json", "vocab.json"):
		return tokenizerDir
	}
	return plainDir
}

// tokenizerNames are files of a tokenizer that somebody might take for text.
var tokenizerNames = []string{"merges.txt", "vocab.txt", "vocab.json", "tokenizer.json", "added_tokens.json", "tokenizer_config.json"}

// written tells why a file is no data: a command has written it. It is nil for
// other files.
func (f *finder) written(path string, info fs.FileInfo) error {
	for _, output := range []*os.File{os.Stdout, os.Stderr} {
		if to, err := output.Stat(); err == nil && to.Mode().IsRegular() && os.SameFile(info, to) {
			return errOwnOutput
		}
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	name := filepath.Base(path)
	switch f.kind(filepath.Dir(path)) {
	case checkpointDir, tokenizerDir:
		if slices.Contains(tokenizerNames, name) {
			return errTokenizer
		}
	case outputDir:
		if name == logName || name == plotName {
			return errOutput
		}
	}
	if name == "merges.txt" && info.Mode().IsRegular() && beginsWith(path, "#version:") {
		return errTokenizer
	}
	return nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func beginsWith(path, text string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	start := make([]byte, len(text))
	_, err = io.ReadFull(file, start)
	return err == nil && bytes.Equal(start, []byte(text))
}

// reason is an error without the path, which is told beside it.
func reason(err error) error {
	if named := (*fs.PathError)(nil); errors.As(err, &named) {
		return named.Err
	}
	return err
}
