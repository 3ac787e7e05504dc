// Package cohereembed is the codec of Cohere's Embed v3 and v4.
//
//	{"texts": […], "input_type": …}      ──▶ one text each  ──▶ {"embeddings": [[…]]}
//	{"images": ["data:…"]}               ──▶ one image each ──▶ {"embeddings": …, "images": …}
//	{"inputs": [{"content": […]}]} (v4)  ──▶ texts and images, their mean for each input
//
// The local model knows no input types, so input_type is checked and has no effect.
// Nor has truncate: v3's texts are bounded by their characters, and longer ones of v4
// are embedded in windows by the caller.
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package cohereembed
