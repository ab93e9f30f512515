// A preload that plays the kernel's side of an Intel GPU (i915): Mesa's driver opens it, compiles, records and submits,
// and a submit does nothing. Debian's mesa-drm-shim, which does so for other makers, has none for Intel. gpulab.sh
// compiles it. Written from the kernel's interface, i915_drm.h.
//
// CALDERA_I915 chooses the card: dg2 (Arc A770) or tgl (Iris Xe of Tiger Lake).
//
// libdrm's functions that list devices are replaced. The device is a file in memory, in which each buffer object has a
// range, so that the driver's own mmap works.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <i915_drm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xf86drm.h>

#define NODE "/dev/dri/renderD128"
#define PRIMARY "/dev/dri/card0"
#define EXPORT __attribute__((visibility("default")))

static const struct card {
	const char *name;
	int device, revision;
	int slices, subslices, eus; // subslices of a slice, EUs of a subslice
	uint64_t local;             // bytes of the card's own memory; 0: it has none
} cards[] = {
	{"dg2", 0x56a0, 8, 8, 4, 16, 16ull << 30},
	{"tgl", 0x9a49, 1, 1, 6, 16, 0},
};

static const struct card *card(void) {
	const char *name = getenv("CALDERA_I915");
	for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
		if (name != NULL && strcmp(name, cards[i].name) == 0) return &cards[i];
	fprintf(stderr, "i915.so: CALDERA_I915=%s, expected dg2 or tgl\n", name == NULL ? "" : name);
	abort();
}

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

// The file in memory that is the device.

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int file = -1;
static ino_t inode;

enum { OBJECTS = 1 << 16 };
static struct {
	uint64_t at, size;
} objects[OBJECTS];
static uint32_t last_object, last_handle; // handles of syncobjs, contexts, address spaces
static uint64_t end;

static int open_device(void) {
	pthread_mutex_lock(&lock);
	if (file < 0) {
		struct stat s;
		file = memfd_create("i915", MFD_CLOEXEC);
		if (file >= 0 && fstat(file, &s) == 0) inode = s.st_ino;
	}
	pthread_mutex_unlock(&lock);
	return file < 0 ? -1 : fcntl(file, F_DUPFD_CLOEXEC, 3);
}

static int is_device(int fd) {
	struct stat s;
	return file >= 0 && fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_ino == inode;
}

static int create(uint64_t size, uint32_t *handle) {
	int r = 0;
	size = (size + 0xffff) & ~0xffffull;
	pthread_mutex_lock(&lock);
	if (last_object + 1 >= OBJECTS || ftruncate(file, end + size) != 0) {
		errno = ENOMEM;
		r = -1;
	} else {
		*handle = ++last_object;
		objects[*handle].at = end;
		objects[*handle].size = size;
		end += size;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

static int destroy(uint32_t handle) {
	if (handle == 0 || handle > last_object) {
		errno = EINVAL;
		return -1;
	}
	return fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, objects[handle].at, objects[handle].size);
}

static uint32_t new_handle(void) { return __atomic_add_fetch(&last_handle, 1, __ATOMIC_RELAXED); }

// Queries. Each writes its answer to out, which has room for it, and returns its size.

enum { ROOM = 4096 };

static int topology(uint8_t *out) {
	const struct card *c = card();
	struct drm_i915_query_topology_info *t = (void *)out;
	t->max_slices = c->slices;
	t->max_subslices = c->subslices;
	t->max_eus_per_subslice = c->eus;
	t->subslice_offset = (c->slices + 7) / 8;
	t->subslice_stride = (c->subslices + 7) / 8;
	t->eu_offset = t->subslice_offset + c->slices * t->subslice_stride;
	t->eu_stride = (c->eus + 7) / 8;
	uint8_t *d = out + sizeof *t;
	for (int s = 0; s < c->slices; s++) d[s / 8] |= 1 << s % 8;
	for (int s = 0; s < c->slices; s++)
		for (int u = 0; u < c->subslices; u++) {
			d[t->subslice_offset + s * t->subslice_stride + u / 8] |= 1 << u % 8;
			for (int e = 0; e < c->eus; e++)
				d[t->eu_offset + (s * c->subslices + u) * t->eu_stride + e / 8] |= 1 << e % 8;
		}
	return sizeof *t + t->eu_offset + c->slices * c->subslices * t->eu_stride;
}

static int engines(uint8_t *out) {
	static const uint16_t classes[] = {I915_ENGINE_CLASS_RENDER, I915_ENGINE_CLASS_COPY, I915_ENGINE_CLASS_VIDEO, I915_ENGINE_CLASS_COMPUTE};
	struct drm_i915_query_engine_info *e = (void *)out;
	e->num_engines = card()->local > 0 ? 4 : 3; // integrated ones have no engine for compute alone
	for (uint32_t i = 0; i < e->num_engines; i++) e->engines[i].engine.engine_class = classes[i];
	return sizeof *e + e->num_engines * sizeof e->engines[0];
}

static int regions(uint8_t *out) {
	struct drm_i915_query_memory_regions *m = (void *)out;
	m->regions[0].region.memory_class = I915_MEMORY_CLASS_SYSTEM;
	m->regions[0].probed_size = m->regions[0].unallocated_size = 32ull << 30;
	m->num_regions = 1;
	if (card()->local > 0) {
		m->regions[1].region.memory_class = I915_MEMORY_CLASS_DEVICE;
		m->regions[1].probed_size = m->regions[1].unallocated_size = card()->local;
		m->regions[1].probed_cpu_visible_size = m->regions[1].unallocated_cpu_visible_size = card()->local;
		m->num_regions = 2;
	}
	return sizeof *m + m->num_regions * sizeof m->regions[0];
}

static int query(struct drm_i915_query *q) {
	struct drm_i915_query_item *items = (void *)(uintptr_t)q->items_ptr;
	for (uint32_t i = 0; i < q->num_items; i++) {
		uint8_t answer[ROOM] __attribute__((aligned(8))) = {0};
		int size = -EINVAL; // the kernel's answer to queries that it does not know
		switch (items[i].query_id) {
		case DRM_I915_QUERY_TOPOLOGY_INFO:
		case DRM_I915_QUERY_GEOMETRY_SUBSLICES: size = topology(answer); break;
		case DRM_I915_QUERY_ENGINE_INFO: size = engines(answer); break;
		case DRM_I915_QUERY_MEMORY_REGIONS: size = regions(answer); break;
		}
		if (size > 0 && items[i].length != 0) {
			if (items[i].length < size)
				size = -EINVAL;
			else
				memcpy((void *)(uintptr_t)items[i].data_ptr, answer, size);
		}
		items[i].length = size;
	}
	return 0;
}

static int parameter(int32_t name, int *value) {
	const struct card *c = card();
	switch (name) {
	case I915_PARAM_CHIPSET_ID: *value = c->device; break;
	case I915_PARAM_REVISION: *value = c->revision; break;
	case I915_PARAM_CS_TIMESTAMP_FREQUENCY: *value = 19200000; break;
	case I915_PARAM_SLICE_MASK: *value = (1 << c->slices) - 1; break;
	case I915_PARAM_SUBSLICE_MASK: *value = (1 << c->subslices) - 1; break;
	case I915_PARAM_SUBSLICE_TOTAL: *value = c->slices * c->subslices; break;
	case I915_PARAM_EU_TOTAL: *value = c->slices * c->subslices * c->eus; break;
	case I915_PARAM_MMAP_GTT_VERSION: *value = 4; break; // mmap at an offset
	case I915_PARAM_MMAP_VERSION: *value = 1; break;
	case I915_PARAM_NUM_FENCES_AVAIL: *value = 16; break;
	case I915_PARAM_HAS_ALIASING_PPGTT: *value = 3; break; // each context has an address space of 48 bits
	default: *value = 1; // what else is asked is whether something is there
	}
	return 0;
}

static int context_parameter(struct drm_i915_gem_context_param *p) {
	p->size = 0;
	p->value = p->param == I915_CONTEXT_PARAM_GTT_SIZE ? 1ull << 48 : p->param == I915_CONTEXT_PARAM_VM ? new_handle() : 0;
	return 0;
}

static int points(struct drm_syncobj_timeline_array *a) { // all are reached
	uint64_t *to = (void *)(uintptr_t)a->points;
	for (uint32_t i = 0; i < a->count_handles; i++) to[i] = 0;
	return 0;
}

static int version(struct drm_version *v) {
	static char name[] = "i915";
	v->version_major = 1;
	v->version_minor = 6;
	if (v->name != NULL && v->name_len >= 4) memcpy(v->name, name, 4);
	v->name_len = 4;
	v->date_len = v->desc_len = 0;
	return 0;
}

static int answer(unsigned long request, void *arg) {
	switch (request) {
	case DRM_IOCTL_VERSION: return version(arg);
	case DRM_IOCTL_GET_CAP: {
		struct drm_get_cap *c = arg;
		c->value = c->capability == DRM_CAP_SYNCOBJ || c->capability == DRM_CAP_SYNCOBJ_TIMELINE ||
		           c->capability == DRM_CAP_PRIME;
		return 0;
	}
	case DRM_IOCTL_I915_GETPARAM: {
		struct drm_i915_getparam *p = arg;
		return parameter(p->param, p->value);
	}
	case DRM_IOCTL_I915_QUERY: return query(arg);
	case DRM_IOCTL_I915_GEM_GET_APERTURE: {
		struct drm_i915_gem_get_aperture *a = arg;
		a->aper_size = a->aper_available_size = 1ull << 32;
		return 0;
	}
	case DRM_IOCTL_I915_GEM_CREATE: {
		struct drm_i915_gem_create *c = arg;
		return create(c->size, &c->handle);
	}
	case DRM_IOCTL_I915_GEM_CREATE_EXT: {
		struct drm_i915_gem_create_ext *c = arg;
		return create(c->size, &c->handle);
	}
	case DRM_IOCTL_I915_GEM_USERPTR: {
		struct drm_i915_gem_userptr *u = arg;
		return create(u->user_size, &u->handle);
	}
	case DRM_IOCTL_GEM_CLOSE: return destroy(((struct drm_gem_close *)arg)->handle);
	case DRM_IOCTL_I915_GEM_MMAP_OFFSET: {
		struct drm_i915_gem_mmap_offset *m = arg;
		m->offset = m->handle <= last_object ? objects[m->handle].at : 0;
		return 0;
	}
	case DRM_IOCTL_I915_GEM_CONTEXT_CREATE:
	case DRM_IOCTL_I915_GEM_CONTEXT_CREATE_EXT: ((struct drm_i915_gem_context_create_ext *)arg)->ctx_id = new_handle(); return 0;
	case DRM_IOCTL_I915_GEM_CONTEXT_GETPARAM: return context_parameter(arg);
	case DRM_IOCTL_I915_GEM_VM_CREATE: ((struct drm_i915_gem_vm_control *)arg)->vm_id = new_handle(); return 0;
	case DRM_IOCTL_I915_GEM_BUSY: ((struct drm_i915_gem_busy *)arg)->busy = 0; return 0;
	case DRM_IOCTL_I915_GEM_WAIT: ((struct drm_i915_gem_wait *)arg)->timeout_ns = 0; return 0;
	case DRM_IOCTL_I915_REG_READ: ((struct drm_i915_reg_read *)arg)->val = 0; return 0;
	case DRM_IOCTL_I915_GET_RESET_STATS: {
		struct drm_i915_reset_stats *s = arg;
		s->reset_count = s->batch_active = s->batch_pending = 0;
		return 0;
	}
	case DRM_IOCTL_SYNCOBJ_CREATE: ((struct drm_syncobj_create *)arg)->handle = new_handle(); return 0;
	case DRM_IOCTL_SYNCOBJ_QUERY: return points(arg);
	// What changes nothing that is read again, and waits for what is done.
	case DRM_IOCTL_I915_GEM_EXECBUFFER2:
	case DRM_IOCTL_I915_GEM_EXECBUFFER2_WR:
	case DRM_IOCTL_I915_GEM_CONTEXT_DESTROY:
	case DRM_IOCTL_I915_GEM_CONTEXT_SETPARAM:
	case DRM_IOCTL_I915_GEM_VM_DESTROY:
	case DRM_IOCTL_I915_GEM_SET_CACHING:
	case DRM_IOCTL_I915_GEM_SET_DOMAIN:
	case DRM_IOCTL_I915_GEM_SET_TILING:
	case DRM_IOCTL_I915_GEM_GET_TILING:
	case DRM_IOCTL_I915_GEM_MADVISE:
	case DRM_IOCTL_SYNCOBJ_DESTROY:
	case DRM_IOCTL_SYNCOBJ_RESET:
	case DRM_IOCTL_SYNCOBJ_SIGNAL:
	case DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL:
	case DRM_IOCTL_SYNCOBJ_TRANSFER:
	case DRM_IOCTL_SYNCOBJ_WAIT:
	case DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT: return 0;
	}
	if (getenv("CALDERA_I915_DEBUG") != NULL) fprintf(stderr, "i915.so: unknown ioctl %#lx (number %#lx)\n", request, _IOC_NR(request));
	errno = EINVAL;
	return -1;
}

// What is replaced.

EXPORT int ioctl(int fd, unsigned long request, ...) {
	static int (*real)(int, unsigned long, ...);
	va_list list;
	va_start(list, request);
	void *arg = va_arg(list, void *);
	va_end(list);
	if (real == NULL) real = next("ioctl");
	if (_IOC_TYPE(request) == DRM_IOCTL_BASE && is_device(fd)) return answer(request, arg);
	return real(fd, request, arg);
}

// node is the minor number of the device's files, or -1 for others.
static int node(const char *path) {
	if (path == NULL) return -1;
	return strcmp(path, NODE) == 0 ? 128 : strcmp(path, PRIMARY) == 0 ? 0 : -1;
}

#define OPEN(name)                                                                                                             \
	EXPORT int name(const char *path, int flags, ...) {                                                                    \
		static int (*real)(const char *, int, ...);                                                                    \
		va_list list;                                                                                                  \
		va_start(list, flags);                                                                                         \
		mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;                                      \
		va_end(list);                                                                                                  \
		if (node(path) >= 0) return open_device();                                                                     \
		if (real == NULL) real = next(#name);                                                                          \
		return real(path, flags, mode);                                                                                \
	}
OPEN(open)
OPEN(open64)

#define STAT(name, type)                                                                                                       \
	EXPORT int name(const char *path, struct type *s) {                                                                    \
		static int (*real)(const char *, struct type *);                                                               \
		if (node(path) >= 0) {                                                                                         \
			memset(s, 0, sizeof *s);                                                                               \
			s->st_mode = S_IFCHR | 0666;                                                                           \
			s->st_rdev = makedev(226, node(path));                                                                 \
			return 0;                                                                                              \
		}                                                                                                              \
		if (real == NULL) real = next(#name);                                                                          \
		return real(path, s);                                                                                          \
	}
STAT(stat, stat)
STAT(stat64, stat64)

static drmDevicePtr device(void) {
	struct whole {
		drmDevice device;
		char *nodes[DRM_NODE_MAX];
		char render[sizeof NODE], primary[sizeof PRIMARY];
		drmPciBusInfo bus;
		drmPciDeviceInfo info;
	} *d = calloc(1, sizeof *d);
	memcpy(d->render, NODE, sizeof NODE);
	memcpy(d->primary, PRIMARY, sizeof PRIMARY);
	d->nodes[DRM_NODE_RENDER] = d->render;
	d->nodes[DRM_NODE_PRIMARY] = d->primary;
	d->device.nodes = d->nodes;
	d->device.available_nodes = 1 << DRM_NODE_RENDER | 1 << DRM_NODE_PRIMARY;
	d->device.bustype = DRM_BUS_PCI;
	d->bus.bus = card()->local > 0 ? 3 : 0;
	d->bus.dev = 2;
	d->device.businfo.pci = &d->bus;
	d->info.vendor_id = d->info.subvendor_id = 0x8086;
	d->info.device_id = card()->device;
	d->info.revision_id = card()->revision;
	d->device.deviceinfo.pci = &d->info;
	return &d->device;
}

EXPORT int drmGetDevices2(uint32_t flags, drmDevicePtr devices[], int most) {
	if (devices != NULL && most > 0) devices[0] = device();
	return 1;
}
EXPORT int drmGetDevice2(int fd, uint32_t flags, drmDevicePtr *out) {
	*out = device();
	return 0;
}
EXPORT int drmGetDevice(int fd, drmDevicePtr *out) { return drmGetDevice2(fd, 0, out); }
EXPORT void drmFreeDevice(drmDevicePtr *d) {
	if (d != NULL) free(*d), *d = NULL;
}
EXPORT void drmFreeDevices(drmDevicePtr devices[], int n) {
	for (int i = 0; i < n; i++) drmFreeDevice(&devices[i]);
}
