package prompt

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
)

const (
	textAskMissing  = "If a tool needs a value that neither the user nor a tool has given, do not make it up: ask the user for it with "
	textAskConfirm  = "If you are not sure of a value, ask the user to confirm it before you call."
	textAskExamples = "For example, the user wants to know the state of a claim but names no claim. Then ask: Which claim do you mean?"
	textAskInvoke   = "<invoke><tool_name>" + AskName + "</tool_name><parameters><question>$QUESTION</question></parameters></invoke>"
	textAskCall     = "<function_call>" + AskName + `(askuser="$ASK_USER_INPUT")</function_call>`
	textKnowledge   = "Answer from what the knowledge bases return, and say so when they return nothing that helps."
	textCode        = "Compute with the code interpreter instead of in your head. It is Python; print what you need to know."
	textMemory      = "Use what earlier sessions were about where it helps, without saying that you were told."
)

type filling map[string]func() string

// known are the placeholders by name. A value is made when a text asks for it.
func (v *Values) known(inText bool) filling {
	ask := v.Plan.Enabled(plan.UserInput)
	when := func(on bool, text string) func() string {
		return func() string {
			if on {
				return text
			}
			return ""
		}
	}
	is := func(s string) func() string { return func() string { return s } }
	nothing := is("")
	list := func() string { return List(v.Plan) }
	askTool := AskTool
	if inText {
		askTool = AskName
	}
	team := func() string { return collaborators(v.Plan) }
	talk := func() string { return transcript(v.History) }
	return filling{
		"instruction": is(v.Plan.Instruction), "instructions": is(v.Plan.Instruction), "question": is(v.Question),
		"tools": list, "functions": list,
		"any_function_name":         func() string { return anyName(v.Plan) },
		"conversation_history":      talk,
		"agent_scratchpad":          func() string { return scratchpad(v.Scratchpad) },
		"prompt_session_attributes": func() string { return attributes(v.PromptAttributes) },

		"ask_user_missing_parameters":  when(ask, textAskMissing+askTool+"."),
		"ask_user_missing_information": when(ask, textAskMissing+askTool+"."),
		"ask_user_confirm_parameters":  when(ask, textAskConfirm),
		"ask_user_function":            when(ask, askTool),
		"ask_user_function_format": func() string {
			switch {
			case !ask || !inText:
				return "" // the engine tells how its tools are called
			case FormOf(v.Plan.Model) == Call20:
				return textAskCall
			}
			return textAskInvoke
		},
		"ask_user_input_examples": when(ask, textAskExamples),

		"query": is(v.Query), "search_results": is(v.Results), "latest_response": is(v.Latest), "bot_response": is(v.Latest),
		"responses": func() string { return responses(v.Responses) },

		"thought": is("thinking"), "model_instruction": nothing, "action_kb_guideline": nothing, "multi_agent_payload_reference_guideline": nothing,
		"knowledge_base_guideline": when(len(v.Plan.Knowledge) > 0, textKnowledge), "knowledge_base_additional_guideline": nothing,
		"code_interpreter_guideline": when(v.Plan.Enabled(plan.CodeInterpreter), textCode),
		"code_interpreter_files": func() string {
			if len(v.Files) == 0 {
				return ""
			}
			return "Files beside the code: " + strings.Join(v.Files, ", ")
		},
		"memory_content": func() string { return memory(v.Memory) }, "memory_guideline": when(len(v.Memory) > 0, textMemory), "memory_action_guideline": nothing,

		"agent_collaborators": team, "reachable_agents": team, "last_user_request": is(v.Asked), "conversation": talk,
		"knowledge_base_routing": nothing, "action_routing": nothing, "knowledge_base_routing_guideline": nothing, "action_routing_guideline": nothing,
		"last_most_specialized_agent_guideline": nothing,

		"past_conversation_summary": is(v.Past),
	}
}

// attributes tells the prompt session attributes in the order of their names.
func attributes(m map[string]string) string {
	var w strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&w, "<attribute name=\"%s\">%s</attribute>\n", k, m[k])
	}
	return strings.TrimSuffix(w.String(), "\n")
}

// memory tells what earlier sessions were about.
func memory(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return "What earlier sessions with this user were about, newest first:\n<session_summary>\n" + strings.Join(list, "\n</session_summary>\n<session_summary>\n") + "\n</session_summary>"
}

func responses(list []string) string {
	var w strings.Builder
	for _, r := range list {
		w.WriteString("<response>" + r + "</response>\n")
	}
	return strings.TrimSuffix(w.String(), "\n")
}

// expand fills $name$ in, from left to right; what was filled in is not looked at
// again, and names that are not known stay as they are. A line of nothing but
// placeholders that all stand for nothing is left out.
func expand(s string, known filling) string {
	if !strings.Contains(s, "$") {
		return s
	}
	var w strings.Builder
	w.Grow(2 * len(s))
	for line := range strings.Lines(s) {
		filled, alone := expandLine(line, known)
		if alone && strings.TrimSpace(filled) == "" {
			continue
		}
		w.WriteString(filled)
	}
	return w.String()
}

// expandLine fills one line in and reports whether it holds placeholders and nothing
// else.
func expandLine(s string, known filling) (filled string, alone bool) {
	var w strings.Builder
	rest, found := strings.Builder{}, false
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			break
		}
		w.WriteString(s[:i])
		rest.WriteString(s[:i])
		s = s[i:]
		if end := strings.IndexByte(s[1:], '$'); end >= 0 {
			if f := known[s[1:1+end]]; f != nil {
				w.WriteString(f())
				s, found = s[end+2:], true
				continue
			}
		}
		w.WriteByte('$')
		rest.WriteByte('$')
		s = s[1:]
	}
	w.WriteString(s)
	rest.WriteString(s)
	return w.String(), found && strings.TrimSpace(rest.String()) == ""
}
