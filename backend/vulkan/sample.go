//go:build cgo

package vulkan

import (
	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.Sample]{
		supports: func(l *Limits, op *backend.Sample) bool {
			return rowsFit(l, op.Dst, op.X) && fit(l, op.Next, op.Slots, op.Settings, op.Marks, op.Recent)
		},
		encode: encodeSample,
	})
}

// Of sample.glsl: how many logits a workgroup of the first two dispatches takes, the words
// of scratch for each such chunk, and how many logits a block has, which takes one word.
const (
	sampleChunk = 2048
	samplePart  = 8
	sampleBlock = 64
)

// encodeSample takes three dispatches: the largest logits, then sums of weights and how
// many tokens are how far from the largest, then the draw.
func encodeSample(e *encoder, op *backend.Sample) error {
	n := op.X.Dim(-1)
	chunks := (n + sampleChunk - 1) / sampleChunk
	words := backend.SampleCells + chunks*samplePart + (n+sampleBlock-1)/sampleBlock
	rows := min(e.maxRows(op.X), e.maxRows(op.Dst), int(e.limits().BindingRange)/(8*words))
	return each(op.X.Dim(-2), rows, func(from, to int) error {
		scratch, err := e.sharedScratch(backend.I32, to-from, words)
		if err != nil {
			return err
		}
		part := *op
		part.Dst, part.X = op.Dst.Slice(-2, from, to), op.X.Slice(-2, from, to)
		part.Next, part.Slots = op.Next.Slice(-1, from, to), op.Slots.Slice(-1, from, to)
		return encodeSampleRows(e, &part, scratch, chunks)
	})
}

func encodeSampleRows(e *encoder, op *backend.Sample, scratch backend.Tensor, chunks int) error {
	rows, n := op.X.Dim(-2), op.X.Dim(-1)
	push := shaders.SamplePush{
		DstStride: rowStride(op.Dst), XStride: rowStride(op.X), Rows: uint32(rows), N: uint32(n),
		SlotCount: uint32(op.Settings.Dim(-2)), SettingsStride: rowStride(op.Settings),
		MarksSlot: uint32(op.Marks.Stride(1)), MarksSeen: rowStride(op.Marks),
		RecentStride: rowStride(op.Recent), Window: uint32(op.Recent.Dim(-1) - 2), ScratchStride: rowStride(scratch),
	}
	// The bases are the same whatever the access.
	bind := func(t backend.Tensor, a backend.Access, base *uint32) (b binding) {
		b, *base = e.operand(t, a)
		return b
	}
	dst, next := bind(op.Dst, backend.Write, &push.Dst), bind(op.Next, backend.Update, &push.Next)
	x, slots := bind(op.X, backend.Read, &push.X), bind(op.Slots, backend.Read, &push.Slots)
	settings, marks := bind(op.Settings, backend.Read, &push.Settings), bind(op.Marks, backend.Read, &push.Marks)
	recent := bind(op.Recent, backend.Update, &push.Recent)
	for _, pass := range []struct {
		shader string
		access backend.Access
	}{{"sample_max", backend.Write}, {"sample_count", backend.Update}} {
		parts := bind(scratch, pass.access, &push.Scratch)
		err := e.dispatch(samplePipeline(e, pass.shader, n), push,
			[3]uint32{e.groups(0, chunks, 1), e.groups(1, rows, 1), 1},
			parts, x, slots, settings, marks)
		if err != nil {
			return err
		}
	}
	marks, parts := bind(op.Marks, backend.Update, &push.Marks), bind(scratch, backend.Read, &push.Scratch)
	return e.dispatch(samplePipeline(e, "sample", n), push,
		[3]uint32{e.groups(0, rows, 1), 1, 1},
		dst, next, x, slots, settings, marks, recent, parts)
}

// samplePipeline is that of one of the shaders, for a vocabulary of n.
func samplePipeline(e *encoder, shader string, n int) pipelineSpec {
	l, v := e.limits(), shaders.Find(shader, "")
	lanes := e.workgroup(v, min(max(n, 256), sampleChunk)) // fewer than 64 lanes would hold the shared memory of many
	if shader == "sample" {
		// Candidates compare with one another: few lanes would go through too many (see maxRounds).
		// More take too much shared memory: 16 KiB is all that some devices have.
		lanes = min(128, l.Invocations, l.WorkgroupSize[0])
	}
	return pipelineSpec{variant: v, spec: shaders.Workgroup{Lanes: lanes}}
}
