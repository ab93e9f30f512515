// The sequence of a token that is none.
const uint PADDING = 0xffffffffu;
