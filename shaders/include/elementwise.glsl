// Elementwise ops. Invocations along x share a row, and workgroups along y share the
// rows. Both loop until all is done, because a dispatch may have at most 65,535
// workgroups along an axis on some devices.
//
// X4: bases, strides and row lengths are in fours.

#ifdef X4
#define T vec4
#else
#define T float
#endif

#define FOR_ROWS(r, rows) for (uint r = gl_WorkGroupID.y; r < rows; r += gl_NumWorkGroups.y)
#define FOR_ROW(i, n) for (uint i = gl_GlobalInvocationID.x; i < n; i += gl_NumWorkGroups.x * gl_WorkGroupSize.x)

layout(local_size_x = 64, local_size_x_id = 0) in;
