//go:build cgo

// What the driver made of a pipeline (VK_KHR_pipeline_executable_properties).

#include "calls.h"
#include <stdlib.h>
#include <string.h>

#define D ((cvk_device *)d)

typedef struct {
	uint32_t s_type;
	const void *next;
	uint64_t pipeline;
} pipeline_info;

typedef struct {
	uint32_t s_type;
	const void *next;
	uint64_t pipeline;
	uint32_t executable;
} executable_info;

int32_t cvk_executable_properties(uintptr_t d, uint64_t pipeline, uint32_t *subgroup_sizes,
                                  uint32_t places, uint32_t *n) {
	struct {
		uint32_t s_type;
		void *next;
		uint32_t stages;
		char name[256], description[256];
		uint32_t subgroup_size;
	} all[8];
	memset(all, 0, sizeof all);
	uint32_t found = sizeof all / sizeof *all;
	for (uint32_t i = 0; i < found; i++) all[i].s_type = 1000269002;
	pipeline_info info = {.s_type = 1000269001, .pipeline = pipeline};
	int32_t r = D->GetPipelineExecutablePropertiesKHR(D->device, &info, &found, all);
	if (r < 0) return r;
	*n = found < places ? found : places;
	for (uint32_t i = 0; i < *n; i++) subgroup_sizes[i] = all[i].subgroup_size;
	return 0;
}

int32_t cvk_executable_statistics(uintptr_t d, uint64_t pipeline, uint32_t executable,
                                  cvk_statistic *out, uint32_t *n) {
	struct {
		uint32_t s_type;
		void *next;
		char name[256], description[256];
		uint32_t format;
		uint64_t value;
	} all[CVK_STATISTICS];
	memset(all, 0, sizeof all);
	*n = CVK_STATISTICS;
	for (uint32_t i = 0; i < *n; i++) all[i].s_type = 1000269004;
	executable_info info = {.s_type = 1000269003, .pipeline = pipeline, .executable = executable};
	int32_t r = D->GetPipelineExecutableStatisticsKHR(D->device, &info, n, all);
	if (r < 0) return r;
	for (uint32_t i = 0; i < *n; i++) {
		memcpy(out[i].name, all[i].name, 255);
		out[i].name[255] = 0;
		out[i].format = all[i].format;
		out[i].value = all[i].value;
	}
	return 0;
}

int32_t cvk_executable_code(uintptr_t d, uint64_t pipeline, uint32_t executable, char **text) {
	typedef struct {
		uint32_t s_type;
		void *next;
		char name[256], description[256];
		uint32_t is_text;
		size_t size;
		void *data;
	} representation;
	*text = NULL;
	executable_info info = {.s_type = 1000269003, .pipeline = pipeline, .executable = executable};
	uint32_t n = 0;
	int32_t r = D->GetPipelineExecutableInternalRepresentationsKHR(D->device, &info, &n, NULL);
	if (r < 0 || n == 0) return r;
	representation *all = calloc(n, sizeof *all);
	if (all == NULL) return -1; // VK_ERROR_OUT_OF_HOST_MEMORY
	for (uint32_t i = 0; i < n; i++) all[i].s_type = 1000269005;
	// The first call tells sizes, the second writes as many bytes.
	r = D->GetPipelineExecutableInternalRepresentationsKHR(D->device, &info, &n, all);
	for (uint32_t i = 0; r >= 0 && i < n; i++) {
		all[i].data = calloc(1, all[i].size + 1);
		if (all[i].data == NULL) r = -1;
	}
	if (r >= 0) r = D->GetPipelineExecutableInternalRepresentationsKHR(D->device, &info, &n, all);
	if (r >= 0 && all[n - 1].is_text) {
		*text = all[n - 1].data;
		all[n - 1].data = NULL;
	}
	for (uint32_t i = 0; i < n; i++) free(all[i].data);
	free(all);
	return r < 0 ? r : 0;
}
