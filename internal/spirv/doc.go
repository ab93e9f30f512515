// Package spirv interprets compute shaders in SPIR-V, for tests.
//
// Drivers forgive what the next one punishes: a race that one order of workgroups hides, a read of memory that
// happens to be zero, a barrier that lanes in lockstep do not need. An interpreter need not forgive. [Parse] decodes
// a module, [Module.Compile] turns it into closures for one pipeline (specialization constants, number of lanes of a
// subgroup), and a [Machine] dispatches it on [Memory], and reports what a driver may do with as it likes:
//
//   - two invocations that access one place of shared memory or of a buffer without a barrier between them, at least
//     one of them writing, also in different workgroups, and in different dispatches without a pipeline barrier;
//   - reads of shared memory, buffers or variables that nothing has written;
//   - accesses outside of an array or of a descriptor's range;
//   - barriers that not all invocations of a workgroup reach;
//   - subgroup operations that not all lanes of a subgroup reach;
//   - shifts by the width or more, conversions of floats that do not fit, division of integers by 0.
//
// What is not known (an opcode, a capability, a decoration that changes results) is an error of Parse or Compile.
//
// All lanes of a subgroup execute an instruction together, those that are active; where they part, they meet again at
// the merge block, as a structured program says. Subgroups of a workgroup take turns, in random order, from barrier
// to barrier. Workgroups come in random order, one after the other, so that a run repeats with its seed: to use more
// cores, run more machines.
//
// How shared memory and buffers are ordered follows the barrier's semantics: barrier() of GLSL orders shared memory,
// and for buffers only that a read comes before a later write. Lockstep orders nothing.
package spirv
