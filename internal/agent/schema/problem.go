package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/apierr"
)

const (
	maxProblems = 200 // that an error names
	maxClip     = 200 // bytes of a stranger's text in it
)

// problems gathers what is wrong with a document, each text once.
type problems struct {
	list []string
	more int
}

// add notes what is wrong with the attribute at a path; with the whole for "".
func (p *problems) add(at, format string, args ...any) {
	if len(p.list) >= maxProblems {
		p.more++
		return
	}
	s := fmt.Sprintf(format, args...)
	if at != "" {
		s = "attribute " + at + " " + s
	}
	// What a reference leads to is read once for each place that names it.
	if !slices.Contains(p.list, s) {
		p.list = append(p.list, s)
	}
}

// text is the list of problems, "" when there are none.
func (p *problems) text() string {
	if p.more > 0 {
		return strings.Join(p.list, ", ") + ", and more"
	}
	return strings.Join(p.list, ", ")
}

// openAPI is the error of an OpenAPI document, worded as the service does; nil when
// nothing is wrong.
func (p *problems) openAPI(group string) error {
	if len(p.list) == 0 {
		return nil
	}
	return apierr.New(apierr.Validation,
		"Failed to create OpenAPI 3 model from the JSON/YAML object that you provided for action: %s {APISchemaException=[%s]}", clip(group), p.text())
}

// functions is the error of a function schema; nil when nothing is wrong.
func (p *problems) functions(group string) error {
	if len(p.list) == 0 {
		return nil
	}
	return apierr.New(apierr.Validation, "The functionSchema of the action group %s is not valid: [%s]", clip(group), p.text())
}

func tooMany(what, where string, have, most int) error {
	return apierr.New(apierr.ServiceQuotaExceeded, "There are %d %s in %s; the quota is %d.", have, what, clip(where), most)
}

// groupName notes a name that the names of tools could not be taken apart with.
func groupName(p *problems, group string) {
	if strings.Contains(group, "__") {
		p.add("actionGroupName", "contains `__`")
	}
}

// confirmation reads whether a user is asked before an action.
func confirmation(p *problems, at, s string) bool {
	switch s {
	case "ENABLED":
		return true
	case "", "DISABLED":
	default:
		p.add(at, "is %s, not ENABLED or DISABLED", quoted(s))
	}
	return false
}

// clip makes what a stranger wrote fit for an error text.
func clip(s string) string {
	if len(s) > maxClip {
		n := maxClip
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

func quoted(s string) string { return "'" + clip(s) + "'" }

func index(i int) string { return strconv.Itoa(i) }

// joined is the path of a value.
func joined(path []string) string {
	var b strings.Builder
	for i, part := range path {
		if i > 0 {
			b.WriteByte('.')
		}
		if strings.ContainsAny(part, "/. ") {
			b.WriteString(quoted(part))
		} else {
			b.WriteString(clip(part))
		}
	}
	return b.String()
}
