package constrain

// rule is what a small model must be told besides its template's own words about
// tools. Measured with test/tools; change it only together with a run of it.
const rule = `If you need a fact or an action that one of the tools gives, reply with the tool call alone and no words about it. If the tool results already hold the answer, or if no tool fits, reply in plain sentences.`

// Rule is the text that an engine appends to the system text when tools are
// offered to a model that is constrained by [Grammar].
func Rule() string { return rule }
