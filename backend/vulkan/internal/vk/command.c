//go:build cgo

// Recording: one trampoline for each command. Structs are built on the C stack.

#include "calls.h"

#define D ((cvk_device *)d)
#define CB ((cvk_handle)cb)

enum { COMPUTE_BIND_POINT = 1, COMPUTE_STAGE = 0x20 };

int32_t cvk_begin(uintptr_t d, uintptr_t cb, uint32_t flags) {
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t flags;
		const void *inheritance;
	} info = {.s_type = 42, .flags = flags};
	return D->BeginCommandBuffer(CB, &info);
}

int32_t cvk_end(uintptr_t d, uintptr_t cb) { return D->EndCommandBuffer(CB); }

void cvk_run(uintptr_t d, uintptr_t cb, uint64_t pipeline, uint64_t layout, uint64_t set,
             cvk_push data, uint32_t size, uint32_t x, uint32_t y, uint32_t z) {
	D->CmdBindPipeline(CB, COMPUTE_BIND_POINT, pipeline);
	if (set != 0) D->CmdBindDescriptorSets(CB, COMPUTE_BIND_POINT, layout, 0, 1, &set, 0, NULL);
	if (size != 0) D->CmdPushConstants(CB, layout, COMPUTE_STAGE, 0, size, &data);
	D->CmdDispatch(CB, x, y, z);
}

void cvk_barrier(uintptr_t d, uintptr_t cb, uint32_t src_stage, uint32_t src_access,
                 uint32_t dst_stage, uint32_t dst_access) {
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t src_access, dst_access;
	} memory = {.s_type = 46, .src_access = src_access, .dst_access = dst_access};
	D->CmdPipelineBarrier(CB, src_stage, dst_stage, 0, 1, &memory, 0, NULL, 0, NULL);
}

void cvk_copy_buffer(uintptr_t d, uintptr_t cb, uint64_t src, uint64_t dst, uint64_t src_offset,
                     uint64_t dst_offset, uint64_t size) {
	uint64_t region[3] = {src_offset, dst_offset, size};
	D->CmdCopyBuffer(CB, src, dst, 1, region);
}

void cvk_fill_buffer(uintptr_t d, uintptr_t cb, uint64_t dst, uint64_t offset, uint64_t size,
                     uint32_t value) {
	D->CmdFillBuffer(CB, dst, offset, size, value);
}

void cvk_update_buffer(uintptr_t d, uintptr_t cb, uint64_t dst, uint64_t offset, uint64_t size,
                       const void *data) {
	D->CmdUpdateBuffer(CB, dst, offset, size, data);
}

void cvk_reset_queries(uintptr_t d, uintptr_t cb, uint64_t pool, uint32_t first, uint32_t n) {
	D->CmdResetQueryPool(CB, pool, first, n);
}

void cvk_write_timestamp(uintptr_t d, uintptr_t cb, uint32_t stage, uint64_t pool,
                         uint32_t query) {
	D->CmdWriteTimestamp(CB, stage, pool, query);
}
