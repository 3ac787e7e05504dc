// Package stabilityimage is the codec of Stability's models after SDXL: Stable
// Diffusion 3, Stable Image Core and Ultra, and the editing services.
//
//	{"prompt": …, "aspect_ratio": "16:9"}              ──▶ text to image
//	{"prompt": …, "mode": "image-to-image", "image"}   ──▶ image to image
//	{"image", "mask" | "search_prompt" | "left" …}     ──▶ the service that the model's id names
//	{"seeds": […], "finish_reasons": [null], "images": […]} ◀── PNG or JPEG
//
// Upscaling, style transfer, and answers as WebP are refused: no engine port has a
// place for the former two, and nothing here writes the last.
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package stabilityimage
