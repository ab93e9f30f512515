package backend

// IntegerMultiplier is an optional interface of backends that multiply quantised weights faster
// with activations in blocks of [Q8_A], as integers, than with those of f32.
type IntegerMultiplier interface {
	// MultipliesIntegers reports whether that is so on this device, whatever the sizes.
	MultipliesIntegers() bool
}

// MultipliesIntegers reports whether b is an [IntegerMultiplier] that does.
func MultipliesIntegers(b Backend) bool {
	m, ok := As[IntegerMultiplier](b)
	return ok && m.MultipliesIntegers()
}
