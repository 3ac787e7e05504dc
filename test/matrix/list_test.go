package matrix

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/service"
)

// row is a line of permissions.txt.
type row struct {
	service, operation, action string
	needs                      []need
}

// need is one thing that must be allowed.
type need struct {
	model    string   // member that names a model
	names    []string // templates; one is enough
	optional bool
}

func (r *row) key() string { return r.service + "." + r.operation }

func readList(t testing.TB) []row {
	t.Helper()
	b, err := os.ReadFile("testdata/permissions.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []row
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		f := strings.Fields(line)
		if len(f) < 4 {
			t.Fatalf("not four columns: %s", line)
		}
		r := row{service: f[0], operation: f[1], action: "bedrock:" + f[2]}
		if rest := strings.Join(f[3:], " "); rest != "-" {
			for one := range strings.SplitSeq(rest, " + ") {
				var n need
				one, n.optional = strings.CutSuffix(one, "?")
				if m, ok := strings.CutPrefix(one, "model:"); ok {
					n.model = m
				} else {
					n.names = strings.Split(one, " | ")
				}
				r.needs = append(r.needs, n)
			}
		}
		out = append(out, r)
	}
	return out
}

// untold are resource types that the authorization table marks as required for an
// action and that a request does not name, or not as that type.
var untold = map[string]string{
	"CreateInferenceProfile inference-profile":          "model:modelSource.copyFrom names either",
	"CreateModelCustomizationJob custom-model":          "model:baseModelIdentifier names either",
	"CreateModelInvocationJob custom-model":             "model:modelId names either",
	"CreateProvisionedModelThroughput custom-model":     "model:modelId names either",
	"UpdateProvisionedModelThroughput custom-model":     "model:desiredModelId names either",
	"UpdateProvisionedModelThroughput foundation-model": "model:desiredModelId names either",
	"GetInferenceProfile inference-profile":             "by the form of the identifier",
}

// models are the types that a model's ID may name.
var models = []string{
	"application-inference-profile", "async-invoke", "bedrock-marketplace-model-endpoint", "custom-model", "custom-model-deployment", "default-prompt-router",
	"foundation-model", "imported-model", "inference-profile", "prompt-router", "provisioned-model",
}

func TestTheListHasEveryOperationWithTheActionAndTypesOfTheTable(t *testing.T) {
	b, err := os.ReadFile("../../cmd/apigen/models/actions.json")
	if err != nil {
		t.Fatal(err)
	}
	var facts struct {
		Actions map[string]struct {
			Resources map[string][]string `json:"resources"`
			Required  []string            `json:"required"`
		} `json:"actions"`
		Resources map[string]struct {
			ARN string `json:"arn"`
		} `json:"resources"`
	}
	if err := json.Unmarshal(b, &facts); err != nil {
		t.Fatal(err)
	}
	renamed := map[string]string{
		"Converse": "InvokeModel", "ConverseStream": "InvokeModelWithResponseStream", "StartAsyncInvoke": "InvokeModel",
		"InvokeModelWithBidirectionalStream": "InvokeModel", "RetrieveAndGenerateStream": "RetrieveAndGenerate",
	}
	have := map[string]bool{}
	used := map[string]bool{}
	for _, r := range readList(t) {
		have[r.key()] = true
		name := r.operation
		if n := renamed[name]; n != "" {
			name = n
		}
		if r.action != "bedrock:"+name {
			t.Errorf("%s: action %s, want %s", r.key(), r.action, name)
		}
		a, ok := facts.Actions[name]
		if !ok {
			if !strings.Contains(name, "AdvancedPromptOptimization") || r.needs != nil {
				t.Errorf("%s is not in the authorization table", name)
			}
			continue
		}
		covers := func(typ string) bool {
			_, id, _ := strings.Cut(facts.Resources[typ].ARN, "${Account}:")
			id, _, _ = strings.Cut(id, "${")
			for _, n := range r.needs {
				if n.model != "" && slices.Contains(models, typ) {
					return true
				}
				for _, t := range n.names {
					if strings.HasPrefix(t, "${") || strings.HasPrefix(strings.TrimPrefix(t, "::"), id) && id != "" || typ == "foundation-model" && strings.HasPrefix(t, "::foundation-model/") {
						return true
					}
				}
			}
			return false
		}
		for _, typ := range a.Required {
			key := name + " " + typ
			if _, ok := untold[key]; ok {
				used[key] = true
				continue
			}
			if !covers(typ) {
				t.Errorf("%s: nothing stands for the required type %s", r.key(), typ)
			}
		}
		if _, none := a.Resources[""]; len(a.Resources) == 0 || len(a.Resources) == 1 && none {
			if r.needs != nil {
				t.Errorf("%s: the action has no resource type, the list says %v", r.key(), r.needs)
			}
		} else if len(r.needs) == 0 {
			t.Errorf("%s: the list says no resource, the table %v", r.key(), a.Resources)
		}
	}
	for key := range untold {
		if !used[key] {
			t.Errorf("untold has %s, which is not in the table", key)
		}
	}
	for _, m := range service.Models {
		for i := range m.Service.Operations {
			if k := m.Service.Name + "." + m.Service.Operations[i].Name; !have[k] {
				t.Errorf("%s is not in the list", k)
			}
		}
	}
	if len(have) != 219 {
		t.Errorf("%d operations, want 219", len(have))
	}
}
