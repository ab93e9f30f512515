// lost.c stands between the backend and the Vulkan loader, and loses the device
// at the submit whose number the environment variable LOST_AT has, from 1 on.

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void (*any)(void);
typedef any (*lookup)(void *, const char *);
typedef int32_t (*submit)(void *, uint32_t, const void *, uint64_t);

static lookup next_device_proc;
static submit next_submit;

static int32_t lost_submit(void *queue, uint32_t n, const void *infos, uint64_t fence) {
	static long count;
	const char *at = getenv("LOST_AT");
	if (at && ++count >= atol(at))
		return -4; // VK_ERROR_DEVICE_LOST
	return next_submit(queue, n, infos, fence);
}

static any device_proc(void *device, const char *name) {
	any f = next_device_proc(device, name);
	if (strcmp(name, "vkQueueSubmit") != 0)
		return f;
	next_submit = (submit)f;
	return (any)lost_submit;
}

any vkGetInstanceProcAddr(void *instance, const char *name) {
	static lookup next;
	if (!next) {
		void *loader = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
		if (!loader || !(next = (lookup)dlsym(loader, "vkGetInstanceProcAddr")))
			return NULL;
	}
	any f = next(instance, name);
	if (strcmp(name, "vkGetDeviceProcAddr") != 0)
		return f;
	next_device_proc = (lookup)f;
	return (any)device_proc;
}
