// A bit of what embedding_chain.comp writes for embedding_backward.comp.

const uint FOLLOWS = 0x80000000u;
