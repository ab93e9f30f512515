package backend

import "time"

// Tuner is an optional interface of backends that have several ways to compute an op. They
// choose by a rule, unless it was measured on the device which is the fastest.
type Tuner interface {
	// Ways returns what the choice for op goes by, such as its shape, and the names of all ways
	// to compute it, first that which the rule takes; without those that are known to compute wrongly. With fewer than
	// two there is nothing to choose. The op comes from [Prepare].
	Ways(op Op) (of string, ways []string)

	// Take has such ops computed in one of these ways from now on, or by the rule where way is
	// empty. It is for this process alone, and programs that were recorded before stay as they are.
	Take(of, way string)

	// Tuned returns what was measured in this or an earlier process and stored, and the path of
	// the file; empty: there is no place for one. An error says why the file cannot be used.
	Tuned() (list []Tuned, path string, err error)

	// StoreTuned stores measurements for this and later processes, in place of older ones for
	// the same ops.
	StoreTuned(list []Tuned) error

	// ForgetTuned removes all that is stored.
	ForgetTuned() error
}

// Tuned tells which way to compute an op was measured to be the fastest.
type Tuned struct {
	Of          string    `json:"of"`  // what the choice goes by, as [Tuner] names it
	Way         string    `json:"way"` // the fastest
	Seconds     float64   `json:"seconds"`
	Rule        string    `json:"rule"` // that which the rule takes
	RuleSeconds float64   `json:"rule_seconds"`
	Measured    time.Time `json:"measured"`
}
