//go:build amd64 || arm64

package blaslib

// names are where a library lies, fastest first.
var names = []string{
	"/System/Library/Frameworks/Accelerate.framework/Accelerate",
	"/opt/homebrew/opt/openblas/lib/libopenblas.dylib",
	"/usr/local/opt/openblas/lib/libopenblas.dylib",
}
