// Package imagetask is the body format that Titan Image Generator G1, its version 2
// and Nova Canvas share: a task, the parameters of that task, and how to paint.
//
//	{"taskType": "INPAINTING", "inPaintingParams": {…}, "imageGenerationConfig": {…}}
//	        │ a schema for each task, sizes, images, masks
//	        ▼
//	engine.PaintRequest ──▶ PNGs ──▶ kept points put back, size put right ──▶ {"images": […], "error": null}
//
// A Dialect says in what the models differ. Tasks that work on an image answer in
// the size of that image, so that masks mean the same points before and after.
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package imagetask
