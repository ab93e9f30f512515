package conformance

// Examine runs the checks of a group until one fails and returns what it said.
var Examine = examine
