//go:build amd64 || arm64

package blaslib

// names are what a library is called, fastest first. The distribution's
// libblas.so.3 is often OpenBLAS under another name; the reference BLAS, which
// is slower than gonum, is told apart by its lack of a way to set threads.
var names = []string{
	"libmkl_rt.so.2", "libmkl_rt.so",
	"libopenblas.so.0", "libopenblas.so",
	"libblis.so.4", "libblis.so",
	"libblas.so.3",
}

// advice is for people who have none of them.
const advice = "no BLAS library was found, so matrix products run on gonum, which is slower: install OpenBLAS " +
	"(apt install libopenblas0-pthread on Debian and Ubuntu, openblas-serial on Fedora, openblas on others)"
