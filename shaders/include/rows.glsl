// Rows of tensors with up to three outer axes: see View in params.go.

uint row(uvec4 v, uint r, uint n1, uint n2) {
	return v.x + r / (n1 * n2) * v.y + r / n2 % n1 * v.z + r % n2 * v.w;
}
