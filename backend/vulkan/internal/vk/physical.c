//go:build cgo

// Queries of a physical device, through pNext chains, and device creation.

#include "calls.h"
#include <stdlib.h>
#include <string.h>

#define T ((cvk_instance *)instance_table)
#define P ((cvk_handle)physical)

// The first members of every struct in a pNext chain.
typedef struct {
	uint32_t s_type;
	void *next;
} head;

typedef struct {
	head h;
	uint32_t a, b, c, d;
} features_struct;

// A feature struct with at most four VkBool32, and the CVK_F bit of each that is used.
typedef struct {
	uint32_t s_type, has, bits[4];
} feature_kind;

static const feature_kind kinds[] = {
	{1000082000, CVK_HAS_FLOAT16_INT8, {CVK_F_SHADER_FLOAT16}},
	{1000225002, CVK_HAS_SUBGROUP_SIZE_CONTROL,
	 {CVK_F_SUBGROUP_SIZE_CONTROL, CVK_F_FULL_SUBGROUPS}},
	{1000506000, CVK_HAS_COOPERATIVE_MATRIX, {CVK_F_COOPERATIVE_MATRIX}},
	{1000211000, CVK_HAS_MEMORY_MODEL, {CVK_F_MEMORY_MODEL, CVK_F_MEMORY_MODEL_DEVICE}},
	{1000269000, CVK_HAS_EXECUTABLES, {CVK_F_EXECUTABLES}},
	{1000280000, CVK_HAS_INTEGER_DOT, {CVK_F_INTEGER_DOT}},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

// VkPhysicalDeviceFeatures2: its own 55 VkBool32 are not used here.
typedef struct {
	head h;
	uint32_t core[55];
} features2;

// chain_features links the feature structs that the device knows.
static void chain_features(features2 *top, features_struct all[KINDS], uint32_t has) {
	memset(top, 0, sizeof *top);
	memset(all, 0, KINDS * sizeof *all);
	top->h.s_type = 1000059000;
	head *last = &top->h;
	for (int i = 0; i < KINDS; i++) {
		if ((kinds[i].has & has) != kinds[i].has) continue;
		all[i].h.s_type = kinds[i].s_type;
		last->next = &all[i];
		last = &all[i].h;
	}
}

static uint32_t *flag(features_struct *f, int i) {
	return i == 0 ? &f->a : i == 1 ? &f->b : i == 2 ? &f->c : &f->d;
}

static void *link_struct(head *h, uint32_t s_type, void *next) {
	h->s_type = s_type;
	h->next = next;
	return h;
}

void cvk_query(uintptr_t instance_table, uintptr_t physical, uint32_t has, cvk_info *out) {
	struct {
		head h;
		uint32_t size, stages, operations, quad;
	} subgroup = {0};
	struct {
		head h;
		uint8_t device[16], driver[16], luid[8];
		uint32_t node_mask, luid_valid;
	} id = {0};
	struct {
		head h;
		uint32_t max_descriptors;
		uint64_t max_allocation;
	} maintenance3 = {0};
	struct {
		head h;
		uint64_t max_buffer;
	} maintenance4 = {0};
	struct {
		head h;
		uint32_t id;
		char name[256], info[256];
		uint8_t conformance[4];
	} driver = {0};
	struct {
		head h;
		uint32_t stages;
	} matrix = {0};
	struct {
		head h;
		uint32_t min, max, max_subgroups, stages;
	} sizes = {0};
	struct {
		head h;
		uint32_t unused[4], packed_signed, more[25]; // VkBool32: which kinds are accelerated
	} dot = {0};
	struct {
		head h;
		uint32_t features, active_compute_units;
	} amd = {0};
	struct {
		head h;
		uint32_t multiprocessors, warps;
	} nvidia = {0};
	struct {
		head h;
		uint64_t mask;
		uint32_t cores, warps;
	} arm = {0};
	struct {
		head h;
		uint64_t core[103]; // VkPhysicalDeviceProperties: 824 bytes, read through the binding
	} top = {0};

	void *next = link_struct(&subgroup.h, 1000094000, NULL);
	next = link_struct(&id.h, 1000071004, next);
	next = link_struct(&maintenance3.h, 1000168000, next);
	if (has & CVK_HAS_MAINTENANCE4) next = link_struct(&maintenance4.h, 1000413001, next);
	if (has & CVK_HAS_DRIVER_PROPERTIES) next = link_struct(&driver.h, 1000196000, next);
	if (has & CVK_HAS_COOPERATIVE_MATRIX) next = link_struct(&matrix.h, 1000506002, next);
	if (has & CVK_HAS_SUBGROUP_SIZE_CONTROL) next = link_struct(&sizes.h, 1000225000, next);
	if (has & CVK_HAS_INTEGER_DOT) next = link_struct(&dot.h, 1000280001, next);
	if (has & CVK_HAS_AMD_CORES) next = link_struct(&amd.h, 1000227000, next);
	if (has & CVK_HAS_NVIDIA_CORES) next = link_struct(&nvidia.h, 1000154001, next);
	if (has & CVK_HAS_ARM_CORES) next = link_struct(&arm.h, 1000497001, next);
	link_struct(&top.h, 1000059001, next);
	T->GetPhysicalDeviceProperties2(P, &top);

	memset(out, 0, sizeof *out);
	memcpy(out->device_uuid, id.device, 16);
	memcpy(out->driver_name, driver.name, 255);
	memcpy(out->driver_info, driver.info, 255);
	out->subgroup_size = subgroup.size;
	out->subgroup_stages = subgroup.stages;
	out->subgroup_operations = subgroup.operations;
	out->min_subgroup = sizes.min;
	out->max_subgroup = sizes.max;
	out->required_subgroup_stages = sizes.stages;
	out->max_memory_allocation_size = maintenance3.max_allocation;
	out->max_buffer_size = maintenance4.max_buffer;
	out->cooperative_matrix_stages = matrix.stages;
	out->fast_dot = dot.packed_signed;
	out->cores = amd.active_compute_units ? amd.active_compute_units
	             : nvidia.multiprocessors ? nvidia.multiprocessors
	                                      : arm.cores;

	features2 f;
	features_struct all[KINDS];
	chain_features(&f, all, has);
	T->GetPhysicalDeviceFeatures2(P, &f);
	for (int i = 0; i < KINDS; i++) {
		for (int j = 0; j < 4; j++) {
			if (*flag(&all[i], j)) out->features |= kinds[i].bits[j];
		}
	}
}

uint32_t cvk_queue_families(uintptr_t instance_table, uintptr_t physical, cvk_queue_family *out,
                            uint32_t places) {
	struct {
		uint32_t flags, count, timestamp_bits, granularity[3];
	} all[32];
	uint32_t n = sizeof all / sizeof *all;
	T->GetPhysicalDeviceQueueFamilyProperties(P, &n, all);
	if (n > places) n = places;
	for (uint32_t i = 0; i < n; i++) {
		out[i].flags = all[i].flags;
		out[i].count = all[i].count;
		out[i].timestamp_bits = all[i].timestamp_bits;
	}
	return n;
}

uint32_t cvk_matrices(uintptr_t instance_table, uintptr_t physical, cvk_matrix *out,
                      uint32_t places) {
	struct {
		head h;
		cvk_matrix properties;
	} all[128];
	uint32_t n = sizeof all / sizeof *all;
	memset(all, 0, sizeof all);
	for (uint32_t i = 0; i < n; i++) all[i].h.s_type = 1000506001;
	if (T->GetPhysicalDeviceCooperativeMatrixPropertiesKHR == NULL ||
	    T->GetPhysicalDeviceCooperativeMatrixPropertiesKHR(P, &n, all) < 0)
		return 0;
	if (n > places) n = places;
	for (uint32_t i = 0; i < n; i++) out[i] = all[i].properties;
	return n;
}

int32_t cvk_device_extensions(uintptr_t instance_table, uintptr_t physical, char (*names)[256],
                              uint32_t *places) {
	struct {
		char name[256];
		uint32_t version;
	} *all;
	uint32_t n = 0;
	int32_t r = T->EnumerateDeviceExtensionProperties(P, NULL, &n, NULL);
	if (r < 0) return r;
	all = calloc(n ? n : 1, sizeof *all);
	if (all == NULL) return -1; // VK_ERROR_OUT_OF_HOST_MEMORY
	r = T->EnumerateDeviceExtensionProperties(P, NULL, &n, all);
	for (uint32_t i = 0; r >= 0 && i < n && i < *places; i++) memcpy(names[i], all[i].name, 256);
	if (n < *places) *places = n;
	free(all);
	return r < 0 ? r : 0;
}

void cvk_memory_budget(uintptr_t instance_table, uintptr_t physical, cvk_budget *out) {
	struct {
		head h;
		uint64_t budget[16], usage[16];
	} budget = {.h = {1000237000, NULL}};
	struct {
		head h;
		uint64_t core[65]; // VkPhysicalDeviceMemoryProperties: 520 bytes
	} top = {.h = {1000059006, &budget}};
	T->GetPhysicalDeviceMemoryProperties2(P, &top);
	memcpy(out->budget, budget.budget, sizeof out->budget);
	memcpy(out->usage, budget.usage, sizeof out->usage);
}

int32_t cvk_create_device(uintptr_t instance_table, uintptr_t physical, uint32_t family,
                          uint32_t features, uint32_t has, const char *extensions,
                          uintptr_t *device) {
	features2 f;
	features_struct all[KINDS];
	chain_features(&f, all, has);
	for (int i = 0; i < KINDS; i++) {
		for (int j = 0; j < 4; j++) *flag(&all[i], j) = (features & kinds[i].bits[j]) != 0;
	}

	const char *names[32];
	uint32_t n = 0;
	for (const char *s = extensions; *s != 0 && n < 32; s += strlen(s) + 1) names[n++] = s;

	const float priority = 1;
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t flags, family, count;
		const float *priorities;
	} queue = {.s_type = 2, .family = family, .count = 1, .priorities = &priority};
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t flags, queue_count;
		const void *queues;
		uint32_t layer_count;
		const void *layers;
		uint32_t extension_count;
		const char *const *extensions;
		const void *features;
	} info = {.s_type = 3,
	          .next = &f,
	          .queue_count = 1,
	          .queues = &queue,
	          .extension_count = n,
	          .extensions = names};
	cvk_handle out = NULL;
	int32_t r = T->CreateDevice(P, &info, NULL, &out);
	*device = (uintptr_t)out;
	return r;
}
