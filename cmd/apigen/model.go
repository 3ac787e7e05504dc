package main

import (
	"encoding/json"
	"os"
	"slices"
)

// model is a service model in botocore's form.
type model struct {
	Metadata struct {
		APIVersion     string   `json:"apiVersion"`
		EndpointPrefix string   `json:"endpointPrefix"`
		Auth           []string `json:"auth"`
		Protocol       string   `json:"protocol"`
		JSONVersion    string   `json:"jsonVersion"`
		TargetPrefix   string   `json:"targetPrefix"`
		XMLNamespace   string   `json:"xmlNamespace"`
	} `json:"metadata"`
	Operations map[string]*operation `json:"operations"`
	Shapes     map[string]*shape     `json:"shapes"`
}

type operation struct {
	Name string `json:"name"`
	HTTP struct {
		Method       string `json:"method"`
		RequestURI   string `json:"requestUri"`
		ResponseCode int    `json:"responseCode"`
	} `json:"http"`
	Input    ref   `json:"input"`
	Output   ref   `json:"output"`
	Errors   []ref `json:"errors"`
	ReadOnly bool  `json:"readonly"`
}

// complete gives an operation without input or output an empty structure, so that
// every operation has both in Go.
func (m *model) complete() {
	for name, op := range m.Operations {
		for _, r := range []struct {
			*ref
			suffix string
		}{{&op.Input, "Request"}, {&op.Output, "Response"}} {
			if r.Shape != "" {
				continue
			}
			r.Shape = name + r.suffix
			if m.Shapes[r.Shape] != nil {
				panic("BUG: the shape " + r.Shape + " is taken")
			}
			m.Shapes[r.Shape] = &shape{Type: "structure"}
		}
	}
}

type ref struct {
	Shape            string `json:"shape"`
	Location         string `json:"location"`
	LocationName     string `json:"locationName"`
	IdempotencyToken bool   `json:"idempotencyToken"`
	ResultWrapper    string `json:"resultWrapper"`
}

type shape struct {
	Type        string     `json:"type"`
	Members     members    `json:"members"`
	Required    []string   `json:"required"`
	Member      *ref       `json:"member"`
	Key         *ref       `json:"key"`
	Value       *ref       `json:"value"`
	Enum        []string   `json:"enum"`
	Pattern     string     `json:"pattern"`
	Min         *float64   `json:"min"`
	Max         *float64   `json:"max"`
	Union       bool       `json:"union"`
	Sensitive   bool       `json:"sensitive"`
	Document    bool       `json:"document"`
	EventStream bool       `json:"eventstream"`
	Exception   bool       `json:"exception"`
	Flattened   bool       `json:"flattened"`
	Fault       bool       `json:"fault"`
	Payload     string     `json:"payload"`
	Error       *errorInfo `json:"error"`
}

type errorInfo struct {
	Code           string `json:"code"`
	HTTPStatusCode int    `json:"httpStatusCode"`
}

type member struct {
	name string
	ref
}

// members are kept in the alphabetical order of their names, which the vendored
// files have too: stable, and independent of a map's order.
type members []member

func (m *members) UnmarshalJSON(b []byte) error {
	var byName map[string]ref
	if err := json.Unmarshal(b, &byName); err != nil {
		return err
	}
	for n, r := range byName {
		*m = append(*m, member{n, r})
	}
	slices.SortFunc(*m, func(a, b member) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	return nil
}

func loadModel(path string) (*model, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := new(model)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, err
	}
	m.complete()
	return m, nil
}

func sortUnique(s *[]string) {
	slices.Sort(*s)
	*s = slices.Compact(*s)
}
