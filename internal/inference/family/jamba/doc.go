// Package jamba is the codec of AI21's Jamba: the chat-completions format with
// several answers in one call and documents beside the messages.
//
//	{"messages": …, "n": 2}  ──▶ openaichat's reader ──▶ one request for each answer
//	{"choices": [{"message"}], "usage"}  ◀── Encode
//	chunks with a delta and its index    ◀── Stream
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package jamba
