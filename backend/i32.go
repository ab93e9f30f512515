package backend

// I32 are integers in two's complement: token ids, positions, seeds. It holds
// no weights, though GGUF and safetensors have such tensors.
const I32 DType = 27

func init() { enter(I32, row{name: "i32", block: 1, bytes: 4, unit: 4}) }
