// Package retrieve finds passages in knowledge bases, and puts passages in order:
// Retrieve, Rerank, and the search that answers with sources are built on.
//
//	Retrieve ─ checks ─▶ Search ◀─ RetrieveAndGenerate, turns of agents
//	                       │
//	  plan       configuration of the wire ─▶ number, mode, vector.Filter, reranking
//	  service role ─ its key, its right to the embedding model
//	  embed      question ─▶ vector, by the model that embedded the chunks
//	  find       vector.Index.Search ─ filter before the best are chosen
//	             children ─▶ their parents, each once
//	  rerank     reranker ─▶ new scores, new order
//	                       │
//	             results: text, place, attributes, score in [0,1], best first
//
// What the service model leaves open, and what is done here:
//
//   - Without overrideSearchType the search is hybrid where the store can, as it is
//     with HYBRID; HYBRID on a store that cannot falls back to SEMANTIC, and the log
//     says so. A filter operator that the store lacks is refused, never left out.
//   - An answer is the numberOfResults best and has no further page, so no nextToken is
//     ever given, and one that comes is not ours. A page two would be another search
//     over an index that may have changed between them; who wants more asks for
//     more, and 100 is as far as the service goes.
//   - Where a data source was cut hierarchically, the children are found and their
//     parents answered: each once, in the order and with the score of its best
//     child. Children are asked for until enough parents have come, up to 10,000.
//   - Reranking works on the numberOfResults that were found and answers
//     numberOfRerankedResults of them, or all. Without metadataConfiguration the
//     reranker sees the text alone; ALL puts the document's attributes before it, but
//     not those that ingestion adds under x-amz-bedrock-kb-.
//   - For reranking, the service role must be allowed bedrock:Rerank and to invoke the
//     model, unless Question.Permit asks somebody else: in RetrieveAndGenerate
//     it is the caller. Rerank itself asks the caller.
//   - Where no reranker is installed, the default embedding model orders by cosine; the
//     log and the header of the served model say so (inference.RerankTexts). Nothing
//     at all is a refusal.
//
// Refused, in words: questions with images, guardrails, filters that a model makes from
// the question (implicitFilterConfiguration), additionalModelRequestFields; and all of
// GenerateQuery, for there are no knowledge bases of tables here.
//
// Floor 4, a folder of the room knowledge. It writes nothing, keeps nothing between
// calls, and never searches an index in its own name.
package retrieve
