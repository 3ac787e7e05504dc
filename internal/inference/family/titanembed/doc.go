// Package titanembed is the codec of Amazon's Titan embeddings: G1 Text, Text V2
// and Multimodal G1.
//
//	{"inputText": …}                         ──▶ one text  ──▶ {"embedding": […1536]}
//	{"inputText": …, "dimensions": 512}      ──▶ one text  ──▶ {"embedding", "embeddingsByType"}
//	{"inputText": …, "inputImage": "base64"} ──▶ one or two ─▶ their mean
//
// The local model's vectors have unit length, so Text V2's normalize: false answers
// the same as true.
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package titanembed
