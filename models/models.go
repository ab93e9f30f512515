// Package models embeds the model that runs when none is named.
//
// A model here is a directory as Hugging Face lays one out. README.md beside this file records where each came from
// and how it was trained; to replace the default, add its directory and change the two lines below that name it.
package models

import (
	"embed"
	"io/fs"
)

//go:embed austen
var files embed.FS

// Name is the name of the default model.
const Name = "austen"

// Default returns the directory of the default model: config.json, model.safetensors, vocab.json and merges.txt.
func Default() fs.FS {
	dir, err := fs.Sub(files, Name)
	if err != nil {
		panic(err) // Sub fails only on a name that is no path
	}
	return dir
}
