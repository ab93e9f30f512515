package gpt

// Where the model is that a path names: a directory, a file, a folder of a
// training run, or nothing at all, which is told with what to do about it.

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"caldera/gpt/gguf"
	"caldera/gpt/safetensors"
	"caldera/gpt/tokenizer"
)

const expectedModel = "expected a directory with config.json and model.safetensors, or a GGUF file"

// OpenCheckpoint opens the model at path:
//
//   - a directory in Hugging Face's layout, or one of its files of weights
//     (model.safetensors, a shard, or the index of the shards), beside which
//     config.json must lie;
//   - a GGUF file, whatever its name, or the first file of a split one;
//   - a directory with one GGUF file;
//   - the folder of a training run: its best checkpoint, or its newest where none
//     is the best.
//
// [Checkpoint.Path] says which was taken. The weights are mapped, not read, and
// must stay as they are while the checkpoint or a model loaded from it is open.
func OpenCheckpoint(path string) (*Checkpoint, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, notFound(path, err)
	case info.IsDir():
		return openDirectory(path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("model %s: found neither a directory nor a regular file, %s", path, expectedModel)
	}
	return openFile(path)
}

// openFile opens the model of which the regular file at path is the whole or a part.
func openFile(path string) (*Checkpoint, error) {
	k, head, err := sniff(path)
	if err != nil {
		return nil, fmt.Errorf("model %s: cannot read it: %w", path, cause(err))
	}
	dir, name := filepath.Dir(path), filepath.Base(path)
	switch {
	case k == ggufKind:
		return openGGUF(path)
	case k == safetensorsKind:
		return openWeights(path)
	case k == jsonFile && strings.HasSuffix(name, ".safetensors.index.json"):
		return openDir(dir, func() (*safetensors.File, error) { return safetensors.OpenIndex(path) }, path)
	}
	problem := otherWeights(path)
	if problem == "" {
		problem = k.problem(path)
	}
	if problem == "" && (strings.HasSuffix(name, ".json") || name == "merges.txt") {
		problem = fmt.Sprintf("this is no file of weights: give the directory of the model, such as %s", dir)
	}
	if problem != "" {
		return nil, fmt.Errorf("model %s: %s", path, problem)
	}
	text := k == textFile || k == jsonFile
	switch ext := strings.ToLower(filepath.Ext(name)); {
	case text && (ext == ".gguf" || ext == ".safetensors"):
		return nil, fmt.Errorf("model %s: found a text, %q, in place of weights, as where a server has answered a download with an error: download it again",
			path, beginning(head))
	case ext == ".gguf":
		return openGGUF(path) // whose error says more
	case ext == ".safetensors":
		f, err := safetensors.Open(path)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("model %s: found a file that begins with %q, %s", path, beginning(head), expectedModel)
}

// beginning is as much of a file as an error shows.
func beginning(head []byte) []byte { return head[:min(len(head), 32)] }

var shardName = regexp.MustCompile(`^(.+)-[0-9]{5}-of-[0-9]{5}\.safetensors$`)

// openWeights opens the model directory in which a safetensors file lies, with
// the weights of that file, or with all shards where it is one of several.
func openWeights(path string) (*Checkpoint, error) {
	dir := filepath.Dir(path)
	if m := shardName.FindStringSubmatch(filepath.Base(path)); m != nil {
		index := filepath.Join(dir, m[1]+".safetensors.index.json")
		if !there(index) {
			return nil, fmt.Errorf("model %s: this is one of several shards, and %s is missing, which tells what is in each: download it as well", path, index)
		}
		return openDir(dir, func() (*safetensors.File, error) { return safetensors.OpenIndex(index) }, path)
	}
	return openDir(dir, func() (*safetensors.File, error) { return safetensors.Open(path) }, path)
}

// openDir opens a model directory with the weights that open finds. path is what
// was asked for, in errors about what lies beside it.
func openDir(dir string, open func() (*safetensors.File, error), path string) (*Checkpoint, error) {
	configPath := filepath.Join(dir, configName)
	if !there(configPath) {
		return nil, fmt.Errorf("model %s: %s is missing, which tells the shape of the model: download it from where the weights are from", path, configPath)
	}
	config, err := ReadConfig(os.DirFS(dir))
	if err != nil {
		return nil, explain(fmt.Errorf("%s: %w", dir, err), configPath, jsonFile, safetensorsKind)
	}
	file, err := open()
	if err != nil {
		var bad *safetensors.FormatError
		if errors.As(err, &bad) {
			err = explain(err, bad.File, safetensorsKind, emptyFile)
		}
		return nil, err
	}
	c := huggingFace(config, baseName(dir), safetensorsFile{file}, func() (*tokenizer.Tokenizer, error) { return tokenizer.Load(dir) })
	c.Path = dir
	return c, nil
}

// baseName is the last part of a path; "." has one too.
func baseName(dir string) string {
	if absolute, err := filepath.Abs(dir); err == nil {
		return filepath.Base(absolute)
	}
	return filepath.Base(dir)
}

// there reports whether path names anything, if only a link that leads nowhere:
// what is wrong with that is told where it is read.
func there(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// openDirectory opens the model that a directory holds.
func openDirectory(dir string) (*Checkpoint, error) {
	has := func(name string) bool { return there(filepath.Join(dir, name)) }
	if info, err := os.Lstat(filepath.Join(dir, pendingName)); err == nil && info.IsDir() {
		pending := filepath.Join(dir, pendingName)
		c, err := openDir(pending, func() (*safetensors.File, error) { return safetensors.OpenDir(pending) }, pending)
		if err == nil {
			c.Name = baseName(dir)
			c.chosen = fmt.Sprintf("%s: writing a model to it was cut off: taking the new one, from %s; convert into it again, over what is there, to finish", dir, c.Path)
		}
		return c, err
	}
	if has(configName) && (has(safetensors.SingleName) || has(safetensors.IndexName)) {
		return openDir(dir, func() (*safetensors.File, error) { return safetensors.OpenDir(dir) }, dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("model %s: cannot list the directory: %w", dir, cause(err))
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	if run := runCheckpoint(dir, names); run != "" {
		c, err := openDir(run, func() (*safetensors.File, error) { return safetensors.OpenDir(run) }, dir)
		if err == nil {
			c.Name = baseName(dir)
			c.chosen = fmt.Sprintf("%s is the folder of a training run: taking %s", dir, named(run))
		}
		return c, err
	}
	switch files := ggufFiles(names); len(files) {
	case 0:
		return nil, fmt.Errorf("model %s: %s", dir, lacking(dir, names))
	case 1:
		c, err := openGGUF(filepath.Join(dir, files[0]))
		if err == nil {
			c.chosen = fmt.Sprintf("%s is a directory: taking %s, the one model in it", dir, c.Path)
		}
		return c, err
	default:
		return nil, fmt.Errorf("model %s: found several GGUF files, expected one: choose with -m one of %s", dir, quotedPaths(dir, files))
	}
}

// Names in the folder of a training run, which internal/train writes.
var (
	runLinks = []string{"best", "newest"}
	runStep  = regexp.MustCompile(`^step-[0-9]{6,10}$`)
)

// runCheckpoint is the checkpoint that a training run's folder stands for, or "".
func runCheckpoint(dir string, names []string) string {
	for _, link := range runLinks {
		if path := filepath.Join(dir, link); there(filepath.Join(path, configName)) {
			return path
		}
	}
	// A run that was cut off before its first link was made.
	var last string
	for _, name := range names { // sorted; a longer number is a later step
		if runStep.MatchString(name) && len(name) >= len(last) && there(filepath.Join(dir, name, configName)) {
			last = name
		}
	}
	if last == "" {
		return ""
	}
	return filepath.Join(dir, last)
}

// named is the path of a run's checkpoint, with the step that a link leads to.
func named(run string) string {
	switch target, err := os.Readlink(run); {
	case err != nil:
		return run + ", its last checkpoint"
	case filepath.Base(run) == runLinks[0]:
		return fmt.Sprintf("%s, its best checkpoint (%s)", run, target)
	default:
		return fmt.Sprintf("%s, its newest checkpoint (%s)", run, target)
	}
}

// ggufFiles are the models among names: of a split one, its first part that is there.
func ggufFiles(names []string) (files []string) {
	split := map[string]bool{}
	for _, name := range names {
		if !strings.EqualFold(filepath.Ext(name), ".gguf") {
			continue
		}
		if model, _, parts, ok := gguf.SplitName(name); ok {
			key := fmt.Sprintf("%s of %d", model, parts)
			if split[key] {
				continue
			}
			split[key] = true
		}
		files = append(files, name)
	}
	return files
}

// otherFormats tell of weights in formats that are not read, by the ending of a
// file's name: what to do about the file at path.
var otherFormats = map[string]func(path string) string{
	".bin":  func(path string) string { return pytorchFile.problem(path) },
	".pt":   func(path string) string { return pytorchFile.problem(path) },
	".pth":  func(path string) string { return pytorchFile.problem(path) },
	".ckpt": func(path string) string { return pytorchFile.problem(path) },
	".h5":   func(path string) string { return hdf5File.problem(path) },
	".npz":  func(path string) string { return numpyFile.problem(path) },
	".onnx": func(path string) string {
		return "this is a file of ONNX, which is not read: take the model's safetensors or GGUF files"
	},
	".msgpack": func(path string) string {
		return "this is a file of Flax, which is not read: " + savePretrained(filepath.Dir(path), ", from_flax=True")
	},
}

// otherWeights says what to do about the file at path if its name is that of
// weights in a format that is not read; else it returns "".
func otherWeights(path string) string {
	name := strings.ToLower(filepath.Base(path))
	what := otherFormats[filepath.Ext(name)]
	if name == "pytorch_model.bin.index.json" {
		what = otherFormats[".bin"]
	}
	if what == nil || filepath.Ext(name) == ".bin" && !strings.Contains(name, "model") {
		return "" // training_args.bin, or tokens to train on
	}
	// The ending says more than that the file is compressed, as a file of PyTorch is.
	if k, _, err := sniff(path); err == nil && k != archiveFile && k.problem(path) != "" {
		return k.problem(path)
	}
	return what(path)
}

// lacking says what a directory lacks that has no model in it.
func lacking(dir string, names []string) string {
	weights := slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ".safetensors") })
	switch {
	case len(names) == 0:
		return "the directory is empty, " + expectedModel
	case slices.Contains(names, "adapter_config.json"):
		return "this is an adapter (LoRA), not a whole model: merge it into its base model first, with PEFT's merge_and_unload and save_pretrained"
	case slices.Contains(names, "snapshots") && slices.Contains(names, "refs"):
		return "this is an entry of Hugging Face's cache: give a directory below " + filepath.Join(dir, "snapshots")
	}
	for _, name := range names {
		if problem := otherWeights(filepath.Join(dir, name)); problem != "" && !weights {
			return fmt.Sprintf("no weights in %s; found %q: %s", safetensors.SingleName, name, problem)
		}
	}
	switch {
	case slices.Contains(names, configName) && weights:
		return fmt.Sprintf("no weights under the names that are known: found %s, expected %s, or %s and its shards; or give -m the file itself",
			quoted(names), safetensors.SingleName, safetensors.IndexName)
	case slices.Contains(names, configName):
		return fmt.Sprintf("no weights: expected %s, or %s and its shards, beside %s", safetensors.SingleName, safetensors.IndexName, configName)
	case weights:
		return configName + " is missing, which tells the shape of the model: download it from where the weights are from"
	}
	return fmt.Sprintf("no model is in the directory: found %s, %s", quoted(names), expectedModel)
}

// quoted lists a few names.
func quoted(names []string) string {
	const most = 5
	var shown []string
	for _, name := range names[:min(len(names), most)] {
		shown = append(shown, fmt.Sprintf("%q", name))
	}
	list := strings.Join(shown, ", ")
	if n := len(names) - most; n > 0 {
		list += fmt.Sprintf(" and %d more", n)
	}
	return list
}

func quotedPaths(dir string, names []string) string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = filepath.Join(dir, name)
	}
	return quoted(paths)
}

// cause is what the system says, without the call and the path.
func cause(err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}

var (
	addressName = regexp.MustCompile(`^(?:(?:[A-Za-z][A-Za-z0-9+.-]+://)?(?:www\.)?(?:huggingface\.co|hf\.co)/|hf://)([\w.-]+(?:/[\w.-]+)?)|^[A-Za-z][A-Za-z0-9+.-]+://`)
	hubName     = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*(?:/[\w.-]+)?$`)
	ollamaName  = regexp.MustCompile(`^(?:[\w.-]+/)*[\w.-]{2,}:[\w.-]+$`)
)

// pagesBelow are pages of a model on Hugging Face.
var pagesBelow = []string{"resolve", "blob", "raw", "tree", "blame", "commits", "discussions"}

// notFound says what to do about a path that cannot be looked at.
func notFound(path string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("model %s: cannot read it: %w", path, cause(err))
	}
	download := func(id string) string {
		_, name, _ := strings.Cut("/"+id, "/")
		name = name[strings.LastIndex(name, "/")+1:]
		return fmt.Sprintf("download it, with hf download %s --local-dir %s, and give the directory", id, name)
	}
	if target, no := os.Readlink(path); no == nil {
		return fmt.Errorf("model %s: %w: the link leads to %q, which is not there", path, cause(err), target)
	}
	const machine = "expected a directory or a file on this machine"
	hint := expectedModel
	if m := addressName.FindStringSubmatch(path); m != nil {
		hint = "this is an address, " + machine + ": download it first"
		id, below, _ := strings.Cut(m[1], "/")
		if local, ok := strings.CutPrefix(path, "file://"); ok {
			hint = fmt.Sprintf("%s: give the path, %s", machine, local)
		} else if slices.Contains(pagesBelow, below) { // of a model whose name has no owner
			hint = "this is an address, " + machine + ": " + download(id)
		} else if m[1] != "" {
			hint = "this is an address, " + machine + ": " + download(m[1])
		}
	} else if ollamaName.MatchString(path) {
		hint = fmt.Sprintf("%s; for a model of ollama, give the file behind FROM in what ollama show --modelfile %s prints", machine, path)
	} else if strings.HasPrefix(path, "~") {
		hint = "the shell has not replaced ~: write $HOME in its place"
	} else if hubName.MatchString(path) && !strings.HasSuffix(path, ".gguf") && !strings.HasSuffix(path, ".safetensors") {
		hint = fmt.Sprintf("%s; if it is the name of a model on Hugging Face, %s", machine, download(path))
	}
	return fmt.Errorf("model %s: %w: %s", path, cause(err), hint)
}
