package shaders

// Push constants and specialization constants of attention*.comp.

type AttentionPush struct {
	Dst, DstRun, DstTime                  uint32
	Q, QRun, QTime                        uint32
	K, KSeq, KRow                         uint32 // KSeq, VSeq: from sequence to sequence, with TABLE from block to block
	V, VSeq, VRow                         uint32
	Probs, ProbsRun, ProbsHead, ProbsTime uint32
	Seq, Pos                              uint32 // of the first token of q, and of the first of its run; runs follow one another
	FirstTime                             uint32 // where q begins in a run; if not at 0, or not up to its end, there is one run
	Time, Context                         uint32
	SharedBy                              uint32 // heads of a group
	FirstHead                             uint32 // the one at which dst, q, probs and sinks begin
	Scale                                 float32
	FirstKey, Keys                        uint32 // where k and v begin in a sequence, and how many they are; with TABLE where table begins, and its stride
	State                                 uint32 // with TABLE the blocks of the pool
	Window                                uint32 // keys that a query sees at most
	SoftCap                               float32
	Sinks                                 uint32 // Absent: there are none
	FirstSeq, Sequences                   uint32 // the first one of k and v, and how many there are; with TABLE log₂ of the positions of a block, and the sequences of table
}

type AttentionWidePush struct {
	Dst, DstRun, DstTime uint32
	Q, QRun, QTime       uint32
	K, KSeq, KRow        uint32 // KSeq, VSeq: from sequence to sequence, with a table from block to block
	V, VSeq, VRow        uint32
	Seq, Pos             uint32 // of the first token of a run; runs follow one another
	FirstTime            uint32 // where q begins in a run; if not at 0, or not up to its end, there is one run
	Time, Context        uint32
	SharedBy             uint32 // heads of a group
	Scale                float32
	Window               uint32 // keys that a query sees at most
	SoftCap              float32
	Sinks                uint32 // Absent: there are none
	Sequences            uint32 // of the cache, or of table
	Table, TableStride   uint32
	Blocks, BlockBits    uint32 // of the pool, and log₂ of the positions of a block
	PartKeys             uint32 // of a part, where keys are split
}

type AttentionJoinPush struct {
	Dst, DstRun        uint32
	X                  uint32
	Seq, Pos           uint32 // of the first query
	Sequences, Context uint32
	Window, PartKeys   uint32
}

type AttentionBackwardPush struct {
	Dst, DstBatch, DstRow        uint32 // dq, dk or dsinks
	Dv, DvBatch, DvRow           uint32
	Q, QBatch, QRow              uint32
	K, KBatch, KRow              uint32
	V, VBatch, VRow              uint32
	Dy, DyBatch, DyRow           uint32
	Stats, StatsBatch, StatsHead uint32
	FirstQuery, Queries          uint32 // where q, dy, dq and stats begin in the sequence, and how many they are
	FirstKey, Keys               uint32 // where gradients of sinks are summed up, keys are sequences
	SharedBy                     uint32 // heads of a group
	Size, Parts                  uint32 // of a head; parts, times what is owned times one head (keys: two): at most 2560
	Scale                        float32
	Window                       uint32 // keys that a query sees at most
	SoftCap                      float32
	Sinks                        uint32 // Absent: there are none
}

type AttentionSpec struct {
	Lanes, Queries, Chunk, Size uint32
	Probs, Split                bool
	AtOnce                      uint32
	Extras                      bool // whether there is a window, a soft-cap or sinks
}

type AttentionSpreadSpec struct {
	Lanes, Size, Queries uint32
	Permute              bool
}

type AttentionWideSpec struct {
	Lanes, Size uint32
	Extras      bool // whether there is a window, a soft-cap or sinks
	Table       bool
	Heads       uint32 // of a workgroup
	Cluster     uint32 // lanes that share a key, or rows
}

type AttentionOneSpec struct {
	AttentionWideSpec
	Keys, Subgroups uint32
	Split           bool
}

type AttentionTileSpec struct {
	AttentionWideSpec
	Rows, Tile, Block uint32
}

type AttentionMatrixSpec struct {
	AttentionWideSpec
	SubgroupSize, M, N, Inner uint32 // M, N and K of matrices
	Held                      bool   // queries stay in registers
}

type AttentionJoinSpec struct {
	Lanes, Size, Parts, SubgroupSize uint32
}

type AttentionBackwardSpec struct {
	Lanes, Pass, Own, Chunk, AtOnce uint32
	Extras                          bool // whether there is a window, a soft-cap or sinks
}
