// Package hub fetches models from Hugging Face's hub, or from another server with its
// API, into the cache that Hugging Face's own tools have on the machine:
//
//	models--org--name/blobs/CHECKSUM          contents, each once
//	models--org--name/refs/REVISION           the commit that a revision stands for
//	models--org--name/snapshots/COMMIT/FILE   links to the contents
//
// name.go reads how a model is called, place.go what the environment says, client.go asks
// the server, choose.go picks the files that a model needs, download.go fetches one of them,
// fetch.go puts it all together, and cache.go lists and removes what is there.
//
// Nothing that a server answers is trusted. A file takes its name in the cache when its
// checksum is right, and not before, so that a fetch may be cut off at any time, and several
// processes may fetch the same model.
//
// Sources: huggingface.co/docs/huggingface_hub, "Manage huggingface_hub cache-system",
// "Environment variables", and "HF Hub API endpoints".
package hub

import (
	"fmt"
	"path"
	"runtime"
	"strings"
	"unicode"
)

// Limits on what a server may answer.
const (
	maxListing = 32 << 20 // bytes of a list of files
	maxFiles   = 100_000
	maxPath    = 1024
)

// File is a file of a model, as the server lists it.
type File struct {
	Path string // with slashes
	Size int64

	// Sum is the file's checksum in hexadecimal digits: SHA-256 for a large file, and Git's
	// SHA-1 of a blob for a small one. It is also the name of the contents in the cache.
	Sum string
}

// checkPath refuses the name of a file that could be none of a directory of models.
func checkPath(name string) error {
	bad := func(r rune) bool {
		return r == '\\' || r == ':' && runtime.GOOS == "windows" || unicode.IsControl(r) || r == unicode.ReplacementChar
	}
	if name == "" || len(name) > maxPath || path.IsAbs(name) || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../") ||
		strings.ContainsFunc(name, bad) {
		return fmt.Errorf("found a file called %q, expected a path within the model", shorten(name))
	}
	return nil
}

// shorten is text as a message shows it.
func shorten(text string) string {
	const most = 120
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// isHex reports whether text has n digits of a hexadecimal number, in lower case.
func isHex(text string, n int) bool {
	return len(text) == n && strings.Trim(text, "0123456789abcdef") == ""
}
