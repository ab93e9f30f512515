//go:build cgo

// Memory ranges, layouts, pipelines, descriptors and submission.

#include "calls.h"
#include <stdlib.h>

#define D ((cvk_device *)d)

enum { COMPUTE_STAGE = 0x20 };

typedef struct {
	uint32_t s_type;
	const void *next;
	uint64_t memory, offset, size;
} mapped_range;

int32_t cvk_flush(uintptr_t d, uint64_t memory, uint64_t offset, uint64_t size) {
	mapped_range r = {.s_type = 6, .memory = memory, .offset = offset, .size = size};
	return D->FlushMappedMemoryRanges(D->device, 1, &r);
}

int32_t cvk_invalidate(uintptr_t d, uint64_t memory, uint64_t offset, uint64_t size) {
	mapped_range r = {.s_type = 6, .memory = memory, .offset = offset, .size = size};
	return D->InvalidateMappedMemoryRanges(D->device, 1, &r);
}

int32_t cvk_create_set_layout(uintptr_t d, const uint32_t *types, uint32_t n, uint64_t *out) {
	typedef struct {
		uint32_t binding, type, count, stages;
		const void *samplers;
	} binding;
	binding *b = calloc(n ? n : 1, sizeof *b);
	if (b == NULL) return -1; // VK_ERROR_OUT_OF_HOST_MEMORY
	for (uint32_t i = 0; i < n; i++) {
		b[i].binding = i;
		b[i].type = types[i];
		b[i].count = 1;
		b[i].stages = COMPUTE_STAGE;
	}
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t flags, count;
		const binding *bindings;
	} info = {.s_type = 32, .count = n, .bindings = b};
	int32_t r = D->CreateDescriptorSetLayout(D->device, &info, NULL, out);
	free(b);
	return r;
}

int32_t cvk_create_pipeline_layout(uintptr_t d, uint64_t set_layout, uint32_t push_bytes,
                                   uint64_t *out) {
	struct {
		uint32_t stages, offset, size;
	} push = {COMPUTE_STAGE, 0, push_bytes};
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t flags, set_count;
		const uint64_t *sets;
		uint32_t push_count;
		const void *push;
	} info = {.s_type = 30,
	          .set_count = 1,
	          .sets = &set_layout,
	          .push_count = push_bytes ? 1 : 0,
	          .push = &push};
	return D->CreatePipelineLayout(D->device, &info, NULL, out);
}

int32_t cvk_create_pipeline(uintptr_t d, uint64_t cache, uint64_t module, uint64_t layout,
                            const uint32_t *spec, uint32_t n, uint32_t subgroup,
                            uint32_t full_subgroups, uint32_t capture, uint64_t *out) {
	typedef struct {
		uint32_t id, offset;
		size_t size;
	} entry;
	entry *entries = calloc(n ? n : 1, sizeof *entries);
	if (entries == NULL) return -1; // VK_ERROR_OUT_OF_HOST_MEMORY
	for (uint32_t i = 0; i < n; i++) {
		entries[i].id = i;
		entries[i].offset = 4 * i;
		entries[i].size = 4;
	}
	struct {
		uint32_t count;
		const entry *entries;
		size_t size;
		const void *data;
	} specialization = {n, entries, 4 * (size_t)n, spec};
	struct {
		uint32_t s_type;
		void *next;
		uint32_t size;
	} required = {1000225001, NULL, subgroup};
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t flags;
		struct {
			uint32_t s_type;
			const void *next;
			uint32_t flags, stage;
			uint64_t module;
			const char *name;
			const void *specialization;
		} stage;
		uint64_t layout, base;
		int32_t base_index;
	} info = {.s_type = 29,
	          .flags = capture ? 0x40 | 0x80 : 0, // ..._CAPTURE_STATISTICS_BIT_KHR, ..._CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR
	          .stage = {.s_type = 18,
	                    .next = subgroup ? &required : NULL,
	                    .flags = full_subgroups ? 0x2 : 0, // ..._REQUIRE_FULL_SUBGROUPS_BIT
	                    .stage = COMPUTE_STAGE,
	                    .module = module,
	                    .name = "main",
	                    .specialization = n ? &specialization : NULL},
	          .layout = layout,
	          .base_index = -1};
	int32_t r = D->CreateComputePipelines(D->device, cache, 1, &info, NULL, out);
	free(entries);
	return r;
}

int32_t cvk_merge_pipeline_caches(uintptr_t d, uint64_t to, uint64_t from) {
	return D->MergePipelineCaches(D->device, to, 1, &from);
}

int32_t cvk_create_descriptor_pool(uintptr_t d, uint32_t sets, uint32_t storage_buffers,
                                   uint32_t texel_buffers, uint64_t *out) {
	struct {
		uint32_t type, count;
	} sizes[2];
	uint32_t n = 0;
	const uint32_t types[2] = {7, 4};
	const uint32_t counts[2] = {storage_buffers, texel_buffers};
	for (int i = 0; i < 2; i++) {
		if (counts[i] == 0) continue; // a size of 0 is not valid
		sizes[n].type = types[i];
		sizes[n++].count = counts[i];
	}
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t flags, max_sets, size_count;
		const void *sizes;
	} info = {.s_type = 33, .max_sets = sets, .size_count = n, .sizes = sizes};
	return D->CreateDescriptorPool(D->device, &info, NULL, out);
}

int32_t cvk_allocate_set(uintptr_t d, uint64_t pool, uint64_t layout, uint64_t *out) {
	struct {
		uint32_t s_type;
		const void *next;
		uint64_t pool;
		uint32_t count;
		const uint64_t *layouts;
	} info = {.s_type = 34, .pool = pool, .count = 1, .layouts = &layout};
	return D->AllocateDescriptorSets(D->device, &info, out);
}

void cvk_update_set(uintptr_t d, uint64_t set, cvk_writes writes, uint32_t n) {
	struct {
		uint32_t s_type;
		const void *next;
		uint64_t set;
		uint32_t binding, element, count, type;
		const void *image;
		const uint64_t *buffer, *view;
	} w[CVK_WRITES];
	for (uint32_t i = 0; i < n; i++) {
		const cvk_write *from = &writes.at[i];
		w[i].s_type = 35;
		w[i].next = NULL;
		w[i].set = set;
		w[i].binding = from->binding;
		w[i].element = 0;
		w[i].count = 1;
		w[i].type = from->type;
		w[i].image = NULL;
		// VkDescriptorBufferInfo is the three numbers handle, offset, range.
		w[i].buffer = from->type == 4 ? NULL : &from->handle;
		w[i].view = from->type == 4 ? &from->handle : NULL;
	}
	D->UpdateDescriptorSets(D->device, n, w, 0, NULL);
}

int32_t cvk_submit(uintptr_t d, cvk_submits buffers, uint32_t n, uint64_t fence) {
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t wait_count;
		const uint64_t *waits;
		const uint32_t *wait_stages;
		uint32_t buffer_count;
		const uintptr_t *buffers;
		uint32_t signal_count;
		const uint64_t *signals;
	} info = {.s_type = 4, .buffer_count = n, .buffers = buffers.at};
	return D->QueueSubmit(D->queue, n ? 1 : 0, &info, fence);
}

int32_t cvk_wait_fence(uintptr_t d, uint64_t fence, uint64_t timeout) {
	return D->WaitForFences(D->device, 1, &fence, 1, timeout);
}

int32_t cvk_reset_fence(uintptr_t d, uint64_t fence) {
	return D->ResetFences(D->device, 1, &fence);
}
