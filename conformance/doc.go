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
// and run it. [Test] closes what it opens. [Long] tries cases of random shapes, for
// as long as the environment variable CALDERA_LONG says.
//
// # What is checked
//
// Each op runs on many shapes, in each storage type, on tensors that begin
// with their buffer or in the middle of it, with gaps between rows, side by
// side with others, transposed: once by Run, then recorded and replayed on
// other data. Results are compared with naive float64 loops over the same
// stored values. How far they may differ follows from how float32 rounds and
// from the length of the sums; tolerance.go says it for every backend. A fused
// op is compared with the ops that it lowers to.
//
// Destinations, scratch operands and all bytes around tensors hold NaN before
// the op runs. So the suite finds what the op does not write, and what it reads
// though it must not. No byte outside of a destination may change.
//
// Each op also runs on data of which a few numbers are NaN or infinite. Results
// that depend on them must be NaN or infinite where the oracle's are. The
// others must have the same bits as on finite data (attention: the same values
// within the bound).
//
// Beyond ops: memory (offsets, order among Runs, exhaustion, reuse), programs
// (hazards between ops, long lists, interleaving), lifetime (Free, Close,
// buffers of another backend), and a small GPT-2 against figures of PyTorch.
//
// Ops on f32 are mandatory: Supports, or each op of Lower, has to take them.
// Cases in other storage types, ops that only training needs, and vectors of
// more than 65,536 elements are skipped where Prepare refuses them. The last
// line, which go test -v shows, counts both:
//
//	conformance: 1700 cases run, 322 skipped (f16: 22, training: 300)
//
// # When it fails
//
// A failure reads
//
//	linear/w=f16,x=7x33,w=65x33,offset=3/replay2: 3 of 455 differ; worst dst[6,64] got 1.2041 want 1.1987, |Δ|=5.4e-3 > 1.1e-3
//
// that is the op, its operands, their layout and which of the runs failed, then
// the element that exceeds its bound most. The data follow from the name, so the
// case fails again when it runs alone:
//
//	go test -run 'TestConformance/linear/w=f16,x=7x33,w=65x33,offset=3'
//
// # Adding an op
//
// An op of any package is held to the same checks once its [Kind] is registered
// with [Register]: a naive oracle, cases, and cases with NaN and infinities. The
// example of Register shows all of it.
//
// An op of package backend has its kind in a file of the op's name here, and its
// cases with NaN and infinities in one such as nonfinite_rows.go. The oracle of a
// gradient is compared with finite differences in gradient_test.go.
package conformance
