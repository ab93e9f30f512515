package convert

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"caldera/gpt/checkpoint"
	"caldera/internal/cli"
	"caldera/internal/printable"
)

// foreignEndings are those of files that people may expect to get.
var foreignEndings = []string{".bin", ".pt", ".pth", ".ckpt", ".npz", ".onnx", ".h5", ".msgpack", ".ggml", ".json"}

// format is what is to be written to output: gguf or safetensors, as to says or,
// where that is auto, the ending of the output's name.
func format(output, to string) (string, error) {
	ending := strings.ToLower(filepath.Ext(output))
	switch {
	case output == "":
		return "", cli.Usagef("--output is empty: expected the name of what to write")
	case ending == ".safetensors":
		return "", cli.Usagef("--output=%s: with safetensors a directory is written, which has config.json and the tokenizer too: name the directory, such as %s",
			output, strings.TrimSuffix(output, filepath.Ext(output)))
	case ending == ".gguf" && to == "safetensors":
		return "", cli.Usagef("--output=%s --to=safetensors: the name is that of a GGUF file: leave --to out, or name a directory", output)
	case to != "auto":
		return to, nil
	case ending == ".gguf":
		return "gguf", nil
	}
	for _, foreign := range foreignEndings {
		if ending == foreign {
			return "", cli.Usagef("--output=%s: no %s files are written: expected a name that ends in .gguf, or that of a directory, or --to to say which it is", output, ending)
		}
	}
	return "safetensors", nil
}

// free reports an output that cannot be written, or must not.
func (f *flags) free() error {
	there := false
	if f.To == "gguf" {
		info, err := os.Stat(f.Output)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot write %s: %w", f.Output, errors.Unwrap(err)) // the call that failed is of no interest
		}
		if there = err == nil; there && !info.Mode().IsRegular() {
			return fmt.Errorf("%s is there and is no regular file: expected the name of a file to write", f.Output)
		}
	} else {
		found, err := cli.OutputDir(f.Output)
		if err != nil {
			return err
		}
		if found {
			entries, err := os.ReadDir(f.Output)
			if err != nil {
				return err
			}
			there = len(entries) > 0
		}
	}
	if there && !f.Force {
		return fmt.Errorf("%s is there already: choose another --output, or replace it with --force", f.Output)
	}
	return nil
}

// tell prints what was written, which is opened for that: so it is known to open.
func tell(w io.Writer, output, format string) error {
	c, err := checkpoint.Open(output)
	if err != nil {
		return fmt.Errorf("%s was written, and does not open: %w", output, err)
	}
	size, dtype := int64(0), c.DType()
	if err := c.Close(); err != nil {
		return err
	}
	weights := output
	if format == "safetensors" {
		weights = filepath.Join(output, "model.safetensors")
	}
	if info, err := os.Stat(weights); err == nil {
		size = info.Size()
	}
	name := map[string]string{"gguf": "GGUF", "safetensors": "safetensors"}[format]
	_, err = fmt.Fprintf(w, "wrote %s: %s, %s, %.1f MiB\n", printable.Text(output), name, dtype, float64(size)/(1<<20))
	return err
}
