package prompt

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/engine"
)

const (
	askAbout  = "Ask the user for information that is missing and that no tool has."
	codeAbout = "Run Python code and get what it prints. Files that the code writes into its folder go to the user."
)

var (
	askInputs    = []plan.Parameter{{Name: AskInput, Type: "string", Description: "the question to the user", Required: true}}
	codeInputs   = []plan.Parameter{{Name: CodeInput, Type: "string", Description: "the Python code, complete", Required: true}}
	searchInputs = []plan.Parameter{{Name: SearchInput, Type: "string", Description: "what to look for", Required: true}}
	sendInputs   = []plan.Parameter{
		{Name: SendTo, Type: "string", Description: "name of the agent", Required: true},
		{Name: SendText, Type: "string", Description: "the message: all that the agent must know to answer", Required: true},
	}
)

// about describes an action; one that has nothing to say borrows from its group.
func about(g *plan.Group, a *plan.Action) string {
	switch {
	case a.Description != "":
		return a.Description
	case g.Description != "":
		return g.Description
	}
	return a.Name()
}

func sendAbout(p *plan.Plan) string {
	return "Send a message to another agent and get its answer. The agents:\n" + collaborators(p)
}

func sendSchema(p *plan.Plan) json.RawMessage {
	names := make([]string, 0, len(p.Collaborators))
	for i := range p.Collaborators {
		names = append(names, p.Collaborators[i].Name)
	}
	enum, _ := json.Marshal(map[string]any{"type": "string", "enum": names}) // strings always encode
	list := append([]plan.Parameter(nil), sendInputs...)
	list[0].Schema = enum
	return object(list)
}

// object is the JSON schema of a call's input. Members stand in the order of the
// alphabet, so that a plan always makes the same text.
func object(list []plan.Parameter) json.RawMessage {
	properties := make(map[string]json.RawMessage, len(list))
	required := []string{}
	for i := range list {
		p := &list[i]
		if p.Required {
			required = append(required, p.Name)
		}
		schema := map[string]any{}
		if len(p.Schema) == 0 || json.Unmarshal(p.Schema, &schema) != nil || schema == nil {
			schema = map[string]any{}
		}
		if _, ok := schema["type"]; !ok && p.Type != "" {
			schema["type"] = p.Type
		}
		if p.Description != "" {
			schema["description"] = p.Description
		}
		properties[p.Name], _ = json.Marshal(schema) // made of JSON
	}
	out, _ := json.Marshal(map[string]any{"type": "object", "properties": properties, "required": required})
	return out
}

// Tools lists what a plan can do for the engine, by the names that NewBook gives.
func Tools(p *plan.Plan) []engine.Tool { return NewBook(p).Tools() }

// List is what a plan can do as text.
func List(p *plan.Plan) string {
	var w strings.Builder
	w.WriteString("<tools>\n")
	for i := range p.Groups {
		g := &p.Groups[i]
		switch g.Signature {
		case plan.UserInput:
			describe(&w, AskName, askAbout, askInputs, "")
			continue
		case plan.CodeInterpreter:
			describe(&w, CodeName, codeAbout, codeInputs, "what the code printed")
			continue
		}
		actions := actionsOf(g)
		for j := range actions {
			a := &actions[j]
			describe(&w, Name(g, a), about(g, a), Inputs(a), a.Returns)
		}
	}
	for i := range p.Knowledge {
		describe(&w, KnowledgeName(p.Knowledge[i].ID), p.Knowledge[i].Description, searchInputs, "search results")
	}
	if len(p.Collaborators) > 0 {
		describe(&w, SendName, sendAbout(p), sendInputs, "the agent's answer")
	}
	w.WriteString("</tools>")
	return w.String()
}

func describe(w *strings.Builder, name, description string, list []plan.Parameter, returns string) {
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

// anyName is one of the plan's names, for examples in prompts. It is always the same,
// so that prompts are.
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
		fmt.Fprintf(&w, "<agent name=\"%s\">%s</agent>\n", p.Collaborators[i].Name, p.Collaborators[i].Instruction)
	}
	return strings.TrimSuffix(w.String(), "\n")
}

// Result is the answer of a tool as text tells it.
func Result(name, text string) string {
	return "<function_results>\n<result>\n<tool_name>" + name + "</tool_name>\n<stdout>" + text + "</stdout>\n</result>\n</function_results>"
}

// escape writes text inside an XML element.
func escape(s string) string {
	if !strings.ContainsAny(s, "<>&") {
		return s
	}
	var w strings.Builder
	_ = xml.EscapeText(&w, []byte(s)) // a Builder never fails
	return strings.NewReplacer("&#34;", `"`, "&#39;", "'", "&#xA;", "\n", "&#x9;", "\t").Replace(w.String())
}

// actionsOf are the actions of a group. A built-in one that brings none along has its
// own.
func actionsOf(g *plan.Group) []plan.Action {
	if len(g.Actions) == 0 && g.Signature != "" {
		return BuiltIn(g.Signature)
	}
	return g.Actions
}

// BuiltIn are the actions of a built-in group that its caller carries out; nil for
// other signatures.
func BuiltIn(signature string) []plan.Action {
	str := func(name, description string, required bool) plan.Parameter {
		return plan.Parameter{Name: name, Type: "string", Description: description, Required: required}
	}
	switch signature {
	case plan.Computer:
		return []plan.Action{{Function: "computer", Description: "Use the mouse and keyboard of a computer and take screenshots.", Parameters: []plan.Parameter{
			str("action", "key, type, mouse_move, left_click, left_click_drag, right_click, middle_click, double_click, screenshot or cursor_position", true),
			{Name: "coordinate", Type: "array", Description: "x and y in pixels, of mouse actions", Schema: json.RawMessage(`{"type":"array","items":{"type":"integer"}}`)},
			str("text", "keys or text, of key and type", false),
		}}}
	case plan.Bash:
		return []plan.Action{{Function: "bash", Description: "Run a command in a bash shell that stays open.", Parameters: []plan.Parameter{
			str("command", "the command; needed unless restart is true", false),
			{Name: "restart", Type: "boolean", Description: "true starts the shell anew"},
		}}}
	case plan.TextEditor:
		return []plan.Action{{Function: "str_replace_editor", Description: "View, create and edit text files.", Parameters: []plan.Parameter{
			str("command", "view, create, str_replace, insert or undo_edit", true), str("path", "absolute path of the file or folder", true),
			str("file_text", "content, of create", false), str("old_str", "text to be replaced, of str_replace", false), str("new_str", "text to put in, of str_replace and insert", false),
			{Name: "insert_line", Type: "integer", Description: "line after which to insert, of insert"},
			{Name: "view_range", Type: "array", Description: "first and last line, of view", Schema: json.RawMessage(`{"type":"array","items":{"type":"integer"}}`)},
		}}}
	}
	return nil
}
