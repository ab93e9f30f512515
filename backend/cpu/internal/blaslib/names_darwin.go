//go:build amd64 || arm64

package blaslib

// names are the paths of libraries, the fastest first.
var names = []string{
	"/System/Library/Frameworks/Accelerate.framework/Accelerate",
	"/opt/homebrew/opt/openblas/lib/libopenblas.dylib",
	"/usr/local/opt/openblas/lib/libopenblas.dylib",
}

// advice says what to do if none of them is found. Every Mac should have the first.
const advice = "no BLAS library was found, so matrix products run in Go, which is slower: brew install openblas"
