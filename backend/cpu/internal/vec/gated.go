package vec

// Mul computes dst = a·b, elementwise.
func Mul(dst, a, b []float32) {
	i := 0
	if fast && len(dst) >= Lanes {
		i = len(dst) &^ (Lanes - 1)
		mulFast(&dst[0], &a[:len(dst)][0], &b[:len(dst)][0], i)
	}
	for ; i < len(dst); i++ {
		dst[i] = a[i] * b[i]
	}
}

// Clip computes dst = min(x, limit). NaN stays NaN.
func Clip(dst, x []float32, limit float32) {
	i := 0
	if fast && len(dst) >= Lanes {
		i = len(dst) &^ (Lanes - 1)
		clipFast(&dst[0], &x[:len(dst)][0], i, limit)
	}
	for ; i < len(dst); i++ {
		dst[i] = min(x[i], limit)
	}
}

// Gate computes dst = a·(u + shift), where u is up clamped to ±limit. NaN stays NaN.
func Gate(dst, a, up []float32, limit, shift float32) {
	i := 0
	if fast && len(dst) >= Lanes {
		i = len(dst) &^ (Lanes - 1)
		gateFast(&dst[0], &a[:len(dst)][0], &up[:len(dst)][0], i, limit, shift)
	}
	for ; i < len(dst); i++ {
		dst[i] = a[i] * (max(min(up[i], limit), -limit) + shift)
	}
}
