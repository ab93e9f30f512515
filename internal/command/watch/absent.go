//go:build !watch || !cgo

package watch

import (
	"context"
	"errors"
)

func (f *flags) run(context.Context) error {
	return errors.New("this program was built without its window: build it with make watch, " +
		"which installs the headers that the window needs, or where they are with go build -tags watch ./cmd/watch (or ./cmd/caldera)")
}
