package gpt

// What a file is that is no model that we read, by its first bytes: people get web
// pages, pointers and other programs' formats where they expect weights, and are
// told what to do about it.

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

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
)

// maxSniff is how many bytes identify looks at.
const maxSniff = 512

// sniff reads the first bytes of the file at path.
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
	has := func(prefix string) bool { return bytes.HasPrefix(head, []byte(prefix)) }
	text := strings.ToLower(strings.TrimLeft(strings.TrimPrefix(string(head), "\ufeff"), " \t\r\n"))
	switch {
	case len(head) == 0:
		return emptyFile
	case has("GGUF"):
		return ggufKind
	case len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head) <= 100_000_000:
		return safetensorsKind
	case has("version https://git-lfs"):
		return lfsPointer
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"), strings.HasPrefix(text, "<head"):
		return webPage
	case has("PK\x03\x04") && bytes.Contains(head, []byte(".npy")):
		return numpyFile
	case has("PK\x03\x04") && bytes.Contains(head, []byte(".pkl")), len(head) > 1 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5: // pickle's protocols
		return pytorchFile
	case has("\x93NUMPY"):
		return numpyFile
	case has("\x89HDF\r\n"):
		return hdf5File
	case has("lmgg"), has("fmgg"), has("tjgg"), has("algg"):
		return ggmlFile
	case has("PK\x03\x04"), has("\x1f\x8b"), has("\x28\xb5\x2f\xfd"), has("BZh"), has("\xfd7zXZ"), has("7z\xbc\xaf"):
		return archiveFile
	case strings.HasPrefix(text, "{"):
		return jsonFile
	case len(bytes.Trim(head, "\x00")) == 0:
		return zerosFile
	case len(head) > 4 && len(head) < maxSniff && utf8.Valid(head) && !bytes.ContainsFunc(bytes.TrimSpace(head), unicode.IsControl):
		return textFile // a short one: a line
	}
	return unknownFile
}

// problem says what is wrong with a file of that kind where weights are
// expected, and what to do; "" where the kind does not tell.
func (k kind) problem(path string) string {
	switch k {
	case emptyFile:
		return "the file is empty: download it again"
	case zerosFile:
		return "the file begins with zeros, as where a download was cut off: download it again"
	case lfsPointer:
		return "this is a Git LFS pointer, not the weights: run git lfs pull to fetch them"
	case webPage:
		return "this is a web page (HTML), not a model: the download saved a page in place of the file; of Hugging Face, take the address with /resolve/ in place of /blob/"
	case pytorchFile:
		return "this is a file of PyTorch (pickle), which is not read, for reading one can run any program: " + convertPyTorch(path)
	case numpyFile:
		return "this is a file of NumPy: expected safetensors or GGUF"
	case hdf5File:
		return "this is a file of Keras or TensorFlow (HDF5), which is not read: " + savePretrained(filepath.Dir(path), ", from_tf=True")
	case ggmlFile:
		return "this is a file of the format that llama.cpp had before GGUF: convert the model again with a newer program"
	case archiveFile:
		return "this is an archive or a compressed file: unpack it first"
	}
	return ""
}

// convertPyTorch says how a file of PyTorch becomes one that is read.
func convertPyTorch(path string) string {
	name := strings.ToLower(filepath.Base(path))
	if strings.HasPrefix(name, "pytorch_model") {
		return savePretrained(filepath.Dir(path), "")
	}
	return "save the weights with safetensors.torch.save_file under the names that Transformers has, as model.safetensors beside a config.json"
}

// savePretrained is the command that writes a directory's weights as safetensors.
func savePretrained(dir, from string) string {
	return fmt.Sprintf(`make model.safetensors of it: python3 -c 'import sys; from transformers import AutoModelForCausalLM as M; d = sys.argv[1]; M.from_pretrained(d%s).save_pretrained(d, safe_serialization=True)' %s`,
		from, shellQuote(dir))
}

// shellQuote is s as a shell must be given it.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+=:@", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// explain adds to err, which came of reading the file at path, what the file is
// in truth, if its first bytes tell.
func explain(err error, path string, expected ...kind) error {
	k, _, sniffed := sniff(path)
	if err == nil || sniffed != nil {
		return err
	}
	for _, e := range expected {
		if k == e {
			return err
		}
	}
	if problem := k.problem(path); problem != "" {
		return fmt.Errorf("%s: %s", path, problem)
	}
	return err
}
