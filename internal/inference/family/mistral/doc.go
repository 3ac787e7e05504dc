// Package mistral is the codec of Mistral: the prompt form of the instruct models
// and the chat form of the later ones.
//
//	{"prompt": "<s>[INST] … [/INST]"} ──▶ turns ──▶ {"outputs": [{"text": …}]}
//	{"messages": …}                   ──▶ openaichat ──▶ {"choices": …}
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package mistral
