package checkpoint

// Writing a model directory that may hold another model. If that is cut off at any
// moment, by a crash or a full disk, the directory still loads, as the old model or
// as the new one.
//
// All files are first written to a directory within it and synced. That directory
// is then renamed to pendingName: from then on it is the model. Its files are put
// in their places, files of the old model are deleted, and it is removed. If that
// is cut off, openDirectory finds pendingName and uses it, and the next save
// completes the work.

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"caldera/gpt/checkpoint/safetensors"
	"caldera/internal/atomicfile"
)

// pendingName is the directory, within a model directory, of a complete model that
// will replace the one around it.
const pendingName = ".caldera-new"

var stagingName = regexp.MustCompile(`^\.caldera-[0-9a-f]{16}\.tmp$`)

func newStagingName() string { return fmt.Sprintf(".caldera-%016x.tmp", rand.Uint64()) }

// directoryFiles are the files of a model directory, including those for other
// programs. Other files, such as notes, stay when another model is written.
var directoryFiles = []string{
	configName, generationName, safetensors.SingleName, safetensors.IndexName,
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
	templateName, templateJSON, templateDir,
	"optimizer.safetensors", "train.json", // of a training run that made the old model: it cannot go on with another
	"pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "tf_model.h5.index.json", "flax_model.msgpack", "flax_model.msgpack.index.json",
}

var shardFiles = regexp.MustCompile(`^(model|pytorch_model|tf_model|flax_model)-[0-9]{5}-of-[0-9]{5}\.(safetensors|bin|h5|msgpack)$`)

// isDirectoryFile reports whether a file of that name is a model's.
func isDirectoryFile(name string) bool {
	return slices.Contains(directoryFiles, name) || shardFiles.MatchString(name)
}

// replacement is a model directory that is being written.
type replacement struct {
	dir     string
	staging string // within dir
	undo    func() // removes dir if it was made and is empty
}

// replaceDir begins to write the model directory dir, which it makes if there is
// none. Files are written to staging until commit.
func replaceDir(dir string) (*replacement, error) {
	undo, err := atomicfile.Mkdir(dir)
	if err != nil {
		return nil, err
	}
	r := &replacement{dir, filepath.Join(dir, newStagingName()), undo}
	if err := os.Mkdir(r.staging, 0o777); err != nil {
		undo()
		return nil, err
	}
	return r, nil
}

// discard leaves the directory as it was before. After commit it does nothing.
func (r *replacement) discard() error {
	err := os.RemoveAll(r.staging)
	r.undo()
	return err
}

// commit makes what was written the model of the directory.
func (r *replacement) commit() error {
	if err := finishReplacement(r.dir); err != nil { // of an earlier model, if it was cut off
		return err
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	put := r.move
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return isDirectoryFile(e.Name()) }) {
		put = r.replace
	}
	if err := put(); err != nil {
		return err
	}
	return removeEntries(r.dir, entries, stagingName.MatchString, os.RemoveAll) // of saves that were cut off
}

// removeEntries removes the entries of dir whose names are unwanted.
func removeEntries(dir string, entries []fs.DirEntry, unwanted func(name string) bool, remove func(path string) error) error {
	for _, e := range entries {
		if unwanted(e.Name()) {
			if err := remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// replace puts the files in their places where there is another model.
func (r *replacement) replace() error {
	if err := atomicfile.SyncDir(r.staging); err != nil {
		return err
	}
	if err := os.Rename(r.staging, filepath.Join(r.dir, pendingName)); err != nil {
		return err
	}
	if err := atomicfile.SyncDir(r.dir); err != nil {
		return err
	}
	return finishReplacement(r.dir)
}

// move puts the files in their places where there is no model: config.json last,
// because a directory without it is no model.
func (r *replacement) move() error {
	names, err := filesOf(r.staging)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(r.staging, name), filepath.Join(r.dir, name)); err != nil {
			return err
		}
	}
	if err := os.Remove(r.staging); err != nil {
		return err
	}
	return atomicfile.SyncDir(r.dir)
}

// finishReplacement puts the files of a pending model in their places, if there is
// one, and deletes those of the old model.
func finishReplacement(dir string) error {
	pending := filepath.Join(dir, pendingName)
	info, err := os.Lstat(pending)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is there and is no directory: move it away", pending)
	}
	names, err := filesOf(pending)
	if err != nil {
		return err
	}
	for _, name := range names {
		put := place
		if name == templateDir {
			put = placeDir
		}
		if err := put(filepath.Join(pending, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	old := func(name string) bool { return isDirectoryFile(name) && !slices.Contains(names, name) }
	if err := removeEntries(dir, entries, old, removeOld); err != nil {
		return err
	}
	if err := atomicfile.SyncDir(dir); err != nil {
		return err
	}
	done := filepath.Join(dir, newStagingName()) // so that a part of it is never taken for the model
	if err := os.Rename(pending, done); err != nil {
		return err
	}
	return os.RemoveAll(done)
}

// removeOld removes a file of an old model, or its directory of templates.
func removeOld(path string) error {
	if filepath.Base(path) == templateDir {
		return os.RemoveAll(path)
	}
	return os.Remove(path)
}

// place makes to the same file as from, in one step. from stays.
func place(from, to string) error {
	temporary, err := stage(from, filepath.Dir(to))
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, to); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	// If both are one file already, Rename does nothing, and temporary still exists.
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// placeDir makes to a directory with the same files as from, in place of what to is. from stays.
func placeDir(from, to string) error {
	names, err := filesOf(from)
	if err != nil {
		return err
	}
	temporary := filepath.Join(filepath.Dir(to), newStagingName())
	if err := os.Mkdir(temporary, 0o777); err != nil {
		return err
	}
	for _, name := range names {
		if err := place(filepath.Join(from, name), filepath.Join(temporary, name)); err != nil {
			return err
		}
	}
	if err := errors.Join(atomicfile.SyncDir(temporary), os.RemoveAll(to)); err != nil {
		return err
	}
	return os.Rename(temporary, to) // until when the pending model counts
}

// stage makes the same file as from in dir, with a staging name: if placing it is cut
// off, the next save removes it.
func stage(from, dir string) (path string, err error) {
	path = filepath.Join(dir, newStagingName())
	if os.Link(from, path) == nil {
		return path, nil
	}
	if err := atomicfile.Copy(from, path); err != nil { // not all file systems have links
		return "", errors.Join(err, os.RemoveAll(path))
	}
	return path, nil
}

// filesOf are the names of the files in a directory, config.json last.
func filesOf(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != configName {
			names = append(names, e.Name())
		}
	}
	if len(names) < len(entries) {
		names = append(names, configName)
	}
	return names, err
}
