package backend

// I32 is a signed 32-bit integer: for token ids, positions and seeds. Weights cannot
// be i32, though GGUF and safetensors have such tensors.
const I32 DType = 27

func init() { enter(I32, row{name: "i32", block: 1, bytes: 4, unit: 4}) }
