package script

import "slices"

// kept is how many prompts of one model the cache remembers.
const kept = 64

// prefixes plays the prefix cache of an engine: it remembers recent prompts and
// their answers as token texts.
type prefixes struct {
	prompts map[string][][]string // by model, the latest last
}

// read returns how many tokens at the beginning of prompt a recent prompt had
// too. The last token is always computed anew, as engines do.
func (c *prefixes) read(model string, prompt []string) int {
	best, at := 0, -1
	for i, old := range slices.Backward(c.prompts[model]) { // of two that share as much, the latest
		if len(old) <= best || len(prompt) <= best || old[best] != prompt[best] {
			continue // it cannot share more
		}
		n := 0
		for n < len(old) && n < len(prompt) && old[n] == prompt[n] {
			n++
		}
		if n > best {
			best, at = n, i
		}
	}
	if at >= 0 { // used: the latest now
		list := c.prompts[model]
		used := list[at]
		c.prompts[model] = append(slices.Delete(list, at, at+1), used)
	}
	return max(min(best, len(prompt)-1), 0)
}

// write remembers a prompt with its answer.
func (c *prefixes) write(model string, all []string) {
	if c.prompts == nil {
		c.prompts = map[string][][]string{}
	}
	list := append(c.prompts[model], all)
	if len(list) > kept {
		list = slices.Delete(list, 0, len(list)-kept)
	}
	c.prompts[model] = list
}
