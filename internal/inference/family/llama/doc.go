// Package llama is the codec of Meta's Llama 2, 3 and 4 in their prompt form.
//
//	{"prompt": "<s>[INST] …"}            ──┐
//	{"prompt": "<|start_header_id|>…"}   ──┼─▶ turns ──▶ {"generation": …}
//	{"prompt": "a bare question"}        ──┘
//
// The prompt's template is taken apart so that the local model gets the turns in
// its own. Floor 4, part of the inference room. It keeps nothing between calls.
package llama
