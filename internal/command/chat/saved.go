package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"caldera/gpt/chat"
	"caldera/internal/atomicfile"
)

// saved is a conversation in a file.
type saved struct {
	Model    string         `json:"model"`
	Messages []chat.Message `json:"messages"`
}

// maxSaved bounds the file, in bytes.
const maxSaved = 64 << 20

// save writes a conversation. A file that is there must be one, too, to be replaced.
func save(path string, s saved) error {
	if _, err := load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already, and is no conversation: choose another name (%w)", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(s)
	})
}

// load reads a conversation.
func load(path string) (s saved, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return s, err
	}
	if !info.Mode().IsRegular() {
		return s, fmt.Errorf("%s: it is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSaved+1))
	if err != nil {
		return s, err
	}
	if len(data) > maxSaved {
		return s, fmt.Errorf("%s: longer than %d bytes", path, maxSaved)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("%s: found no conversation in JSON: %w", path, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return s, fmt.Errorf("%s: found more behind the conversation, at byte %d: expected the end of the file", path, d.InputOffset())
	}
	if s.Messages == nil { // which a conversation without a word has, too
		return s, fmt.Errorf("%s: found no conversation in JSON: messages is missing", path)
	}
	if err := chat.Valid(s.Messages); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
