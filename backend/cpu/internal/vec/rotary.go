package vec

// Rotate rotates the pairs (a, b): first = a·cos − s·b·sin and second = b·cos + s·a·sin,
// where s is sign. first may be a, and second b.
func Rotate(first, second, a, b, cos, sin []float32, sign float32) {
	i := 0
	if fast && len(cos) >= Lanes {
		i = len(cos) &^ (Lanes - 1)
		n := len(cos)
		rotateFast(&first[:n][0], &second[:n][0], &a[:n][0], &b[:n][0], &cos[0], &sin[:n][0], i, sign)
	}
	for ; i < len(cos); i++ {
		c, s, x, y := cos[i], sin[i]*sign, a[i], b[i]
		first[i] = x*c - y*s
		second[i] = y*c + x*s
	}
}

// RotatePairs is [Rotate] for pairs of neighbours in x.
func RotatePairs(dst, x, cos, sin []float32, sign float32) {
	i := 0
	if fast && len(cos) >= Lanes/2 {
		i = len(cos) &^ (Lanes/2 - 1)
		n := len(cos)
		rotatePairsFast(&dst[:2*n][0], &x[:2*n][0], &cos[0], &sin[:n][0], 2*i, sign)
	}
	for ; i < len(cos); i++ {
		c, s, a, b := cos[i], sin[i]*sign, x[2*i], x[2*i+1]
		dst[2*i] = a*c - b*s
		dst[2*i+1] = b*c + a*s
	}
}
