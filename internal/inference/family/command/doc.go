// Package command is the codec of Cohere's Command and Command Light in their
// prompt form.
//
//	{"prompt": …, "num_generations": 2} ──▶ one request each ──▶ {"generations": […]}
//	{"stream": true, …}                 ──▶ chunks of text, one last chunk for each generation
//
// Without "stream": true a streamed answer is one chunk, as the service's is.
//
// Floor 4, part of the inference room. It keeps nothing between calls.
package command
