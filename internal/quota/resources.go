package quota

import (
	"slices"
	"strings"
)

// Names of quotas that rooms ask for.
const (
	AgentsPerAccount         = "Agents per account"
	AliasesPerAgent          = "Associated aliases per Agent"
	InstructionCharacters    = "Characters in Agent instructions"
	ActionGroupsPerAgent     = "Action groups per Agent"
	APIsPerAgent             = "APIs per Agent"
	LambdaResponseBytes      = "Lambda response payload size"
	KnowledgeBasesPerAgent   = "Associated knowledge bases per Agent"
	KnowledgeBasesPerAccount = "(Knowledge Bases) Knowledge bases per account"
	DocumentBytes            = "(Knowledge Bases) Ingestion job file size"
	MetadataFileBytes        = "(Knowledge Bases) Metadata file size"
	CustomizationJobs        = "(Model customization) Scheduled customization jobs"
	CustomModels             = "(Model customization) Custom models per account"
	GuardrailsPerAccount     = "(Guardrails) Guardrails per account"
	UnitsNoCommitment        = "Model units no-commitment Provisioned Throughputs across base models"
	UnitsNoCommitmentCustom  = "Model units no-commitment Provisioned Throughputs across custom models"
	UnitsCommitted           = "Model units, with commitment, for Provisioned Throughputs"
)

// resources are counts and sizes of spec 13.4 to 13.7, and of Service Quotas where
// the guide's chapter is older than the resource. Lambda's payload and the three
// whose Code is empty have no entry in Service Quotas that is known here; their
// names are descriptions.
var resources = []Quota{
	{AgentsPerAccount, "L-97D79C54", 50, true},
	{AliasesPerAgent, "L-6E57E827", 10, false},
	{InstructionCharacters, "L-6E3CDA2D", 4000, false}, // the guide says 1,200; today's model allows 4,000
	{ActionGroupsPerAgent, "L-5DAAE567", 5, false},
	{APIsPerAgent, "L-6B2DA87E", 5, false},
	{LambdaResponseBytes, "", 25 << 10, false},
	{KnowledgeBasesPerAgent, "L-13143995", 2, false},
	{KnowledgeBasesPerAccount, "", 50, false},
	{DocumentBytes, "L-454B6C93", 50 << 20, false},
	{MetadataFileBytes, "", 10 << 10, false},
	{CustomizationJobs, "L-0406044C", 2, false},
	{CustomModels, "", 100, true},
	{GuardrailsPerAccount, "", 100, false},
	{UnitsNoCommitment, "L-FE44174A", 2, false},
	{UnitsNoCommitmentCustom, "L-BE77399C", 2, false},
	{UnitsCommitted, "", 0, false},
}

// Limits answers numbers: the table above with a user's own in their place. The
// zero value is the table.
type Limits struct {
	Override map[string]int64 // by quota name
}

// Limit returns the value of a quota; ok is false when no such quota is known.
func (l Limits) Limit(name string) (value int64, ok bool) {
	if v, ok := l.Override[name]; ok {
		return v, true
	}
	i := slices.IndexFunc(resources, func(q Quota) bool { return q.Name == name })
	if i < 0 {
		return 0, false
	}
	return resources[i].Value, true
}

// All returns every quota with its value in effect, sorted by name.
func (l Limits) All() []Quota {
	out := slices.Clone(resources)
	for _, m := range models {
		out = append(out, m.RequestQuota)
		if m.TokenQuota.Name != "" {
			out = append(out, m.TokenQuota)
		}
	}
	for i := range out {
		if v, ok := l.Override[out[i].Name]; ok {
			out[i].Value = v
		}
	}
	slices.SortFunc(out, func(a, b Quota) int { return strings.Compare(a.Name, b.Name) })
	return out
}
