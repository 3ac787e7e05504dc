// Package deepseek is the codec of DeepSeek: the prompt form of R1 and the
// chat-completions form of the models after it.
//
//	{"prompt": "<｜User｜>…"} ──▶ turns ──▶ {"choices": [{"text": …}]}
//	{"messages": …}          ──▶ openaichat
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package deepseek
