package backend

// Compiler is an optional interface of backends that compile code for ops, which may take
// much longer than to run them.
type Compiler interface {
	// Compile begins to compile what ops need, and returns without waiting for it. The
	// backend can be used meanwhile; a Run or Record that needs something of it waits for
	// that. The ops come from [Prepare]. Only their dtypes, shapes and strides count: the
	// buffers may be those of any backend. Errors come when the ops are run.
	Compile(ops ...Op)
}

// Compile begins to compile what ops need, where b is a [Compiler].
func Compile(b Backend, ops ...Op) {
	if c, ok := As[Compiler](b); ok {
		c.Compile(ops...)
	}
}
