package conformance

// How far a right answer may lie from the oracle's. This is the one place that
// says it: bounds follow from how float32 rounds and from the length of the
// sums, never from what some backend happens to give.
//
// Each value that the oracle computes carries a bound on the error of a
// float32 computation of the same formula, and ops on such values carry it on
// (running error analysis: Higham 2002, Accuracy and Stability of Numerical
// Algorithms, section 3.3). A fused op is thus held to the sum of what its
// parts may err.

import "math"

const (
	// ulp is the unit roundoff of float32: one operation errs by at most ulp
	// times its result when it rounds to nearest. Vulkan also lets a device
	// round towards zero, which is within the factors below.
	ulp = 1.0 / (1 << 24)

	// lambda is the λ of Higham and Mary 2019 (A New Approach to Probabilistic
	// Rounding Error Analysis, SIAM J. Sci. Comput. 41-5, theorem 3.1): a sum
	// of n terms, in any order, fused or not, errs by at most λ√n·u·Σ|terms|
	// but for a probability of 2n·exp(−λ²/2), which is 10⁻¹⁴·n here. The bound
	// that always holds has n in place of λ√n and would hide wrong results.
	lambda = 8

	// tiny is what an intermediate may lose where denormals are flushed to 0.
	tiny = 0x1p-125

	// function bounds the relative error of a division, square root or
	// reciprocal of it: Vulkan asks for 2.5 units in the last place, each up
	// to 2·ulp.
	function = 6 * ulp
)

// sumError bounds the error of a float32 sum of n products whose absolute
// values sum to magnitude.
func sumError(n int, magnitude float64) float64 {
	return lambda * math.Sqrt(float64(n)) * ulp * magnitude
}

// expError bounds the relative error of exp(x) in float32. Vulkan asks for
// 3 + 2·|x| units in the last place; taking it in two steps, as a softmax does
// whose maximum grows while it goes along the row, at most doubles it.
func expError(x float64) float64 { return (16 + 8*math.Abs(x)) * ulp }

// tanhError bounds the absolute error of tanh and erf in float32 made from exp,
// whose argument errs by a few ulp.
const tanhError = 16 * ulp

// withinModel is the bound on ‖out − ref‖ / ‖ref‖ for what comes out of a
// small GPT, where errors of many ops meet: float32 arithmetic by PyTorch stays
// within 1.5e-6. Where keys, values or weights are rounded to f16 on the way,
// a value near the middle of two f16 may go either way.
//
// Where activations are rounded to blocks of q8_a, a value near the middle of two
// steps may go either way. A step is 1/127 of the block's largest value, so an error
// of up to half of one has the deviation 1/(127·√12) of that, and the largest of 32
// values is within about 4 deviations of them: 1 % of each product's size. The errors
// of the 8 products of such a model add up as squares do.
const (
	withinModel    = 1e-5
	withinModelF16 = 2e-3
	withinModelQ8A = 2.6e-2
)
