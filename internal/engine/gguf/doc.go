// Package gguf reads and writes the weight files of llama.cpp, and turns the
// BERT encoders of the safetensors world into them.
//
//	FILE.gguf ──Read──▶ Header (architecture, context, layers … tensors)
//	model.safetensors + tokenizer.json + config.json ──ConvertBERT──▶ FILE.gguf
//
// Floor 1. It never loads a whole tensor table into memory, never runs a model,
// and trusts no length that a file states.
package gguf
