//go:build amd64 || arm64

package blaslib

// names are the file names of libraries, the fastest first. A distribution's
// libblas.so.3 is often OpenBLAS under another name. It may also be the reference
// BLAS, which is slower than gonum; that one is refused because it has no function to
// set the number of threads.
var names = []string{
	"libmkl_rt.so.2", "libmkl_rt.so",
	"libopenblas.so.0", "libopenblas.so",
	"libblis.so.4", "libblis.so",
	"libblas.so.3",
}

// advice says what to install if none of them is found.
const advice = "no BLAS library was found, so matrix products run in Go, which is slower: install OpenBLAS " +
	"(apt install libopenblas0-pthread on Debian and Ubuntu, openblas-serial on Fedora, openblas on others)"
