// Package novacanvas is the codec of Amazon's Nova Canvas.
//
//	{"taskType": …} ──▶ imagetask ──▶ {"images": […], "error": null}
//
// Virtual try-on is refused: no engine port has a place for its second image.
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package novacanvas
