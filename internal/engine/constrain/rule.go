package constrain

import (
	"math"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/engine"
)

// rule is what a small model must be told besides its template's own words about
// tools. It leans to plain answers: with it a model of 1.5 B parameters gives no
// weight to a call for a greeting or a sum, and where a tool is needed it would
// rather explain the call, but thinks of calling all the same, which Decide sees.
// Nine wordings were compared on the first steps of the tuning tasks of
// test/tools; those that made the model call by itself made it call at "2 + 2"
// too. Change it only together with a run of them.
const rule = `You are a helpful assistant. Questions that you can answer yourself (greetings, thanks, arithmetic such as 7 + 5, general knowledge such as who wrote Hamlet) you answer in plain sentences, without a tool. For everything else you call the tools yourself: your whole reply is the call, as JSON in <tool_call></tool_call>, without a word before it. Never explain how a tool would be used, and copy names and ids into the call exactly as they were given. When the tool results already hold the answer, reply in plain sentences that give the facts of the results.`

// Rule is the text that an engine appends to the system text when tools are
// offered to a model that is constrained by [Grammar].
func Rule() string { return rule }

// reminder stands behind the newest tool results, where a small model still
// attends to it: at the system text's distance it answers with half of the facts.
//
// It does not speak of the question. "Answer the question completely" made
// Qwen2.5-Coder-1.5B repeat the question, or write the next one, after 6 of 14 results
// of lists, and giving the question's own words here after 13 of them; with these
// words it was none.
const reminder = "\n(Call the next tool if one is still needed. Else write the answer for the user in full sentences, with every number, name and code of the results.)"

// Reminder is the text that an engine appends to the newest tool results of a
// model that is constrained by [Grammar].
func Reminder() string { return reminder }

// leastMass is the probability that a call begins above which the model means
// one. Measured on the first steps of the twenty tuning tasks with
// Qwen2.5-Coder-1.5B, before the rule spoke of copying ids and of giving the facts
// of results: 0.04 to 0.63 where a tool is needed, below 0.005 where none is.
const leastMass = 0.02

// Undecided reports whether the engine should ask the model for the
// probabilities of its first token, and [Decide] by them, before it generates:
// the model is free to call or not, and no tool has answered in this turn.
func Undecided(req *engine.Request) bool {
	return callable(req) && req.ToolChoice.Mode == engine.ToolAuto && len(req.ResultSchema) == 0 &&
		!(req.Thinking != nil && req.Thinking.Enabled) && prefill(req) == "" && len(answered(req)) == 0
}

// Decide looks at the probabilities of the first token, taken without a grammar:
// Top holds at least ten. The spellings of a call share its probability, so that
// a sentence may be the likeliest single token although a call is meant.
func Decide(first engine.Token) Options {
	mass := 0.0
	for _, t := range first.Top {
		if s := strings.TrimSpace(t.Text); s != "" && strings.ContainsRune("{`<", rune(s[0])) {
			mass += math.Exp(t.Logprob)
		}
	}
	return Options{ForceCalls: mass >= leastMass}
}
