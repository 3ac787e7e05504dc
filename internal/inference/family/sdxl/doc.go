// Package sdxl is the codec of Stability's SDXL 0.8 and 1.0.
//
//	{"text_prompts": […], "width", "height"}          ──▶ text to image
//	{…, "init_image": …, "image_strength": 0.4}       ──▶ image to image
//	{…, "mask_source": …, "mask_image": …}            ──▶ masking
//	{"result": "success", "artifacts": [{"seed", "base64", "finishReason"}]} ◀── PNG
//
// The mode follows from the keys. A seed of 0 is replaced by a random one, and the
// seed that was used is answered.
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package sdxl
