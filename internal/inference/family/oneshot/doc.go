// Package oneshot is the part that the codecs of embedding, reranking and image
// families share: they answer once, in one piece, and hold no conversation.
//
//	titanembed, cohereembed, rerank, sdxl … ──embed──▶ oneshot.Only
//
// Floor 4, part of the inference room. It never reads a body.
package oneshot
