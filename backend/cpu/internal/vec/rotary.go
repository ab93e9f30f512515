package vec

// Rotate rotates the pairs (a, b): first = a·cos − s·b·sin and second = b·cos + s·a·sin,
// where s is sign. first may be a, and second b.
func Rotate(first, second, a, b, cos, sin []float32, sign float32) {
	i, all := 0, len(cos)
	if wide && all >= 2*Lanes {
		i = all &^ (2*Lanes - 1)
		rotateWide(&first[:all][0], &second[:all][0], &a[:all][0], &b[:all][0], &cos[0], &sin[:all][0], i, sign)
	}
	if n := (all - i) &^ (Lanes - 1); fast && n > 0 {
		rotateFast(&first[:all][i], &second[:all][i], &a[:all][i], &b[:all][i], &cos[i], &sin[:all][i], n, sign)
		i += n
	}
	for ; i < len(cos); i++ {
		c, s, x, y := cos[i], sin[i]*sign, a[i], b[i]
		first[i] = x*c - y*s
		second[i] = y*c + x*s
	}
}

// RotatePairs is [Rotate] for pairs of neighbours in x.
func RotatePairs(dst, x, cos, sin []float32, sign float32) {
	i, all := 0, len(cos)
	if wide && all >= Lanes {
		i = all &^ (Lanes - 1)
		rotatePairsWide(&dst[:2*all][0], &x[:2*all][0], &cos[0], &sin[:all][0], 2*i, sign)
	}
	if n := (all - i) &^ (Lanes/2 - 1); fast && n > 0 {
		rotatePairsFast(&dst[:2*all][2*i], &x[:2*all][2*i], &cos[i], &sin[:all][i], 2*n, sign)
		i += n
	}
	for ; i < len(cos); i++ {
		c, s, a, b := cos[i], sin[i]*sign, x[2*i], x[2*i+1]
		dst[2*i] = a*c - b*s
		dst[2*i+1] = b*c + a*s
	}
}
