//go:build cgo

package vulkan

// fewGroups simulates a device that takes few workgroups along each axis, so that
// shaders go several rounds where other devices take one. Heads that share keys
// go in one dispatch: Vulkan promises 65,535.
func fewGroups(l *Limits) { l.Groups = [3]uint32{3, 8, 3} }

// largeTiles makes all products with many rows use large tiles.
func largeTiles(l *Limits) { l.LargeTileEdge, l.LargeTileSize, l.MatrixTiles = 1, 1, 1 }
