// Products of four bytes with four (SPV_KHR_integer_dot_product), which Vulkan 1.3 has. The
// compiler does not know them by name. Scales of activations are often denormal: the
// backend's self-test shows that the device's conversion of f16 keeps them.
#extension GL_EXT_spirv_intrinsics : require

spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int signed_dot(uint a, uint b, spirv_literal int format); // OpSDot, format 0: four bytes in a word

// Bytes are of −128 … 127.
int dot4(uint a, uint b) { return signed_dot(a, b, 0); }
