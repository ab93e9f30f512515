package gguf

import "caldera/backend"

// The types that tests write.
var (
	F32, F16, BF16 = TypeOf(backend.F32), TypeOf(backend.F16), TypeOf(backend.BF16)
	Q8_0, Q4_0     = TypeOf(backend.Q8_0), TypeOf(backend.Q4_0)
)
