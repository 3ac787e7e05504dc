// Package gptoss is the codec of OpenAI's open-weight gpt-oss models. They speak
// the chat-completions format and put their reasoning into the text, between
// <reasoning> tags.
//
//	{"messages": …} ──▶ openaichat ──▶ choices[0].message
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package gptoss
