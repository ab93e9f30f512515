package spirv

// Opcodes of the SPIR-V specification, version 1.3, of SPV_KHR_cooperative_matrix and of SPV_KHR_integer_dot_product, as
// far as they are known here.
const (
	opUndef                    = 1
	opExtension                = 10
	opExtInstImport            = 11
	opExtInst                  = 12
	opMemoryModel              = 14
	opEntryPoint               = 15
	opExecutionMode            = 16
	opCapability               = 17
	opTypeVoid                 = 19
	opTypeBool                 = 20
	opTypeInt                  = 21
	opTypeFloat                = 22
	opTypeVector               = 23
	opTypeImage                = 25
	opTypeArray                = 28
	opTypeRuntimeArray         = 29
	opTypeStruct               = 30
	opTypePointer              = 32
	opTypeFunction             = 33
	opConstantTrue             = 41
	opConstantFalse            = 42
	opConstant                 = 43
	opConstantComposite        = 44
	opSpecConstantTrue         = 48
	opSpecConstantFalse        = 49
	opSpecConstant             = 50
	opSpecConstantComposite    = 51
	opSpecConstantOp           = 52
	opFunction                 = 54
	opFunctionEnd              = 56
	opVariable                 = 59
	opLoad                     = 61
	opStore                    = 62
	opAccessChain              = 65
	opDecorate                 = 71
	opMemberDecorate           = 72
	opVectorExtractDynamic     = 77
	opVectorShuffle            = 79
	opCompositeConstruct       = 80
	opCompositeExtract         = 81
	opCompositeInsert          = 82
	opImageFetch               = 95
	opConvertFToU              = 109
	opConvertFToS              = 110
	opConvertSToF              = 111
	opConvertUToF              = 112
	opBitcast                  = 124
	opSNegate                  = 126
	opFNegate                  = 127
	opIAdd                     = 128
	opFAdd                     = 129
	opISub                     = 130
	opFSub                     = 131
	opIMul                     = 132
	opFMul                     = 133
	opUDiv                     = 134
	opSDiv                     = 135
	opFDiv                     = 136
	opUMod                     = 137
	opVectorTimesScalar        = 142
	opDot                      = 148
	opIAddCarry                = 149
	opUMulExtended             = 151
	opAny                      = 154
	opAll                      = 155
	opLogicalOr                = 166
	opLogicalAnd               = 167
	opLogicalNot               = 168
	opSelect                   = 169
	opIEqual                   = 170
	opINotEqual                = 171
	opUGreaterThan             = 172
	opSGreaterThan             = 173
	opUGreaterThanEqual        = 174
	opSGreaterThanEqual        = 175
	opULessThan                = 176
	opSLessThan                = 177
	opULessThanEqual           = 178
	opSLessThanEqual           = 179
	opFOrdEqual                = 180
	opFUnordNotEqual           = 183
	opFOrdLessThan             = 184
	opFOrdGreaterThan          = 186
	opFOrdLessThanEqual        = 188
	opFOrdGreaterThanEqual     = 190
	opShiftRightLogical        = 194
	opShiftRightArithmetic     = 195
	opShiftLeftLogical         = 196
	opBitwiseOr                = 197
	opBitwiseXor               = 198
	opBitwiseAnd               = 199
	opNot                      = 200
	opBitFieldSExtract         = 202
	opBitFieldUExtract         = 203
	opControlBarrier           = 224
	opAtomicIAdd               = 234
	opAtomicUMin               = 237
	opAtomicUMax               = 239
	opAtomicAnd                = 240
	opAtomicOr                 = 241
	opPhi                      = 245
	opLoopMerge                = 246
	opSelectionMerge           = 247
	opLabel                    = 248
	opBranch                   = 249
	opBranchConditional        = 250
	opSwitch                   = 251
	opReturn                   = 253
	opGroupNonUniformElect     = 333
	opGroupNonUniformBroadcast = 337
	opGroupNonUniformBallot    = 339
	opGroupNonUniformShuffle   = 345
	opGroupNonUniformXor       = 346
	opGroupNonUniformIAdd      = 349
	opGroupNonUniformFAdd      = 350
	opGroupNonUniformUMax      = 357
	opGroupNonUniformFMax      = 358
	opSDot                     = 4450
	opUDot                     = 4451
	opSUDot                    = 4452
	opSDotAccSat               = 4453
	opUDotAccSat               = 4454
	opSUDotAccSat              = 4455
	opTypeCooperativeMatrix    = 4456
	opCooperativeMatrixLoad    = 4457
	opCooperativeMatrixStore   = 4458
	opCooperativeMatrixMulAdd  = 4459
)

// form says how an instruction's operands begin.
type form uint8

const (
	plain  form = iota // operands alone
	result             // the result's id, then operands
	typed              // the result's type, its id, then operands
)

// opcodes are those that are known, with their names. Debug information is skipped before it is looked up.
var opcodes = map[uint16]struct {
	name string
	form form
}{
	opExtension: {"OpExtension", plain}, opExtInstImport: {"OpExtInstImport", result}, opExtInst: {"OpExtInst", typed},
	opMemoryModel: {"OpMemoryModel", plain}, opEntryPoint: {"OpEntryPoint", plain}, opExecutionMode: {"OpExecutionMode", plain},
	opCapability: {"OpCapability", plain},
	opTypeVoid:   {"OpTypeVoid", result}, opTypeBool: {"OpTypeBool", result}, opTypeInt: {"OpTypeInt", result},
	opTypeFloat: {"OpTypeFloat", result}, opTypeVector: {"OpTypeVector", result}, opTypeImage: {"OpTypeImage", result},
	opTypeArray: {"OpTypeArray", result}, opTypeRuntimeArray: {"OpTypeRuntimeArray", result}, opTypeStruct: {"OpTypeStruct", result},
	opTypePointer: {"OpTypePointer", result}, opTypeFunction: {"OpTypeFunction", result},
	opTypeCooperativeMatrix: {"OpTypeCooperativeMatrixKHR", result},
	opUndef:                 {"OpUndef", typed}, opConstantTrue: {"OpConstantTrue", typed}, opConstantFalse: {"OpConstantFalse", typed}, opConstant: {"OpConstant", typed},
	opConstantComposite: {"OpConstantComposite", typed}, opSpecConstantTrue: {"OpSpecConstantTrue", typed},
	opSpecConstantFalse: {"OpSpecConstantFalse", typed}, opSpecConstant: {"OpSpecConstant", typed},
	opSpecConstantComposite: {"OpSpecConstantComposite", typed}, opSpecConstantOp: {"OpSpecConstantOp", typed},
	opFunction: {"OpFunction", typed}, opFunctionEnd: {"OpFunctionEnd", plain}, opVariable: {"OpVariable", typed},
	opLoad: {"OpLoad", typed}, opStore: {"OpStore", plain}, opAccessChain: {"OpAccessChain", typed},
	opDecorate: {"OpDecorate", plain}, opMemberDecorate: {"OpMemberDecorate", plain},
	opVectorExtractDynamic: {"OpVectorExtractDynamic", typed}, opVectorShuffle: {"OpVectorShuffle", typed},
	opCompositeConstruct: {"OpCompositeConstruct", typed}, opCompositeExtract: {"OpCompositeExtract", typed},
	opCompositeInsert: {"OpCompositeInsert", typed}, opImageFetch: {"OpImageFetch", typed},
	opConvertFToU: {"OpConvertFToU", typed}, opConvertFToS: {"OpConvertFToS", typed}, opConvertSToF: {"OpConvertSToF", typed},
	opConvertUToF: {"OpConvertUToF", typed}, opBitcast: {"OpBitcast", typed}, opSNegate: {"OpSNegate", typed},
	opFNegate: {"OpFNegate", typed}, opIAdd: {"OpIAdd", typed}, opFAdd: {"OpFAdd", typed}, opISub: {"OpISub", typed},
	opFSub: {"OpFSub", typed}, opIMul: {"OpIMul", typed}, opFMul: {"OpFMul", typed}, opUDiv: {"OpUDiv", typed},
	opSDiv: {"OpSDiv", typed}, opFDiv: {"OpFDiv", typed}, opUMod: {"OpUMod", typed},
	opVectorTimesScalar: {"OpVectorTimesScalar", typed}, opDot: {"OpDot", typed}, opUMulExtended: {"OpUMulExtended", typed},
	opLogicalOr: {"OpLogicalOr", typed}, opLogicalAnd: {"OpLogicalAnd", typed}, opLogicalNot: {"OpLogicalNot", typed},
	opSelect: {"OpSelect", typed}, opIEqual: {"OpIEqual", typed}, opINotEqual: {"OpINotEqual", typed},
	opUGreaterThan: {"OpUGreaterThan", typed}, opSGreaterThan: {"OpSGreaterThan", typed},
	opUGreaterThanEqual: {"OpUGreaterThanEqual", typed}, opSGreaterThanEqual: {"OpSGreaterThanEqual", typed},
	opULessThan: {"OpULessThan", typed}, opSLessThan: {"OpSLessThan", typed}, opULessThanEqual: {"OpULessThanEqual", typed},
	opSLessThanEqual: {"OpSLessThanEqual", typed}, opFOrdEqual: {"OpFOrdEqual", typed}, opFUnordNotEqual: {"OpFUnordNotEqual", typed},
	opFOrdLessThan: {"OpFOrdLessThan", typed}, opFOrdGreaterThan: {"OpFOrdGreaterThan", typed},
	opFOrdLessThanEqual: {"OpFOrdLessThanEqual", typed}, opFOrdGreaterThanEqual: {"OpFOrdGreaterThanEqual", typed},
	opShiftRightLogical: {"OpShiftRightLogical", typed}, opShiftRightArithmetic: {"OpShiftRightArithmetic", typed},
	opShiftLeftLogical: {"OpShiftLeftLogical", typed}, opBitwiseOr: {"OpBitwiseOr", typed}, opBitwiseXor: {"OpBitwiseXor", typed},
	opBitwiseAnd: {"OpBitwiseAnd", typed}, opNot: {"OpNot", typed}, opBitFieldSExtract: {"OpBitFieldSExtract", typed},
	opBitFieldUExtract: {"OpBitFieldUExtract", typed}, opControlBarrier: {"OpControlBarrier", plain},
	opAtomicIAdd: {"OpAtomicIAdd", typed}, opAtomicUMin: {"OpAtomicUMin", typed}, opAtomicUMax: {"OpAtomicUMax", typed}, opAtomicAnd: {"OpAtomicAnd", typed}, opAtomicOr: {"OpAtomicOr", typed},
	opPhi: {"OpPhi", typed}, opLoopMerge: {"OpLoopMerge", plain}, opSelectionMerge: {"OpSelectionMerge", plain},
	opLabel: {"OpLabel", result}, opBranch: {"OpBranch", plain}, opBranchConditional: {"OpBranchConditional", plain},
	opSwitch: {"OpSwitch", plain}, opReturn: {"OpReturn", plain},
	opGroupNonUniformElect: {"OpGroupNonUniformElect", typed}, opGroupNonUniformBroadcast: {"OpGroupNonUniformBroadcast", typed},
	opGroupNonUniformBallot: {"OpGroupNonUniformBallot", typed}, opGroupNonUniformShuffle: {"OpGroupNonUniformShuffle", typed},
	opGroupNonUniformXor: {"OpGroupNonUniformShuffleXor", typed}, opGroupNonUniformIAdd: {"OpGroupNonUniformIAdd", typed},
	opGroupNonUniformFAdd: {"OpGroupNonUniformFAdd", typed}, opGroupNonUniformUMax: {"OpGroupNonUniformUMax", typed},
	opGroupNonUniformFMax:   {"OpGroupNonUniformFMax", typed},
	opCooperativeMatrixLoad: {"OpCooperativeMatrixLoadKHR", typed}, opCooperativeMatrixStore: {"OpCooperativeMatrixStoreKHR", plain},
	opCooperativeMatrixMulAdd: {"OpCooperativeMatrixMulAddKHR", typed},
	opAny:                     {"OpAny", typed}, opAll: {"OpAll", typed}, opIAddCarry: {"OpIAddCarry", typed},
	opSDot: {"OpSDot", typed}, opUDot: {"OpUDot", typed}, opSUDot: {"OpSUDot", typed},
	opSDotAccSat: {"OpSDotAccSat", typed}, opUDotAccSat: {"OpUDotAccSat", typed}, opSUDotAccSat: {"OpSUDotAccSat", typed},
}

// debugging are the opcodes of debug information: OpSourceContinued … OpLine, OpNoLine, OpModuleProcessed.
var debugging = map[uint16]bool{2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true, 317: true, 330: true}

// capabilities that are known. Each permits instructions, which are checked themselves.
var capabilities = map[uint32]string{
	1: "Shader", 9: "Float16", 46: "SampledBuffer", 61: "GroupNonUniform", 63: "GroupNonUniformArithmetic",
	64: "GroupNonUniformBallot", 65: "GroupNonUniformShuffle", 5345: "VulkanMemoryModel",
	6018: "DotProductInput4x8BitPacked", 6019: "DotProduct", 6022: "CooperativeMatrixKHR",
}

// Instructions of GLSL.std.450.
const (
	glslFAbs           = 4
	glslFloor          = 8
	glslExp            = 27
	glslLog            = 28
	glslExp2           = 29
	glslSqrt           = 31
	glslInverseSqrt    = 32
	glslFMin           = 37
	glslUMin           = 38
	glslSMin           = 39
	glslFMax           = 40
	glslUMax           = 41
	glslSMax           = 42
	glslFClamp         = 43
	glslFma            = 50
	glslPackHalf2x16   = 58
	glslUnpackHalf2x16 = 62
)

var glslNames = map[uint32]string{
	glslFAbs: "FAbs", glslFloor: "Floor", glslExp: "Exp", glslLog: "Log", glslExp2: "Exp2", glslSqrt: "Sqrt", glslInverseSqrt: "InverseSqrt",
	glslFMin: "FMin", glslUMin: "UMin", glslSMin: "SMin", glslFMax: "FMax", glslUMax: "UMax", glslSMax: "SMax",
	glslFClamp: "FClamp", glslFma: "Fma", glslPackHalf2x16: "PackHalf2x16", glslUnpackHalf2x16: "UnpackHalf2x16",
}

// Storage classes.
const (
	classUniformConstant = 0
	classInput           = 1
	classWorkgroup       = 4
	classPrivate         = 6
	classFunction        = 7
	classPushConstant    = 9
	classStorageBuffer   = 12
)

// Decorations.
const (
	decSpecID        = 1
	decArrayStride   = 6
	decBuiltIn       = 11
	decNonWritable   = 24
	decNonReadable   = 25
	decBinding       = 33
	decDescriptorSet = 34
	decOffset        = 35
)

// harmless are decorations that change no result here: RelaxedPrecision, Block, Restrict, Coherent, NoContraction
// (nothing is ever contracted).
var harmless = map[uint32]bool{0: true, 2: true, 19: true, 23: true, 42: true}

// Built-in variables.
const (
	builtinNumWorkgroups             = 24
	builtinWorkgroupSize             = 25
	builtinWorkgroupID               = 26
	builtinLocalInvocationID         = 27
	builtinGlobalInvocationID        = 28
	builtinLocalInvocationIndex      = 29
	builtinSubgroupSize              = 36
	builtinNumSubgroups              = 38
	builtinSubgroupID                = 40
	builtinSubgroupLocalInvocationID = 41
)

const (
	scopeWorkgroup = 2
	scopeSubgroup  = 3

	semanticsUniform   = 0x40  // memory of buffers
	semanticsWorkgroup = 0x100 // shared memory
)
