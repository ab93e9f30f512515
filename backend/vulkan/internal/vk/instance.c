//go:build cgo

// Instance creation, the validation messenger and the loading of the tables.

#include "calls.h"
#include "_cgo_export.h"
#include <stdlib.h>
#include <string.h>

static cvk_any proc(uintptr_t get_proc, uintptr_t instance, const char *name) {
	return ((cvk_get_proc)get_proc)((cvk_handle)instance, name);
}

// 0 for a loader of Vulkan 1.0, which has no vkEnumerateInstanceVersion.
uint32_t cvk_instance_version(uintptr_t get_proc) {
	typedef int32_t(CVK_API * fn)(uint32_t *);
	fn f = (fn)proc(get_proc, 0, "vkEnumerateInstanceVersion");
	uint32_t version = 0;
	if (f == NULL || f(&version) != 0) return 0;
	return version;
}

// VkLayerProperties and VkExtensionProperties both begin with their name.
typedef struct {
	char name[256];
	uint32_t spec_version, implementation_version;
	char description[256];
} layer_properties;

typedef struct {
	char name[256];
	uint32_t spec_version;
} extension_properties;

int32_t cvk_layer_present(uintptr_t get_proc, const char *layer) {
	typedef int32_t(CVK_API * fn)(uint32_t *, layer_properties *);
	fn f = (fn)proc(get_proc, 0, "vkEnumerateInstanceLayerProperties");
	uint32_t n = 0;
	if (f == NULL || f(&n, NULL) != 0 || n == 0) return 0;
	layer_properties *all = calloc(n, sizeof *all);
	if (all == NULL) return 0;
	int32_t found = 0;
	if (f(&n, all) >= 0) {
		for (uint32_t i = 0; i < n; i++) found |= strcmp(all[i].name, layer) == 0;
	}
	free(all);
	return found;
}

int32_t cvk_instance_extension_present(uintptr_t get_proc, const char *layer, const char *name) {
	typedef int32_t(CVK_API * fn)(const char *, uint32_t *, extension_properties *);
	fn f = (fn)proc(get_proc, 0, "vkEnumerateInstanceExtensionProperties");
	uint32_t n = 0;
	if (f == NULL || f(layer, &n, NULL) != 0 || n == 0) return 0;
	extension_properties *all = calloc(n, sizeof *all);
	if (all == NULL) return 0;
	int32_t found = 0;
	if (f(layer, &n, all) >= 0) {
		for (uint32_t i = 0; i < n; i++) found |= strcmp(all[i].name, name) == 0;
	}
	free(all);
	return found;
}

// The members of VkDebugUtilsMessengerCallbackDataEXT that are read.
typedef struct {
	uint32_t s_type;
	const void *next;
	uint32_t flags;
	const char *id_name;
	int32_t id_number;
	const char *message;
} message_data;

typedef struct {
	uint32_t s_type;
	const void *next;
	uint32_t flags, severities, types;
	uint32_t(CVK_API *callback)(uint32_t, uint32_t, const message_data *, void *);
	void *user;
} messenger_create_info;

static uint32_t CVK_API on_message(uint32_t severity, uint32_t types, const message_data *data,
                                   void *user) {
	(void)types;
	cvkMessage((uintptr_t)user, severity, (char *)data->id_name, (char *)data->message);
	return 0; // VK_FALSE: the call that caused the message goes on
}

static messenger_create_info messenger_info(uintptr_t user) {
	messenger_create_info info = {
		.s_type = 1000128004,
		.severities = 0x1100,  // warnings and errors
		.types = 0x7,          // general, validation, performance
		.callback = on_message,
		.user = (void *)user,
	};
	return info;
}

int32_t cvk_create_instance(uintptr_t get_proc, uint32_t api, uint32_t flags, uintptr_t user,
                            const char *more, uintptr_t *instance) {
	struct {
		uint32_t s_type;
		const void *next;
		const char *application;
		uint32_t application_version;
		const char *engine;
		uint32_t engine_version, api_version;
	} app = {.application = "caldera", .engine = "caldera", .api_version = api};

	// A messenger in the pNext chain also gets messages about creating and destroying the instance.
	messenger_create_info messenger = messenger_info(user);
	const uint32_t synchronization = 4; // ..._ENABLE_SYNCHRONIZATION_VALIDATION_EXT
	struct {
		uint32_t s_type;
		const void *next;
		uint32_t enabled;
		const uint32_t *enable;
		uint32_t disabled;
		const uint32_t *disable;
	} validation = {.s_type = 1000247000, .next = &messenger, .enabled = 1,
	                .enable = &synchronization};

	const char *layers[] = {"VK_LAYER_KHRONOS_validation"};
	const char *extensions[CVK_EXTENSIONS];
	uint32_t n = 0;
	if (flags & CVK_PORTABILITY) extensions[n++] = "VK_KHR_portability_enumeration";
	if (flags & CVK_VALIDATION) extensions[n++] = "VK_EXT_debug_utils";
	if (flags & CVK_VALIDATION_FEATURES) extensions[n++] = "VK_EXT_validation_features";
	for (; *more != 0 && n < CVK_EXTENSIONS; more += strlen(more) + 1) extensions[n++] = more;

	struct {
		uint32_t s_type;
		const void *next;
		uint32_t flags;
		const void *app;
		uint32_t layer_count;
		const char *const *layers;
		uint32_t extension_count;
		const char *const *extensions;
	} info = {.s_type = 1,
	          .flags = flags & CVK_PORTABILITY ? 1 : 0,
	          .app = &app,
	          .extension_count = n,
	          .extensions = extensions};
	if (flags & CVK_VALIDATION) {
		info.layer_count = 1;
		info.layers = layers;
		info.next = &messenger;
	}
	if (flags & CVK_VALIDATION_FEATURES) info.next = &validation;

	typedef int32_t(CVK_API * fn)(const void *, const void *, cvk_handle *);
	fn f = (fn)proc(get_proc, 0, "vkCreateInstance");
	if (f == NULL) return -9; // VK_ERROR_INCOMPATIBLE_DRIVER
	cvk_handle out = NULL;
	int32_t r = f(&info, NULL, &out);
	*instance = (uintptr_t)out;
	return r;
}

int32_t cvk_create_messenger(uintptr_t get_proc, uintptr_t instance, uintptr_t user,
                             uint64_t *messenger) {
	typedef int32_t(CVK_API * fn)(cvk_handle, const void *, const void *, uint64_t *);
	fn f = (fn)proc(get_proc, instance, "vkCreateDebugUtilsMessengerEXT");
	if (f == NULL) return -7; // VK_ERROR_EXTENSION_NOT_PRESENT
	messenger_create_info info = messenger_info(user);
	return f((cvk_handle)instance, &info, NULL, messenger);
}

void cvk_destroy_messenger(uintptr_t get_proc, uintptr_t instance, uint64_t messenger) {
	typedef void(CVK_API * fn)(cvk_handle, uint64_t, const void *);
	fn f = (fn)proc(get_proc, instance, "vkDestroyDebugUtilsMessengerEXT");
	if (f != NULL) f((cvk_handle)instance, messenger, NULL);
}

uintptr_t cvk_load_instance(uintptr_t get_proc, uintptr_t instance, const char **missing) {
	cvk_instance *t = calloc(1, sizeof *t);
	*missing = "memory for the function table";
	if (t == NULL) return 0;
#define LOAD(ret, name, args)                                                                      \
	*missing = "vk" #name;                                                                     \
	t->name = (ret(CVK_API *) args)proc(get_proc, instance, "vk" #name);                       \
	if (t->name == NULL) goto fail;
	CVK_INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
#define LOAD(ret, name, args) t->name = (ret(CVK_API *) args)proc(get_proc, instance, "vk" #name);
	CVK_INSTANCE_OPTIONAL(LOAD)
#undef LOAD
	*missing = NULL;
	return (uintptr_t)t;
fail:
	free(t);
	return 0;
}

uintptr_t cvk_load_device(uintptr_t instance_table, uintptr_t device, uintptr_t queue,
                          const char **missing) {
	cvk_instance *t = (cvk_instance *)instance_table;
	cvk_device *d = calloc(1, sizeof *d);
	*missing = "memory for the function table";
	if (d == NULL) return 0;
	d->device = (cvk_handle)device;
	d->queue = (cvk_handle)queue;
#define LOAD(ret, name, args)                                                                      \
	*missing = "vk" #name;                                                                     \
	d->name = (ret(CVK_API *) args)t->GetDeviceProcAddr(d->device, "vk" #name);                \
	if (d->name == NULL) goto fail;
	CVK_DEVICE_FUNCTIONS(LOAD)
#undef LOAD
#define LOAD(ret, name, args)                                                                      \
	d->name = (ret(CVK_API *) args)t->GetDeviceProcAddr(d->device, "vk" #name);
	CVK_DEVICE_OPTIONAL(LOAD)
	CVK_EXECUTABLE_FUNCTIONS(LOAD)
#undef LOAD
	*missing = NULL;
	return (uintptr_t)d;
fail:
	free(d);
	return 0;
}

int cvk_instance_has(uintptr_t get_proc, uintptr_t instance, const char *name) {
	return proc(get_proc, instance, name) != NULL;
}

int cvk_device_has(uintptr_t instance_table, uintptr_t device, const char *name) {
	cvk_instance *t = (cvk_instance *)instance_table;
	return t->GetDeviceProcAddr((cvk_handle)device, name) != NULL;
}
