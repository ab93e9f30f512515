//go:build amd64 || arm64

package blaslib

// names are where a library lies, fastest first.
var names = []string{
	"/System/Library/Frameworks/Accelerate.framework/Accelerate",
	"/opt/homebrew/opt/openblas/lib/libopenblas.dylib",
	"/usr/local/opt/openblas/lib/libopenblas.dylib",
}

// advice is for people who have none of them, though each Mac should have the first.
const advice = "no BLAS library was found, so matrix products run on gonum, which is slower: brew install openblas"
