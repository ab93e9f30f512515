package result

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Batched is what a test has whose sequences a batch runs together; zero in others. Keys
// and values are in blocks of positions, and a sequence has all blocks that it can come to
// need from its beginning.
type Batched struct {
	NSequences       int     `json:"n_sequences"`
	AvgSequenceTS    float64 `json:"avg_sequence_ts"` // tokens a second of each
	StddevSequenceTS float64 `json:"stddev_sequence_ts"`
	KVBlock          int     `json:"kv_block"`          // positions of a block
	KVBlocks         int     `json:"kv_blocks"`         // that the sequences have together
	KVSequenceBytes  int64   `json:"kv_sequence_bytes"` // of the blocks of one
	KVPoolBytes      int64   `json:"kv_pool_bytes"`     // of all blocks there are: for the most sequences, and the longest test, of the run
}

// summarise fills in what follows from the speed of all together.
func (b *Batched) summarise(all Spread) {
	if b.NSequences > 0 {
		each := all.times(1 / float64(b.NSequences))
		b.AvgSequenceTS, b.StddevSequenceTS = each.Mean, each.SD
	}
}

func (b *Batched) check() error {
	switch n := int64(b.NSequences); {
	case n > MaxSequences:
		return fmt.Errorf("n_sequences is %d, expected at most %d", n, MaxSequences)
	case n == 0 && *b != Batched{}:
		return errors.New("n_sequences is 0, and there are figures of a batch: expected one of them")
	case n == 0:
	case b.KVBlock < 1 || b.KVBlocks < b.NSequences || b.KVSequenceBytes < 1:
		return fmt.Errorf("kv_block is %d, kv_blocks %d and kv_sequence_bytes %d: expected 1 or more of each, for each of %d sequences", b.KVBlock, b.KVBlocks, b.KVSequenceBytes, n)
	case b.KVSequenceBytes > b.KVPoolBytes/n:
		return fmt.Errorf("kv_sequence_bytes is %d, which %d sequences do not have of the %d in kv_pool_bytes", b.KVSequenceBytes, n, b.KVPoolBytes)
	}
	return nil
}

// batchTable is one of the tests that a batch ran, if there are any.
func batchTable(s *strings.Builder, records []Record) {
	t := table{{"model", "device", "dtype", "test", "sequences", "t/s", "t/s of each", "× one", "blocks × positions", "KV of each", "KV in all"}}
	ratios := false
	for _, x := range records {
		r := x.(*TestResult)
		if r.NSequences == 0 {
			continue
		}
		ratio := r.overOne(records)
		ratios = ratios || ratio != ""
		t = append(t, []string{
			r.ModelType, r.Device, r.DType, r.Test().String(), strconv.Itoa(r.NSequences), r.speed().String(),
			Spread{r.AvgSequenceTS, r.StddevSequenceTS, len(r.SamplesTS)}.String(), ratio,
			fmt.Sprintf("%d × %d", r.KVBlocks, r.KVBlock), mebibytes(r.KVSequenceBytes), mebibytes(r.KVPoolBytes),
		})
	}
	if len(t) == 1 {
		return
	}
	if !ratios {
		for i := range t {
			t[i] = slices.Delete(t[i], 7, 8)
		}
	}
	s.WriteByte('\n')
	t.write(s)
	s.WriteString(batchesExplained)
}

const batchesExplained = `
A test with b has so many sequences, each as long as its name says, that go through a batch together. t/s are the tokens
of all, and of each, × one how many times as fast all are as one sequence is. Blocks are those for keys and values that the
sequences of the test have together; each is for so many positions. KV: the memory of a sequence's blocks, and that of all
blocks there are, enough for the longest test with the most sequences.
`

// overOne is how many times as fast as the same test of one sequence, if that is among
// the records, a test of several was.
func (r *TestResult) overOne(records []Record) string {
	one := r.Test()
	one.Sequences = 1
	for _, x := range records {
		o := x.(*TestResult)
		if r.NSequences > 1 && o.Test() == one && o.Device == r.Device && o.ModelType == r.ModelType && o.DType == r.DType && o.TypeK == r.TypeK && o.TypeV == r.TypeV {
			return r.speed().over(o.speed()).String()
		}
	}
	return ""
}
