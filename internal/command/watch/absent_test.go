//go:build !watch || !cgo

package watch

import (
	"strings"
	"testing"
)

// TestAbsent shows what a program without the window says.
func TestAbsent(t *testing.T) {
	err := (&flags{}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "make watch") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, expected one line that names make watch", err)
	}
}
