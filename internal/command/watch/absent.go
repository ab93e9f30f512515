//go:build !watch || !cgo

package watch

import (
	"context"
	"errors"
)

func (f *flags) run(context.Context) error {
	return errors.New("this program was built without its window: build it with make watch, " +
		"which installs the headers that the window needs (or with go build -tags watch ./cmd/watch and cgo, where they are)")
}
