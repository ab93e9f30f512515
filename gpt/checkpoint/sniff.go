package checkpoint

// Finding out by its first bytes what a file is that is no model. Users get web
// pages, Git LFS pointers and other programs' formats in place of weights; errors
// tell them what to do.

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"caldera/gpt/checkpoint/tensorfile"
	"caldera/internal/regular"
)

// kind is what a file holds.
type kind int

const (
	unknownFile kind = iota
	emptyFile
	zerosFile
	ggufKind
	safetensorsKind
	jsonFile
	textFile
	lfsPointer
	webPage
	pytorchFile
	numpyFile
	hdf5File
	ggmlFile
	archiveFile
	onnxFile // known only by its name, as flaxFile is
	flaxFile
)

// signatures tell what a file is: it begins with one text and has another among its
// first bytes. The first that fits counts.
var signatures = []struct {
	kind
	prefix, contains string
}{
	{ggufKind, "GGUF", ""},
	{lfsPointer, tensorfile.LFSPointer, ""},
	{numpyFile, "PK\x03\x04", ".npy"}, {numpyFile, "\x93NUMPY", ""},
	{pytorchFile, "PK\x03\x04", ".pkl"},
	{pytorchFile, "\x80\x02", ""}, {pytorchFile, "\x80\x03", ""}, {pytorchFile, "\x80\x04", ""}, {pytorchFile, "\x80\x05", ""}, // pickle's protocols
	{hdf5File, "\x89HDF\r\n", ""},
	{ggmlFile, "lmgg", ""}, {ggmlFile, "fmgg", ""}, {ggmlFile, "tjgg", ""}, {ggmlFile, "algg", ""},
	{archiveFile, "PK\x03\x04", ""}, {archiveFile, "\x1f\x8b", ""}, {archiveFile, "\x28\xb5\x2f\xfd", ""},
	{archiveFile, "BZh", ""}, {archiveFile, "\xfd7zXZ", ""}, {archiveFile, "7z\xbc\xaf", ""},
}

// problems say what is wrong with a file of a kind where weights are expected, and
// what to do. Some of them lack an end: see kind.problem.
var problems = map[kind]string{
	emptyFile:   "the file is empty: download it again",
	zerosFile:   "the file begins with zeros, as where a download was cut off: download it again",
	lfsPointer:  "this is a Git LFS pointer, not the weights: run git lfs pull to fetch them",
	webPage:     "this is a web page (HTML), not a model: the download saved a page in place of the file; of Hugging Face, take the address with /resolve/ in place of /blob/",
	pytorchFile: "this is a file of PyTorch (pickle), which is not read, for reading one can run any program: ",
	numpyFile:   "this is a file of NumPy: expected safetensors or GGUF",
	hdf5File:    "this is a file of Keras or TensorFlow (HDF5), which is not read: ",
	ggmlFile:    "this is a file of the format that llama.cpp had before GGUF: convert the model again with a newer program",
	archiveFile: "this is an archive or a compressed file: unpack it first",
	onnxFile:    "this is a file of ONNX, which is not read: take the model's safetensors or GGUF files",
	flaxFile:    "this is a file of Flax, which is not read: ",
}

// maxSniff is how many bytes of a file identify reads at most.
const maxSniff = 512

// sniff reads the first bytes of the file at path, at most maxSniff, and tells
// from them what the file is.
func sniff(path string) (kind, []byte, error) {
	f, err := regular.Open(os.DirFS(filepath.Dir(path)), filepath.Base(path))
	if err != nil {
		return unknownFile, nil, err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, maxSniff))
	return identify(head), head, err
}

func identify(head []byte) kind {
	if len(head) == 0 {
		return emptyFile
	}
	if len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head) <= 100_000_000 {
		return safetensorsKind
	}
	for _, s := range signatures {
		if bytes.HasPrefix(head, []byte(s.prefix)) && bytes.Contains(head, []byte(s.contains)) {
			return s.kind
		}
	}
	text := strings.ToLower(strings.TrimLeft(strings.TrimPrefix(string(head), "\ufeff"), " \t\r\n"))
	switch {
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"), strings.HasPrefix(text, "<head"):
		return webPage
	case strings.HasPrefix(text, "{"):
		return jsonFile
	case len(bytes.Trim(head, "\x00")) == 0:
		return zerosFile
	case len(head) > 4 && len(head) < maxSniff && utf8.Valid(head) && !bytes.ContainsFunc(bytes.TrimSpace(head), unicode.IsControl):
		return textFile // a short one: a line
	}
	return unknownFile
}

// problem says what is wrong with the file at path, of kind k, where weights are
// expected, and what to do. It is "" for kinds that do not tell.
func (k kind) problem(path string) string {
	text := problems[k]
	switch k {
	case pytorchFile:
		text += convertPyTorch(path)
	case hdf5File:
		text += savePretrained(filepath.Dir(path), ", from_tf=True")
	case flaxFile:
		text += savePretrained(filepath.Dir(path), ", from_flax=True")
	}
	return text
}

// convertPyTorch says how a file of PyTorch becomes one that is read.
func convertPyTorch(path string) string {
	if strings.HasPrefix(strings.ToLower(filepath.Base(path)), "pytorch_model") {
		return savePretrained(filepath.Dir(path), "")
	}
	return "save the weights with safetensors.torch.save_file under the names that Transformers has, as model.safetensors beside a config.json"
}

// savePretrained is the command that writes a directory's weights as safetensors.
func savePretrained(dir, from string) string {
	return fmt.Sprintf(`make model.safetensors of it: python3 -c 'import sys; from transformers import AutoModelForCausalLM as M; d = sys.argv[1]; M.from_pretrained(d%s).save_pretrained(d, safe_serialization=True)' %s`,
		from, shellQuote(dir))
}

// shellQuote is s as one word of a shell's command line.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+=:@", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// explain is err, which reading the file at path gave, or a better error if the
// first bytes tell what the file is. expected are the kinds that err is right about.
func explain(err error, path string, expected ...kind) error {
	k, _, sniffed := sniff(path)
	if sniffed != nil || slices.Contains(expected, k) {
		return err
	}
	if problem := k.problem(path); problem != "" {
		return fmt.Errorf("%s: %s", path, problem)
	}
	return err
}
