// The Vulkan functions that this package calls through pointers, and their
// trampolines. The declarations follow the Vulkan specification, but use uint64_t for
// every non-dispatchable handle and uint32_t for every enum. These have the same size
// and layout, and Go needs no casts.
//
// To add a function, add a line to CVK_DEVICE_FUNCTIONS or CVK_INSTANCE_FUNCTIONS,
// from which it is loaded and checked, and declare its trampoline below.

#ifndef CALDERA_VK_CALLS_H
#define CALDERA_VK_CALLS_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define CVK_API __stdcall
#else
#define CVK_API
#endif

// Dispatchable handles (instance, device, queue, command buffer) are pointers.
typedef void *cvk_handle;
typedef void(CVK_API *cvk_any)(void);
typedef cvk_any(CVK_API *cvk_get_proc)(cvk_handle, const char *);

// X(return type, name without vk, parameter types)
#define CVK_INSTANCE_FUNCTIONS(X)                                                                  \
	X(void, GetPhysicalDeviceProperties2, (cvk_handle, void *))                                \
	X(void, GetPhysicalDeviceFeatures2, (cvk_handle, void *))                                  \
	X(void, GetPhysicalDeviceMemoryProperties2, (cvk_handle, void *))                          \
	X(void, GetPhysicalDeviceQueueFamilyProperties, (cvk_handle, uint32_t *, void *))          \
	X(int32_t, EnumerateDeviceExtensionProperties,                                             \
	  (cvk_handle, const char *, uint32_t *, void *))                                          \
	X(int32_t, CreateDevice, (cvk_handle, const void *, const void *, cvk_handle *))           \
	X(cvk_any, GetDeviceProcAddr, (cvk_handle, const char *))

// Functions that older loaders or drivers do not have: NULL in the table.
#define CVK_INSTANCE_OPTIONAL(X)                                                                   \
	X(int32_t, GetPhysicalDeviceCooperativeMatrixPropertiesKHR, (cvk_handle, uint32_t *, void *)) \
	CVK_SURFACE_FUNCTIONS(X)

// Functions of the extensions for surfaces, which only an instance with a window enables.
#define CVK_SURFACE_FUNCTIONS(X)                                                                   \
	X(int32_t, GetPhysicalDeviceSurfaceSupportKHR,                                             \
	  (cvk_handle, uint32_t, uint64_t, uint32_t *))                                            \
	X(int32_t, GetPhysicalDeviceSurfaceCapabilitiesKHR, (cvk_handle, uint64_t, void *))        \
	X(int32_t, GetPhysicalDeviceSurfaceFormatsKHR, (cvk_handle, uint64_t, uint32_t *, void *)) \
	X(void, DestroySurfaceKHR, (cvk_handle, uint64_t, const void *))

#define CVK_DEVICE_FUNCTIONS(X)                                                                    \
	X(int32_t, QueueSubmit, (cvk_handle, uint32_t, const void *, uint64_t))                    \
	X(int32_t, WaitForFences,                                                                  \
	  (cvk_handle, uint32_t, const uint64_t *, uint32_t, uint64_t))                            \
	X(int32_t, ResetFences, (cvk_handle, uint32_t, const uint64_t *))                          \
	X(int32_t, FlushMappedMemoryRanges, (cvk_handle, uint32_t, const void *))                  \
	X(int32_t, InvalidateMappedMemoryRanges, (cvk_handle, uint32_t, const void *))             \
	X(int32_t, CreateDescriptorSetLayout,                                                      \
	  (cvk_handle, const void *, const void *, uint64_t *))                                    \
	X(int32_t, CreatePipelineLayout, (cvk_handle, const void *, const void *, uint64_t *))     \
	X(int32_t, CreateComputePipelines,                                                         \
	  (cvk_handle, uint64_t, uint32_t, const void *, const void *, uint64_t *))                \
	X(int32_t, MergePipelineCaches, (cvk_handle, uint64_t, uint32_t, const uint64_t *))        \
	X(int32_t, CreateDescriptorPool, (cvk_handle, const void *, const void *, uint64_t *))     \
	X(int32_t, AllocateDescriptorSets, (cvk_handle, const void *, uint64_t *))                 \
	X(void, UpdateDescriptorSets,                                                              \
	  (cvk_handle, uint32_t, const void *, uint32_t, const void *))                            \
	X(int32_t, BeginCommandBuffer, (cvk_handle, const void *))                                 \
	X(int32_t, EndCommandBuffer, (cvk_handle))                                                 \
	X(void, CmdBindPipeline, (cvk_handle, uint32_t, uint64_t))                                 \
	X(void, CmdBindDescriptorSets,                                                             \
	  (cvk_handle, uint32_t, uint64_t, uint32_t, uint32_t, const uint64_t *, uint32_t,         \
	   const uint32_t *))                                                                      \
	X(void, CmdPushConstants,                                                                  \
	  (cvk_handle, uint64_t, uint32_t, uint32_t, uint32_t, const void *))                      \
	X(void, CmdDispatch, (cvk_handle, uint32_t, uint32_t, uint32_t))                           \
	X(void, CmdPipelineBarrier,                                                                \
	  (cvk_handle, uint32_t, uint32_t, uint32_t, uint32_t, const void *, uint32_t,             \
	   const void *, uint32_t, const void *))                                                  \
	X(void, CmdCopyBuffer, (cvk_handle, uint64_t, uint64_t, uint32_t, const void *))           \
	X(void, CmdFillBuffer, (cvk_handle, uint64_t, uint64_t, uint64_t, uint32_t))               \
	X(void, CmdUpdateBuffer, (cvk_handle, uint64_t, uint64_t, uint64_t, const void *))         \
	X(void, CmdResetQueryPool, (cvk_handle, uint64_t, uint32_t, uint32_t))                     \
	X(void, CmdWriteTimestamp, (cvk_handle, uint32_t, uint64_t, uint32_t))

// Functions that only a device with a window needs: NULL in the table of another one.
#define CVK_DEVICE_OPTIONAL(X)                                                                     \
	X(int32_t, CreateSwapchainKHR, (cvk_handle, const void *, const void *, uint64_t *))       \
	X(void, DestroySwapchainKHR, (cvk_handle, uint64_t, const void *))                         \
	X(int32_t, GetSwapchainImagesKHR, (cvk_handle, uint64_t, uint32_t *, uint64_t *))          \
	X(int32_t, AcquireNextImageKHR,                                                            \
	  (cvk_handle, uint64_t, uint64_t, uint64_t, uint64_t, uint32_t *))                        \
	X(int32_t, QueuePresentKHR, (cvk_handle, const void *))                                    \
	X(int32_t, QueueWaitIdle, (cvk_handle))                                                    \
	X(int32_t, CreateSemaphore, (cvk_handle, const void *, const void *, uint64_t *))          \
	X(void, DestroySemaphore, (cvk_handle, uint64_t, const void *))                            \
	X(void, CmdCopyBufferToImage,                                                              \
	  (cvk_handle, uint64_t, uint64_t, uint32_t, uint32_t, const void *))

// Functions that only a device with executable properties has: NULL in the table of another one.
#define CVK_EXECUTABLE_FUNCTIONS(X)                                                                \
	X(int32_t, GetPipelineExecutablePropertiesKHR,                                             \
	  (cvk_handle, const void *, uint32_t *, void *))                                          \
	X(int32_t, GetPipelineExecutableStatisticsKHR,                                             \
	  (cvk_handle, const void *, uint32_t *, void *))                                          \
	X(int32_t, GetPipelineExecutableInternalRepresentationsKHR,                                \
	  (cvk_handle, const void *, uint32_t *, void *))

#define CVK_FIELD(ret, name, args) ret(CVK_API *name) args;
typedef struct { CVK_INSTANCE_FUNCTIONS(CVK_FIELD) CVK_INSTANCE_OPTIONAL(CVK_FIELD) } cvk_instance;
typedef struct {
	cvk_handle device, queue;
	CVK_DEVICE_FUNCTIONS(CVK_FIELD)
	CVK_DEVICE_OPTIONAL(CVK_FIELD)
	CVK_EXECUTABLE_FUNCTIONS(CVK_FIELD)
} cvk_device;
#undef CVK_FIELD

// instance.c. Go holds the tables as uintptr_t: they are C memory, and numbers need no
// pointer check by cgo at each call.

uint32_t cvk_instance_version(uintptr_t get_proc);
int32_t cvk_layer_present(uintptr_t get_proc, const char *layer);
int32_t cvk_instance_extension_present(uintptr_t get_proc, const char *layer, const char *name);

enum { CVK_PORTABILITY = 1, CVK_VALIDATION = 2, CVK_VALIDATION_FEATURES = 4 };
enum { CVK_EXTENSIONS = 16 }; // of an instance, at most

// cvk_create_instance makes an instance; with CVK_VALIDATION messages of the
// validation layer go to Go under the given user number. extensions: names of more
// extensions, with a NUL after each and one more at the end.
int32_t cvk_create_instance(uintptr_t get_proc, uint32_t api, uint32_t flags, uintptr_t user,
                            const char *extensions, uintptr_t *instance);
int32_t cvk_create_messenger(uintptr_t get_proc, uintptr_t instance, uintptr_t user,
                             uint64_t *messenger);
void cvk_destroy_messenger(uintptr_t get_proc, uintptr_t instance, uint64_t messenger);

// cvk_load_instance fills a new table. If a function is missing it returns 0 and the
// function's name.
uintptr_t cvk_load_instance(uintptr_t get_proc, uintptr_t instance, const char **missing);
uintptr_t cvk_load_device(uintptr_t instance_table, uintptr_t device, uintptr_t queue,
                          const char **missing);
int cvk_instance_has(uintptr_t get_proc, uintptr_t instance, const char *name);
int cvk_device_has(uintptr_t instance_table, uintptr_t device, const char *name);

// physical.c

// Features. The bits are in the order of the fields of Features (features.go).
enum {
	CVK_F_SHADER_FLOAT16 = 1 << 0,
	CVK_F_SUBGROUP_SIZE_CONTROL = 1 << 1,
	CVK_F_FULL_SUBGROUPS = 1 << 2,
	CVK_F_COOPERATIVE_MATRIX = 1 << 3,
	CVK_F_MEMORY_MODEL = 1 << 4,
	CVK_F_MEMORY_MODEL_DEVICE = 1 << 5,
	CVK_F_EXECUTABLES = 1 << 6,
	CVK_F_INTEGER_DOT = 1 << 7,
};

// What a device has, according to its version and its extensions. A pNext chain must
// not contain a struct that the driver does not know.
enum {
	CVK_HAS_DRIVER_PROPERTIES = 1 << 0,
	CVK_HAS_MAINTENANCE4 = 1 << 1,
	CVK_HAS_SUBGROUP_SIZE_CONTROL = 1 << 2,
	CVK_HAS_FLOAT16_INT8 = 1 << 3,
	CVK_HAS_COOPERATIVE_MATRIX = 1 << 4,
	CVK_HAS_MEMORY_MODEL = 1 << 5,
	CVK_HAS_MEMORY_BUDGET = 1 << 6,
	CVK_HAS_EXECUTABLES = 1 << 7,
	CVK_HAS_INTEGER_DOT = 1 << 8,
	CVK_HAS_AMD_CORES = 1 << 9,
	CVK_HAS_NVIDIA_CORES = 1 << 10,
	CVK_HAS_ARM_CORES = 1 << 11,
	CVK_HAS_CORES = CVK_HAS_AMD_CORES | CVK_HAS_NVIDIA_CORES | CVK_HAS_ARM_CORES,
};

typedef struct {
	uint8_t device_uuid[16];
	char driver_name[256], driver_info[256];
	uint32_t subgroup_size, subgroup_stages, subgroup_operations;
	uint32_t min_subgroup, max_subgroup, required_subgroup_stages;
	uint64_t max_memory_allocation_size, max_buffer_size;
	uint32_t cooperative_matrix_stages, fast_dot;
	uint32_t cores; // 0: the driver does not tell
	uint32_t features;
} cvk_info;

void cvk_query(uintptr_t instance_table, uintptr_t physical, uint32_t has, cvk_info *out);

typedef struct {
	uint32_t flags, count, timestamp_bits;
} cvk_queue_family;

// The functions below return the number of items that there are, and write at most
// places of them.
uint32_t cvk_queue_families(uintptr_t instance_table, uintptr_t physical, cvk_queue_family *out,
                            uint32_t places);
typedef struct {
	uint32_t m, n, k, a, b, c, result, saturating, scope;
} cvk_matrix;

uint32_t cvk_matrices(uintptr_t instance_table, uintptr_t physical, cvk_matrix *out,
                      uint32_t places);
int32_t cvk_device_extensions(uintptr_t instance_table, uintptr_t physical, char (*names)[256],
                              uint32_t *places);

typedef struct {
	uint64_t budget[16], usage[16];
} cvk_budget;

void cvk_memory_budget(uintptr_t instance_table, uintptr_t physical, cvk_budget *out);

// extensions: names with a NUL after each and one more at the end.
int32_t cvk_create_device(uintptr_t instance_table, uintptr_t physical, uint32_t family,
                          uint32_t features, uint32_t has, const char *extensions,
                          uintptr_t *device);

// device.c

int32_t cvk_flush(uintptr_t d, uint64_t memory, uint64_t offset, uint64_t size);
int32_t cvk_invalidate(uintptr_t d, uint64_t memory, uint64_t offset, uint64_t size);
int32_t cvk_create_set_layout(uintptr_t d, const uint32_t *types, uint32_t n, uint64_t *out);
int32_t cvk_create_pipeline_layout(uintptr_t d, uint64_t set_layout, uint32_t push_bytes,
                                   uint64_t *out);
int32_t cvk_create_pipeline(uintptr_t d, uint64_t cache, uint64_t module, uint64_t layout,
                            const uint32_t *spec, uint32_t n, uint32_t subgroup,
                            uint32_t full_subgroups, uint32_t capture, uint64_t *out);
int32_t cvk_merge_pipeline_caches(uintptr_t d, uint64_t to, uint64_t from);
int32_t cvk_create_descriptor_pool(uintptr_t d, uint32_t sets, uint32_t storage_buffers,
                                   uint32_t texel_buffers, uint64_t *out);
int32_t cvk_allocate_set(uintptr_t d, uint64_t pool, uint64_t layout, uint64_t *out);

enum { CVK_WRITES = 16, CVK_SUBMITS = 32, CVK_PUSH = 256 };

typedef struct {
	uint64_t handle, offset, range; // a buffer and its range, or a buffer view
	uint32_t binding, type;
} cvk_write;
typedef struct {
	cvk_write at[CVK_WRITES];
} cvk_writes;
void cvk_update_set(uintptr_t d, uint64_t set, cvk_writes writes, uint32_t n);

typedef struct {
	uintptr_t at[CVK_SUBMITS];
} cvk_submits;
int32_t cvk_submit(uintptr_t d, cvk_submits buffers, uint32_t n, uint64_t fence);
int32_t cvk_wait_fence(uintptr_t d, uint64_t fence, uint64_t timeout);
int32_t cvk_reset_fence(uintptr_t d, uint64_t fence);

// executable.c

typedef struct {
	char name[256];
	uint32_t format; // VkPipelineExecutableStatisticFormatKHR
	uint64_t value;
} cvk_statistic;

enum { CVK_STATISTICS = 64 };

// cvk_executable_properties tells how many executables a pipeline has, and the subgroup size of each of
// the first places.
int32_t cvk_executable_properties(uintptr_t d, uint64_t pipeline, uint32_t *subgroup_sizes,
                                  uint32_t places, uint32_t *n);
int32_t cvk_executable_statistics(uintptr_t d, uint64_t pipeline, uint32_t executable,
                                  cvk_statistic *out, uint32_t *n);

// cvk_executable_code gives the last of the texts that a driver keeps of an executable: NULL, or to be
// freed by the caller.
int32_t cvk_executable_code(uintptr_t d, uint64_t pipeline, uint32_t executable, char **text);

// command.c

typedef struct {
	uint64_t at[CVK_PUSH / 8];
} cvk_push;

int32_t cvk_begin(uintptr_t d, uintptr_t cb, uint32_t flags);
int32_t cvk_end(uintptr_t d, uintptr_t cb);
void cvk_run(uintptr_t d, uintptr_t cb, uint64_t pipeline, uint64_t layout, uint64_t set,
             cvk_push data, uint32_t size, uint32_t x, uint32_t y, uint32_t z);
void cvk_barrier(uintptr_t d, uintptr_t cb, uint32_t src_stage, uint32_t src_access,
                 uint32_t dst_stage, uint32_t dst_access);
void cvk_copy_buffer(uintptr_t d, uintptr_t cb, uint64_t src, uint64_t dst, uint64_t src_offset,
                     uint64_t dst_offset, uint64_t size);
void cvk_fill_buffer(uintptr_t d, uintptr_t cb, uint64_t dst, uint64_t offset, uint64_t size,
                     uint32_t value);
void cvk_update_buffer(uintptr_t d, uintptr_t cb, uint64_t dst, uint64_t offset, uint64_t size,
                       const void *data);
void cvk_reset_queries(uintptr_t d, uintptr_t cb, uint64_t pool, uint32_t first, uint32_t n);
void cvk_write_timestamp(uintptr_t d, uintptr_t cb, uint32_t stage, uint64_t pool, uint32_t query);

// surface.c

// cvk_surface_missing returns the name of a function for surfaces that a table lacks, or NULL.
const char *cvk_surface_missing(uintptr_t instance_table);
const char *cvk_swapchain_missing(uintptr_t d);

int32_t cvk_surface_support(uintptr_t instance_table, uintptr_t physical, uint32_t family,
                            uint64_t surface, uint32_t *supported);
void cvk_destroy_surface(uintptr_t instance_table, uintptr_t instance, uint64_t surface);

typedef struct {
	uint32_t min_images, max_images, width, height, min_width, min_height, max_width,
		max_height, layers, transforms, current_transform, alphas, usages;
} cvk_surface;

int32_t cvk_surface_capabilities(uintptr_t instance_table, uintptr_t physical, uint64_t surface,
                                 cvk_surface *out);

typedef struct {
	uint32_t format, color_space;
} cvk_surface_format;

int32_t cvk_surface_formats(uintptr_t instance_table, uintptr_t physical, uint64_t surface,
                            cvk_surface_format *out, uint32_t *places);

int32_t cvk_create_swapchain(uintptr_t d, uint64_t surface, uint32_t images,
                             cvk_surface_format format, uint32_t width, uint32_t height,
                             uint32_t transform, uint32_t alpha, uint64_t old, uint64_t *out);
void cvk_destroy_swapchain(uintptr_t d, uint64_t swapchain);
int32_t cvk_swapchain_images(uintptr_t d, uint64_t swapchain, uint64_t *out, uint32_t *places);
int32_t cvk_acquire_image(uintptr_t d, uint64_t swapchain, uint64_t timeout, uint64_t semaphore,
                          uint32_t *index);
int32_t cvk_create_semaphore(uintptr_t d, uint64_t *out);
void cvk_destroy_semaphore(uintptr_t d, uint64_t semaphore);
int32_t cvk_submit_between(uintptr_t d, uintptr_t cb, uint64_t wait, uint32_t wait_stage,
                           uint64_t signal, uint64_t fence);
int32_t cvk_present(uintptr_t d, uint64_t swapchain, uint32_t index, uint64_t wait);
int32_t cvk_wait_idle(uintptr_t d);
void cvk_copy_to_image(uintptr_t d, uintptr_t cb, uint64_t buffer, uint64_t offset,
                       uint64_t image, uint32_t width, uint32_t height);

#endif
