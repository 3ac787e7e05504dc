package service

import (
	"reflect"

	"github.com/outcrop-dev/outcrop/internal/agent"
	"github.com/outcrop-dev/outcrop/internal/agent/build"
	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockagentruntime"
	"github.com/outcrop-dev/outcrop/internal/api/bedrockruntime"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/inference"
	"github.com/outcrop-dev/outcrop/internal/knowledge"
	"github.com/outcrop-dev/outcrop/internal/knowledge/ingest"
	"github.com/outcrop-dev/outcrop/internal/knowledge/rag"
	"github.com/outcrop-dev/outcrop/internal/knowledge/retrieve"
	"github.com/outcrop-dev/outcrop/internal/session"
	"github.com/outcrop-dev/outcrop/internal/tag"
	"github.com/outcrop-dev/outcrop/internal/throughput"
)

// Bedrock is the control plane of models.
type Bedrock struct {
	*catalog.FoundationModels
	*catalog.ModelAccess
	*catalog.InferenceProfiles
	*throughput.ProvisionedModels
	*tag.ModelTags
	unbuiltBedrock
}

// BedrockRuntime is inference.
type BedrockRuntime struct {
	*inference.Runtime
	unbuiltBedrockRuntime
}

// BedrockAgent is the build time of agents and knowledge bases.
type BedrockAgent struct {
	*build.Agents
	*build.ActionGroups
	*build.AgentAliases
	*build.AgentKnowledgeBases
	*build.AgentCollaborators
	*knowledge.KnowledgeBases
	*knowledge.DataSources
	*IngestionJobs
	*ingest.Documents
	*tag.AgentTags
	unbuiltBedrockAgent
}

// BedrockAgentRuntime runs agents and queries knowledge bases.
type BedrockAgentRuntime struct {
	*agent.Runtime
	*agent.Memories
	*Retrieval
	*Answers
	*Refusals `built:"no"`
	*session.Sessions
	*tag.SessionTags
	unbuiltBedrockAgentRuntime
}

// Names of fields, for rooms whose own names would say too little here.
type (
	// IngestionJobs are the jobs of package ingest.
	IngestionJobs = ingest.Jobs
	// Retrieval is what package retrieve answers.
	Retrieval = retrieve.Operations
	// Answers is what package rag answers.
	Answers = rag.Operations
	// Refusals is what package retrieve can only refuse.
	Refusals = retrieve.Refusals
)

// What no room answers is answered one level deeper.
type (
	unbuiltBedrock             struct{ bedrock.Unimplemented }
	unbuiltBedrockRuntime      struct{ bedrockruntime.Unimplemented }
	unbuiltBedrockAgent        struct{ bedrockagent.Unimplemented }
	unbuiltBedrockAgentRuntime struct {
		bedrockagentruntime.Unimplemented
	}
)

var (
	_ bedrock.API             = (*Bedrock)(nil)
	_ bedrockruntime.API      = (*BedrockRuntime)(nil)
	_ bedrockagent.API        = (*BedrockAgent)(nil)
	_ bedrockagentruntime.API = (*BedrockAgentRuntime)(nil)
)

// Models are the service models in the order of the documentation, each with a
// zero desk of its type.
var Models = []struct {
	Service *api.Service
	Desk    any
}{
	{&bedrock.Service, (*Bedrock)(nil)},
	{&bedrockruntime.Service, (*BedrockRuntime)(nil)},
	{&bedrockagent.Service, (*BedrockAgent)(nil)},
	{&bedrockagentruntime.Service, (*BedrockAgentRuntime)(nil)},
}

// State is how much of an operation there is.
type State string

// The states.
const (
	Built   State = "built"   // a room answers it
	Refused State = "refused" // always with a modelled exception: what it works on cannot be made here
	Unbuilt State = "501"
)

// StateOf says what becomes of an operation: which struct that is embedded in the desk
// has the method. One with the tag built:"no" holds what is only refused.
func StateOf(desk any, operation string) State {
	t := reflect.TypeOf(desk).Elem()
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue // unbuilt…
		}
		if _, ok := f.Type.MethodByName(operation); ok {
			if f.Tag.Get("built") == "no" {
				return Refused
			}
			return Built
		}
	}
	return Unbuilt
}

// Missing returns the name of a room that desk embeds as a nil pointer, ""
// when all are there. A nil room would fail only when it is called.
func Missing(desk any) string {
	v := reflect.ValueOf(desk).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Pointer && f.IsNil() {
			return v.Type().Field(i).Name
		}
	}
	return ""
}
