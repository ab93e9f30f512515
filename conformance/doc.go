// Package conformance holds a backend to what package backend promises.
//
// In the package of your backend write
//
//	func TestConformance(t *testing.T) {
//		conformance.Test(t, func(tb testing.TB) backend.Backend {
//			b, err := mybackend.Open()
//			if err != nil {
//				tb.Fatal(err)
//			}
//			return b
//		})
//	}
//
//	func BenchmarkOps(b *testing.B) { conformance.Bench(b, open) }
//
// and run it. [Test] closes what it opens. [Long] tries random shapes as well.
//
// # What is checked
//
// Each op runs on many shapes, in each storage type, on tensors that begin
// with their buffer or in the middle of it, with gaps between rows, side by
// side with others, transposed: once by Run, then recorded and replayed on
// other data. Results are held against naive float64 loops over the same
// stored values; how far they may lie from them follows from how float32
// rounds and from the length of the sums, and is said in one place,
// tolerance.go, for every backend. A fused op is held to what it lowers to.
//
// Destinations hold NaN before the op runs and so do scratch operands and all
// bytes around tensors: whatever the op does not write, or should not read,
// shows. No byte outside of a destination may change.
//
// Each op also runs on data of which a few numbers are NaN or infinite. Results
// that depend on them must be NaN or infinite where the oracle's are, and the
// others must keep the bits that finite data gave (attention: their values).
//
// Beyond ops: memory (offsets, order among Runs, exhaustion, reuse), programs
// (hazards between ops, long lists, interleaving), lifetime (Free, Close,
// buffers of another backend), and a small GPT-2 against figures of PyTorch.
//
// Ops on f32 are mandatory: Supports, or each op of Lower, has to take them.
// Cases in other storage types, ops that only training needs, and vectors of
// more than 65,536 elements are skipped where Prepare refuses them. The last line, which go test -v shows, counts both:
//
//	conformance: 1700 cases run, 322 skipped (f16: 22, training: 300)
//
// # When it fails
//
// A failure reads
//
//	linear/w=f16,x=7x33,w=65x33,offset=3/replay2: 3 of 455 differ; worst dst[6,64] got 1.2041 want 1.1987, |Δ|=5.4e-3 > 1.1e-3
//
// that is op, operands, layout and which of its runs, then the element that is
// furthest out. Data follow from the name, so the case alone fails again:
//
//	go test -run 'TestConformance/linear/w=f16,x=7x33,w=65x33,offset=3'
//
// # Adding an op
//
// Add a file of the op's name with a naive oracle, which may be left out for an
// op that lowers to others, and a list of cases, and register both in init, and
// cases of numbers that are not finite, as in nonfinite_rows.go. Mark one that
// only training needs. A gradient's oracle is to be held to finite
// differences, in gradient_test.go.
package conformance
