// Package titanimage is the codec of Amazon's Titan Image Generator G1 and its
// version 2.
//
//	{"taskType": …} ──▶ imagetask, by the model's dialect ──▶ {"images": […], "error": null}
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package titanimage
