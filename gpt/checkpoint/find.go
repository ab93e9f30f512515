package checkpoint

// Finding the model that a path names: a directory, a file or the folder of a
// training run. Where there is none, the error says what to do.

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"caldera/gpt/checkpoint/gguf"
	"caldera/gpt/checkpoint/safetensors"
	"caldera/gpt/tokenizer"
	"caldera/internal/regular"
)

const isAdapter = "this is an adapter (LoRA), not a whole model: give its base model with -m, and this as an adapter beside it"

const expectedModel = "expected a directory with config.json and model.safetensors, or a GGUF file"

// Open opens the model at path:
//
//   - a directory in Hugging Face's layout, or one of its files of weights
//     (model.safetensors, a shard, or the index of the shards) with config.json
//     in the same directory;
//   - a GGUF file of any name, or the first file of a split one;
//   - a directory with one GGUF file;
//   - the folder of a training run: its best checkpoint, or its newest if none is
//     marked as the best.
//
// [Checkpoint.Path] says which was taken. The weights are mapped, not read: the
// files must not change while the checkpoint or a model loaded from it is open.
func Open(path string) (*Checkpoint, error) {
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

// openFile opens the model that the regular file at path holds, or holds a part of.
func openFile(path string) (*Checkpoint, error) {
	k, head, err := sniff(path)
	if err != nil {
		return nil, fmt.Errorf("model %s: cannot read it: %w", path, regular.Cause(err))
	}
	dir, name := filepath.Dir(path), filepath.Base(path)
	switch {
	case k == ggufKind:
		return openGGUF(path)
	case k == safetensorsKind:
		return openWeights(path)
	case k == jsonFile && strings.HasSuffix(name, ".safetensors.index.json"):
		return openDir(dir, safetensors.OpenIndex, path, path)
	}
	problem := cmp.Or(otherWeights(path), k.problem(path))
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

// beginning is the part of a file's head that an error shows.
func beginning(head []byte) []byte { return head[:min(len(head), 32)] }

var shardName = regexp.MustCompile(`^(.+)-[0-9]{5}-of-[0-9]{5}\.safetensors$`)

// openWeights opens the model directory that the safetensors file at path is in,
// with the weights of that file, or of all shards if it is one of several.
func openWeights(path string) (*Checkpoint, error) {
	dir := filepath.Dir(path)
	if filepath.Base(path) == adapterWeightsName {
		return nil, fmt.Errorf("model %s: %s", path, isAdapter)
	}
	m := shardName.FindStringSubmatch(filepath.Base(path))
	if m == nil {
		return openDir(dir, safetensors.Open, path, path)
	}
	index := filepath.Join(dir, m[1]+".safetensors.index.json")
	if !exists(index) {
		return nil, fmt.Errorf("model %s: this is one of several shards, and %s is missing, which tells what is in each: download it as well", path, index)
	}
	return openDir(dir, safetensors.OpenIndex, index, path)
}

// openDir opens a model directory with the weights at a path, which open opens.
// Errors about other files of the directory call the model asked.
func openDir(dir string, open func(path string) (*safetensors.File, error), weights, asked string) (*Checkpoint, error) {
	configPath := filepath.Join(dir, configName)
	if !exists(configPath) {
		return nil, fmt.Errorf("model %s: %s is missing, which tells the shape of the model: download it from where the weights are from", asked, configPath)
	}
	config, err := ReadConfig(os.DirFS(dir))
	if err != nil {
		return nil, explain(fmt.Errorf("%s: %w", dir, err), configPath, jsonFile, safetensorsKind)
	}
	file, err := open(weights)
	if err != nil {
		var bad *safetensors.FormatError
		if errors.As(err, &bad) {
			err = explain(err, bad.File, safetensorsKind, emptyFile)
		}
		return nil, err
	}
	c := huggingFace(config, baseName(dir), safetensorsFile{file}, func() (*tokenizer.Tokenizer, error) { return tokenizer.Load(dir) })
	c.Path = dir
	c.beside(os.DirFS(dir))
	return c, nil
}

// baseName is the last part of a path, also of a relative one such as ".".
func baseName(dir string) string {
	absolute, _ := filepath.Abs(dir) // "" with an error
	return filepath.Base(cmp.Or(absolute, dir))
}

// exists reports whether path names anything, even a link to a missing file: reading
// that gives an error which says more.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// openDirectory opens the model that a directory holds.
func openDirectory(dir string) (*Checkpoint, error) {
	has := func(name string) bool { return exists(filepath.Join(dir, name)) }
	pending := filepath.Join(dir, pendingName)
	switch info, err := os.Lstat(pending); {
	case err == nil && info.IsDir():
		return openInner(dir, pending, fmt.Sprintf("%s: writing a model to it was cut off: taking the new one, from %s; convert into it again, over what is there, to finish", dir, pending))
	case has(configName) && (has(safetensors.SingleName) || has(safetensors.IndexName)):
		return openDir(dir, safetensors.OpenDir, dir, dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("model %s: cannot list the directory: %w", dir, regular.Cause(err))
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	if run := runCheckpoint(dir, names, configName); run != "" {
		return openInner(dir, run, fmt.Sprintf("%s is the folder of a training run: taking %s", dir, named(run)))
	}
	files := ggufFiles(dir, names)
	switch len(files) {
	case 0:
		return nil, fmt.Errorf("model %s: %s", dir, lacking(dir, names))
	case 1:
		c, err := openGGUF(files[0])
		if err == nil {
			c.chosen = fmt.Sprintf("%s is a directory: taking %s, the one model in it", dir, c.Path)
		}
		return c, err
	default:
		return nil, fmt.Errorf("model %s: found several GGUF files, expected one: choose with -m one of %s", dir, quoted(files))
	}
}

// openInner opens the model directory within dir that was chosen for the reason
// chosen. The model has the name of dir.
func openInner(dir, model, chosen string) (*Checkpoint, error) {
	c, err := openDir(model, safetensors.OpenDir, model, dir)
	if err == nil {
		c.Name, c.chosen = baseName(dir), chosen
	}
	return c, err
}

// Names in the folder of a training run, which internal/train writes.
var (
	runLinks = []string{"best", "newest"}
	runStep  = regexp.MustCompile(`^step-[0-9]{6,10}$`)
)

// runCheckpoint is the path of the checkpoint that is taken from the folder of a
// training run, or "" if dir is no such folder. A checkpoint has a file of the name has.
func runCheckpoint(dir string, names []string, has string) string {
	for _, link := range runLinks {
		if path := filepath.Join(dir, link); exists(filepath.Join(path, has)) {
			return path
		}
	}
	// A run that was cut off before its first link was made.
	var last string
	for _, name := range names { // sorted; a longer number is a later step
		if runStep.MatchString(name) && len(name) >= len(last) && exists(filepath.Join(dir, name, has)) {
			last = name
		}
	}
	if last == "" {
		return ""
	}
	return filepath.Join(dir, last)
}

// named is the path of a run's checkpoint and what it is, for a message.
func named(run string) string {
	target, err := os.Readlink(run)
	switch {
	case err != nil:
		return run + ", its last checkpoint"
	case filepath.Base(run) == runLinks[0]:
		return fmt.Sprintf("%s, its best checkpoint (%s)", run, target)
	default:
		return fmt.Sprintf("%s, its newest checkpoint (%s)", run, target)
	}
}

// ggufFiles are the paths of the GGUF models in dir. Of a split model it lists the
// first part that is there.
func ggufFiles(dir string, names []string) (paths []string) {
	split := map[string]bool{}
	for _, name := range names {
		model, _, parts, isPart := gguf.SplitName(name)
		key := fmt.Sprintf("%s of %d", model, parts)
		if !strings.EqualFold(filepath.Ext(name), ".gguf") || isPart && split[key] {
			continue
		}
		split[key] = split[key] || isPart
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// otherFormats are formats of weights that are not read, by the extension of a
// file's name.
var otherFormats = map[string]kind{
	".bin": pytorchFile, ".pt": pytorchFile, ".pth": pytorchFile, ".ckpt": pytorchFile,
	".h5": hdf5File, ".npz": numpyFile, ".onnx": onnxFile, ".msgpack": flaxFile,
}

// otherWeights says what to do about the file at path if its name is that of
// weights in a format that is not read; else it returns "".
func otherWeights(path string) string {
	name := strings.ToLower(filepath.Base(path))
	ext := filepath.Ext(name)
	if name == "pytorch_model.bin.index.json" {
		ext = ".bin"
	}
	format := otherFormats[ext]
	if format == unknownFile || ext == ".bin" && !strings.Contains(name, "model") {
		return "" // training_args.bin, or tokens to train on
	}
	// The content says more than the name. But "archive" says less: PyTorch's files are archives.
	if k, _, err := sniff(path); err == nil && k != archiveFile && k.problem(path) != "" {
		return k.problem(path)
	}
	return format.problem(path)
}

// lacking says what a directory lacks that has no model in it.
func lacking(dir string, names []string) string {
	weights := slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ".safetensors") })
	switch {
	case len(names) == 0:
		return "the directory is empty, " + expectedModel
	case slices.Contains(names, "adapter_config.json"):
		return isAdapter
	case runCheckpoint(dir, names, adapterConfigName) != "":
		return "this is the folder of a training run that learned an adapter (LoRA), not a whole model: give its base model with -m, and this as an adapter beside it"
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

// quoted lists the first few names.
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

var (
	addressName = regexp.MustCompile(`^(?:(?:[A-Za-z][A-Za-z0-9+.-]+://)?(?:www\.)?(?:huggingface\.co|hf\.co)/|hf://)([\w.-]+(?:/[\w.-]+)?)|^[A-Za-z][A-Za-z0-9+.-]+://`)
	hubName     = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*(?:/[\w.-]+)?$`)
	ollamaName  = regexp.MustCompile(`^(?:[\w.-]+/)*[\w.-]{2,}:[\w.-]+$`)
)

// pagesBelow begin the paths of pages below a model's address on Hugging Face.
var pagesBelow = []string{"resolve", "blob", "raw", "tree", "blame", "commits", "discussions"}

// notFound is the error of a path that os.Stat gave err for. It says what to do.
func notFound(path string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("model %s: cannot read it: %w", path, regular.Cause(err))
	}
	download := func(id string) string {
		return fmt.Sprintf("download it, with hf download %s --local-dir %s, and give the directory", id, id[strings.LastIndex(id, "/")+1:])
	}
	if target, no := os.Readlink(path); no == nil {
		return fmt.Errorf("model %s: %w: the link leads to %q, which is not there", path, regular.Cause(err), target)
	}
	const machine = "expected a directory or a file on this machine"
	const address = "this is an address, " + machine + ": "
	hint := expectedModel
	m := addressName.FindStringSubmatch(path)
	local, isFile := strings.CutPrefix(path, "file://")
	switch {
	case isFile:
		hint = fmt.Sprintf("%s: give the path, %s", machine, local)
	case m != nil && m[1] == "":
		hint = address + "download it first"
	case m != nil:
		name, below, _ := strings.Cut(m[1], "/")
		if slices.Contains(pagesBelow, below) { // of a model whose name has no owner
			m[1] = name
		}
		hint = address + download(m[1])
	case ollamaName.MatchString(path):
		hint = fmt.Sprintf("%s; for a model of ollama, give the file behind FROM in what ollama show --modelfile %s prints", machine, path)
	case strings.HasPrefix(path, "~"):
		hint = "the shell has not replaced ~: write $HOME in its place"
	case hubName.MatchString(path) && !strings.HasSuffix(path, ".gguf") && !strings.HasSuffix(path, ".safetensors"):
		hint = fmt.Sprintf("%s; if it is the name of a model on Hugging Face, %s", machine, download(path))
	}
	return fmt.Errorf("model %s: %w: %s", path, regular.Cause(err), hint)
}
