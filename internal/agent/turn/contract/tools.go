package contract

import (
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

// AskName is what the question to the user is called in text.
const AskName = "user::askuser"

const (
	knowledgePrefix = "x_amz_knowledgebase_"
	textAskMissing  = "If a required parameter is missing, do not make it up: ask the user for it with " + AskName + "."
	textAskFormat   = "<invoke><tool_name>" + AskName + "</tool_name><parameters><question>$QUESTION</question></parameters></invoke>"
	textAskExamples = "Example: the user wants a claim's status but names no claim. Ask: Which claim do you mean?"
)

// Name is what an action is called in text.
func Name(g *plan.Group, a *plan.Action) string {
	if a.Function != "" {
		return g.Name + "::" + a.Function
	}
	return strings.ToUpper(a.Verb) + "::" + g.Name + "::" + a.Name()
}

// KnowledgeName is what a knowledge base is called in text.
func KnowledgeName(id string) string { return "GET::" + knowledgePrefix + id + "::Search" }

// Tools lists what a plan can do as text.
func Tools(p *plan.Plan) string {
	var w strings.Builder
	w.WriteString("<tools>\n")
	for i := range p.Groups {
		g := &p.Groups[i]
		if g.Signature == plan.UserInput {
			tool(&w, AskName, "Ask the user for information that is missing.", []plan.Parameter{{Name: "question", Type: "string", Required: true}}, "")
			continue
		}
		for j := range g.Actions {
			a := &g.Actions[j]
			tool(&w, Name(g, a), a.Description, append(a.Parameters[:len(a.Parameters):len(a.Parameters)], a.Body...), a.Returns)
		}
	}
	for i := range p.Knowledge {
		k := &p.Knowledge[i]
		tool(&w, KnowledgeName(k.ID), k.Description, []plan.Parameter{{Name: "searchQuery", Type: "string", Required: true, Description: "what to look for"}}, "")
	}
	if len(p.Collaborators) > 0 {
		tool(&w, "AgentCommunication::sendMessage", "Send a message to another agent:\n"+collaborators(p), []plan.Parameter{
			{Name: "recipient", Type: "string", Required: true}, {Name: "content", Type: "string", Required: true},
		}, "")
	}
	w.WriteString("</tools>")
	return w.String()
}

func tool(w *strings.Builder, name, description string, list []plan.Parameter, returns string) {
	fmt.Fprintf(w, "<tool_description>\n<tool_name>%s</tool_name>\n<description>%s</description>\n<parameters>\n", name, description)
	for i := range list {
		p := &list[i]
		required := "False"
		if p.Required {
			required = "True"
		}
		fmt.Fprintf(w, "<parameter>\n<name>%s</name>\n<type>%s</type>\n<description>%s</description>\n<is_required>%s</is_required>\n</parameter>\n", p.Name, p.Type, p.Description, required)
	}
	w.WriteString("</parameters>\n")
	if returns != "" {
		fmt.Fprintf(w, "<returns>\n<output>\n<type>object</type>\n<description>%s</description>\n</output>\n</returns>\n", returns)
	}
	w.WriteString("</tool_description>\n")
}

func anyName(p *plan.Plan) string {
	for i := range p.Groups {
		if len(p.Groups[i].Actions) > 0 {
			return Name(&p.Groups[i], &p.Groups[i].Actions[0])
		}
	}
	for i := range p.Knowledge {
		return KnowledgeName(p.Knowledge[i].ID)
	}
	return ""
}

func collaborators(p *plan.Plan) string {
	var w strings.Builder
	for i := range p.Collaborators {
		fmt.Fprintf(&w, "<agent name=%q>%s</agent>\n", p.Collaborators[i].Name, p.Collaborators[i].Instruction)
	}
	return strings.TrimSuffix(w.String(), "\n")
}

// Result is the answer of a tool as text tells it.
func Result(name, text string) string {
	return "<function_results>\n<result>\n<tool_name>" + name + "</tool_name>\n<stdout>" + text + "</stdout>\n</result>\n</function_results>"
}

func said(m *engine.Message) string {
	var list []string
	for i := range m.Parts {
		if p := &m.Parts[i]; p.IsText() && p.Text != "" {
			list = append(list, p.Text)
		}
	}
	return strings.Join(list, "\n")
}

// transcript writes a conversation for prompts that tell it as text.
func transcript(list []engine.Message) string {
	var w strings.Builder
	for i := range list {
		who := "User: "
		if list[i].Role == engine.Assistant {
			who = "Assistant: "
		}
		w.WriteString(who + said(&list[i]) + "\n")
	}
	return strings.TrimSuffix(w.String(), "\n")
}

// scratchpad is what the model wrote in this turn and what came back, in its own form.
func scratchpad(list []engine.Message) string {
	var texts []string
	for i := range list {
		if text := said(&list[i]); text != "" {
			texts = append(texts, text)
		}
		for j := range list[i].Parts {
			if r := list[i].Parts[j].ToolResult; r != nil {
				texts = append(texts, Result(r.Name, said(&engine.Message{Parts: r.Parts})))
			}
		}
	}
	return strings.Join(texts, "\n")
}

func responses(list []string) string {
	var w strings.Builder
	for _, r := range list {
		w.WriteString("<response>" + r + "</response>\n")
	}
	return strings.TrimSuffix(w.String(), "\n")
}
