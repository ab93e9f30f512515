// A flag that embedding_chain.comp sets for embedding_backward.comp.

const uint FOLLOWS = 0x80000000u;
