// Ops from element to element: invocations along x share a row, workgroups
// along y the rows; both step on until all is done, because a dispatch may
// have no more than 65,535 workgroups along an axis.
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
