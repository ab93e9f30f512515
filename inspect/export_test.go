package inspect

// MapSizes is how attention reads long texts in little memory.
var MapSizes = mapSizes
