package inference

import (
	"regexp"
	"strconv"
)

// prompts are the words that a model was trained to see before a text.
type prompts struct {
	model    *regexp.Regexp // of the local model's name
	query    string
	document string
}

// trained is the one table of such words, by the name of the local model; the first
// row that matches counts. They are those of the models' own cards, named in each row.
// A model without a row, all-MiniLM-L6-v2 among them (sentence-transformers'
// card: texts as they are), sees a text as it is; so do bge-m3, gte and jina v2, whose
// cards say that no instruction is needed.
//
// A row is part of what knowledge bases store: their vectors were made with it, and
// the hash of the weights does not tell. Add rows before a model is in use; change none.
var trained = []prompts{
	// BAAI/bge-{small,base,large}-en and -en-v1.5; mixedbread-ai/mxbai-embed-large-v1;
	// Snowflake/snowflake-arctic-embed-{xs,s,m,m-long,l} and -m-v1.5: questions only.
	{model: name(`bge-(small|base|large)-en`), query: "Represent this sentence for searching relevant passages: "},
	{model: name(`mxbai-embed-large`), query: "Represent this sentence for searching relevant passages: "},
	// Snowflake/snowflake-arctic-embed-{m,l}-v2.0, which Ollama calls snowflake-arctic-embed2.
	{model: name(`arctic-embed(2|-[ml]-v2)`), query: "query: "},
	{model: name(`arctic-embed`), query: "Represent this sentence for searching relevant passages: "},
	// BAAI/bge-{small,base,large}-zh and -zh-v1.5.
	{model: name(`bge-(small|base|large)-zh`), query: "为这个句子生成表示以用于检索相关文章："},
	// intfloat/multilingual-e5-large-instruct and e5-mistral-7b-instruct; Qwen/Qwen3-Embedding-*.
	{model: name(`e5-.*instruct`), query: "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "},
	{model: name(`qwen3-embedding`), query: "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "},
	// intfloat/e5-{small,base,large}-v2 and multilingual-e5-{small,base,large}.
	{model: name(`e5-(small|base|large)`), query: "query: ", document: "passage: "},
	// nomic-ai/nomic-embed-text-v1, -v1.5 and -v2-moe.
	{model: name(`nomic-embed-text`), query: "search_query: ", document: "search_document: "},
	// google/embeddinggemma-300m.
	{model: name(`embedding-?gemma`), query: "task: search result | query: ", document: "title: none | text: "},
}

// name matches a model's name with or without an owner before it and a size or
// quantisation after it.
func name(words string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)(^|[^a-z0-9])(` + words + `)`)
}

// promptsOf finds the row of a local model; the zero row when it has none.
func promptsOf(local string) prompts {
	for _, p := range trained {
		if p.model.MatchString(local) {
			return p
		}
	}
	return prompts{}
}

// before is what the model wants to see before a question or a document.
func (p prompts) before(query bool) string {
	if query {
		return p.query
	}
	return p.document
}

// precede returns the texts with the words before them.
func precede(before string, texts []string) []string {
	if before == "" {
		return texts
	}
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = before + t
	}
	return out
}

// room is how many tokens the words before a document may take.
func (p prompts) room() int { return roomOf(p.document) }

// roomOf is how many tokens such words may take: one for three letters and one more is
// beyond what the tokenizers of these models make of them.
func roomOf(words string) int {
	if words == "" {
		return 0
	}
	return len(words)/3 + 1
}

func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }
