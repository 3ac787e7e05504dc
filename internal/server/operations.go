package server

import (
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/service"
)

// ServiceState is what a service answers.
type ServiceState struct {
	Service    string
	Operations []OperationState
}

// OperationState says how much of an operation there is.
type OperationState struct {
	Name  string
	State service.State
}

// Operations lists all operations of the four services, from the types of the
// front desks themselves.
func Operations() []ServiceState {
	var out []ServiceState
	for _, m := range service.Models {
		s := ServiceState{Service: m.Service.Name}
		for i := range m.Service.Operations {
			name := m.Service.Operations[i].Name
			s.Operations = append(s.Operations, OperationState{name, service.StateOf(m.Desk, name)})
		}
		out = append(out, s)
	}
	return out
}

// BuiltOperations counts the operations that are built, and all.
func BuiltOperations() (built, all int) {
	for _, s := range Operations() {
		for _, o := range s.Operations {
			all++
			if o.State == service.Built {
				built++
			}
		}
	}
	return built, all
}

// OperationsMarkdown is the table of the README.
func OperationsMarkdown() string {
	var b strings.Builder
	b.WriteString("| service | built | works | answers 501 |\n|---|---|---|---|\n")
	total, built := 0, 0
	for _, s := range Operations() {
		by := map[service.State][]string{}
		for _, o := range s.Operations {
			by[o.State] = append(by[o.State], o.Name)
		}
		yes, no := by[service.Built], by[service.Unbuilt]
		total, built = total+len(s.Operations), built+len(yes)
		rest := fmt.Sprintf("<details><summary>%d operations</summary>%s</details>", len(no), strings.Join(no, ", "))
		if len(no) == 0 {
			rest = "none"
		}
		if never := by[service.Refused]; len(never) > 0 {
			rest += "; always refused, with the reason: " + strings.Join(never, ", ")
		}
		works := strings.Join(yes, ", ")
		if works == "" {
			works = "nothing yet"
		}
		fmt.Fprintf(&b, "| `%s` | %d of %d | %s | %s |\n", s.Service, len(yes), len(s.Operations), works, rest)
	}
	fmt.Fprintf(&b, "\n%d of %d operations are built; all %d are routed, authenticated and validated.\n", built, total, total)
	return b.String()
}
