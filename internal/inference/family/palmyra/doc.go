// Package palmyra is the codec of Writer's Palmyra models, which speak the
// chat-completions format.
//
//	{"messages": …} ──▶ openaichat ──▶ choices[0].message
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package palmyra
