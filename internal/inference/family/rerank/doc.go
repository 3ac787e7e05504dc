// Package rerank is the codec of the rerankers, Cohere's and Amazon's.
//
//	{"query": …, "documents": […], "top_n": 3} ──▶ scores ──▶ {"results": [{"index", "relevance_score"}]}
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package rerank
