// Package novaembed is the codec of Amazon's Nova multimodal embeddings, as far as
// local models go: one text or one image at a time.
//
//	{"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"text": …}} ──▶ {"embeddings": [{…}]}
//
// Video, audio, and media in buckets are refused: no engine embeds the former, and
// a codec reads no buckets.
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package novaembed
