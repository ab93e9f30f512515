//go:build !((linux || darwin) && (amd64 || arm64))

package blaslib

import (
	"errors"

	"gonum.org/v1/gonum/blas"
)

var names []string

const advice = "" // nothing that could be installed would be used

func open(string) (blas.Float32, string, error) {
	return nil, "", errors.New("libraries of the system cannot be used on this platform")
}
