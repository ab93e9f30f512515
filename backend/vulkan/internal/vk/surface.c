//go:build cgo

// Windows: surfaces, swapchains, and what brings a buffer's pixels to the screen.

#include "calls.h"

#define T ((cvk_instance *)instance_table)
#define P ((cvk_handle)physical)
#define D ((cvk_device *)d)
#define CB ((cvk_handle)cb)

enum { COLOR_ASPECT = 1, TRANSFER_STAGE = 0x1000, BOTTOM_OF_PIPE = 0x2000, TRANSFER_WRITE = 0x1000 };
enum { LAYOUT_UNDEFINED = 0, LAYOUT_TRANSFER_DST = 7, LAYOUT_PRESENT = 1000001002 };

const char *cvk_surface_missing(uintptr_t instance_table) {
#define CHECK(ret, name, args)                                                                     \
	if (T->name == NULL) return "vk" #name;
	CVK_SURFACE_FUNCTIONS(CHECK)
#undef CHECK
	return NULL;
}

const char *cvk_swapchain_missing(uintptr_t d) {
#define CHECK(ret, name, args)                                                                     \
	if (D->name == NULL) return "vk" #name;
	CVK_DEVICE_OPTIONAL(CHECK)
#undef CHECK
	return NULL;
}

int32_t cvk_surface_support(uintptr_t instance_table, uintptr_t physical, uint32_t family,
                            uint64_t surface, uint32_t *supported) {
	return T->GetPhysicalDeviceSurfaceSupportKHR(P, family, surface, supported);
}

void cvk_destroy_surface(uintptr_t instance_table, uintptr_t instance, uint64_t surface) {
	T->DestroySurfaceKHR((cvk_handle)instance, surface, NULL);
}

// cvk_surface has the layout of VkSurfaceCapabilitiesKHR.
int32_t cvk_surface_capabilities(uintptr_t instance_table, uintptr_t physical, uint64_t surface,
                                 cvk_surface *out) {
	return T->GetPhysicalDeviceSurfaceCapabilitiesKHR(P, surface, out);
}

int32_t cvk_surface_formats(uintptr_t instance_table, uintptr_t physical, uint64_t surface,
                            cvk_surface_format *out, uint32_t *places) {
	return T->GetPhysicalDeviceSurfaceFormatsKHR(P, surface, places, out);
}

int32_t cvk_create_swapchain(uintptr_t d, uint64_t surface, uint32_t images,
                             cvk_surface_format format, uint32_t width, uint32_t height,
                             uint32_t transform, uint32_t alpha, uint64_t old, uint64_t *out) {
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t flags;
		uint64_t surface;
		uint32_t images, format, color_space, width, height, layers, usage, sharing,
			family_count;
		const uint32_t *families;
		uint32_t transform, alpha, mode, clipped;
		uint64_t old;
	} info = {.s_type = 1000001000,
	          .surface = surface,
	          .images = images,
	          .format = format.format,
	          .color_space = format.color_space,
	          .width = width,
	          .height = height,
	          .layers = 1,
	          .usage = 0x2, // VK_IMAGE_USAGE_TRANSFER_DST_BIT
	          .transform = transform,
	          .alpha = alpha,
	          .mode = 2, // VK_PRESENT_MODE_FIFO_KHR, which every device has
	          .clipped = 1,
	          .old = old};
	return D->CreateSwapchainKHR(D->device, &info, NULL, out);
}

void cvk_destroy_swapchain(uintptr_t d, uint64_t swapchain) {
	D->DestroySwapchainKHR(D->device, swapchain, NULL);
}

int32_t cvk_swapchain_images(uintptr_t d, uint64_t swapchain, uint64_t *out, uint32_t *places) {
	return D->GetSwapchainImagesKHR(D->device, swapchain, places, out);
}

int32_t cvk_acquire_image(uintptr_t d, uint64_t swapchain, uint64_t timeout, uint64_t semaphore,
                          uint32_t *index) {
	return D->AcquireNextImageKHR(D->device, swapchain, timeout, semaphore, 0, index);
}

int32_t cvk_create_semaphore(uintptr_t d, uint64_t *out) {
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t flags;
	} info = {.s_type = 9};
	return D->CreateSemaphore(D->device, &info, NULL, out);
}

void cvk_destroy_semaphore(uintptr_t d, uint64_t semaphore) {
	D->DestroySemaphore(D->device, semaphore, NULL);
}

int32_t cvk_submit_between(uintptr_t d, uintptr_t cb, uint64_t wait, uint32_t wait_stage,
                           uint64_t signal, uint64_t fence) {
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
	} info = {.s_type = 4,
	          .wait_count = 1,
	          .waits = &wait,
	          .wait_stages = &wait_stage,
	          .buffer_count = 1,
	          .buffers = &cb,
	          .signal_count = 1,
	          .signals = &signal};
	return D->QueueSubmit(D->queue, 1, &info, fence);
}

int32_t cvk_present(uintptr_t d, uint64_t swapchain, uint32_t index, uint64_t wait) {
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t wait_count;
		const uint64_t *waits;
		uint32_t count;
		const uint64_t *swapchains;
		const uint32_t *indices;
		int32_t *results;
	} info = {.s_type = 1000001001,
	          .wait_count = 1,
	          .waits = &wait,
	          .count = 1,
	          .swapchains = &swapchain,
	          .indices = &index};
	return D->QueuePresentKHR(D->queue, &info);
}

int32_t cvk_wait_idle(uintptr_t d) { return D->QueueWaitIdle(D->queue); }

// image_barrier moves an image from one layout to another.
static void image_barrier(uintptr_t d, uintptr_t cb, uint64_t image, uint32_t src_access,
                          uint32_t dst_stage, uint32_t dst_access, uint32_t from, uint32_t to) {
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t src_access, dst_access, from, to, src_family, dst_family;
		uint64_t image;
		uint32_t aspect, level, levels, layer, layers;
	} barrier = {.s_type = 45,
	             .src_access = src_access,
	             .dst_access = dst_access,
	             .from = from,
	             .to = to,
	             .src_family = ~0u, // VK_QUEUE_FAMILY_IGNORED
	             .dst_family = ~0u,
	             .image = image,
	             .aspect = COLOR_ASPECT,
	             .levels = 1,
	             .layers = 1};
	D->CmdPipelineBarrier(CB, TRANSFER_STAGE, dst_stage, 0, 0, NULL, 0, NULL, 1, &barrier);
}

void cvk_copy_to_image(uintptr_t d, uintptr_t cb, uint64_t buffer, uint64_t offset,
                       uint64_t image, uint32_t width, uint32_t height) {
	image_barrier(d, cb, image, 0, TRANSFER_STAGE, TRANSFER_WRITE, LAYOUT_UNDEFINED,
	              LAYOUT_TRANSFER_DST);
	struct {
		uint64_t offset;
		uint32_t row_length, image_height;
		uint32_t aspect, level, layer, layers;
		int32_t x, y, z;
		uint32_t width, height, depth;
	} region = {.offset = offset,
	            .aspect = COLOR_ASPECT,
	            .layers = 1,
	            .width = width,
	            .height = height,
	            .depth = 1};
	D->CmdCopyBufferToImage(CB, buffer, image, LAYOUT_TRANSFER_DST, 1, &region);
	image_barrier(d, cb, image, TRANSFER_WRITE, BOTTOM_OF_PIPE, 0, LAYOUT_TRANSFER_DST,
	              LAYOUT_PRESENT);
}
