// Package openai is the engine that asks an endpoint speaking OpenAI's HTTP
// dialect: vLLM, SGLang, Ollama, llama-server on another machine, or a hosted
// service; and image servers, in OpenAI's or in stable-diffusion.cpp's dialect.
//
//	Request ─wire─▶ POST /chat/completions (stream) ─▶ wire.Chat ─▶ Delta … Result
//	EmbedRequest ─▶ POST /embeddings            PaintRequest ─▶ /images/… or /sdapi/…
//
// Floor 1. It supervises nothing, counts tokens only as the endpoint does (a
// guess is marked as one), and refuses what the endpoint has no way to honour.
package openai
