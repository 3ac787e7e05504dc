package build

import (
	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/lifecycle"
)

type event string

const (
	settle  event = "settle"
	fail    event = "fail"
	prepare event = "prepare"
	version event = "version"
	update  event = "update"
	remove  event = "delete"
)

// agentStates is the life of an agent. settle and fail end a state that passes by
// itself; an update of a prepared agent ends prepared, because its package serves on.
var agentStates = lifecycle.New("agent", api.AgentStatusCreating, []lifecycle.Step[api.AgentStatus, event]{
	{From: api.AgentStatusCreating, On: settle, To: api.AgentStatusNotPrepared},
	{From: api.AgentStatusCreating, On: fail, To: api.AgentStatusFailed},
	{From: api.AgentStatusNotPrepared, On: prepare, To: api.AgentStatusPreparing},
	{From: api.AgentStatusPrepared, On: prepare, To: api.AgentStatusPreparing},
	{From: api.AgentStatusFailed, On: prepare, To: api.AgentStatusPreparing},
	{From: api.AgentStatusPreparing, On: settle, To: api.AgentStatusPrepared},
	{From: api.AgentStatusPrepared, On: version, To: api.AgentStatusVersioning},
	{From: api.AgentStatusVersioning, On: settle, To: api.AgentStatusPrepared},
	{From: api.AgentStatusNotPrepared, On: update, To: api.AgentStatusUpdating},
	{From: api.AgentStatusPrepared, On: update, To: api.AgentStatusUpdating},
	{From: api.AgentStatusFailed, On: update, To: api.AgentStatusUpdating},
	{From: api.AgentStatusUpdating, On: settle, To: api.AgentStatusNotPrepared},
	{From: api.AgentStatusNotPrepared, On: remove, To: api.AgentStatusDeleting},
	{From: api.AgentStatusPrepared, On: remove, To: api.AgentStatusDeleting},
	{From: api.AgentStatusFailed, On: remove, To: api.AgentStatusDeleting},
})

// aliasStates is the life of an alias. A version that is deleted under it takes it to
// DISSOCIATED, from which an update brings it back.
var aliasStates = lifecycle.New("agent alias", api.AgentAliasStatusCreating, []lifecycle.Step[api.AgentAliasStatus, event]{
	{From: api.AgentAliasStatusCreating, On: settle, To: api.AgentAliasStatusPrepared},
	{From: api.AgentAliasStatusCreating, On: fail, To: api.AgentAliasStatusFailed},
	{From: api.AgentAliasStatusPrepared, On: update, To: api.AgentAliasStatusUpdating},
	{From: api.AgentAliasStatusFailed, On: update, To: api.AgentAliasStatusUpdating},
	{From: api.AgentAliasStatusDissociated, On: update, To: api.AgentAliasStatusUpdating},
	{From: api.AgentAliasStatusUpdating, On: settle, To: api.AgentAliasStatusPrepared},
	{From: api.AgentAliasStatusUpdating, On: fail, To: api.AgentAliasStatusFailed},
	{From: api.AgentAliasStatusPrepared, On: version, To: api.AgentAliasStatusDissociated},
	{From: api.AgentAliasStatusPrepared, On: remove, To: api.AgentAliasStatusDeleting},
	{From: api.AgentAliasStatusFailed, On: remove, To: api.AgentAliasStatusDeleting},
	{From: api.AgentAliasStatusDissociated, On: remove, To: api.AgentAliasStatusDeleting},
})

// words are the states as the texts of refusals spell them.
var words = map[api.AgentStatus]string{
	api.AgentStatusCreating: "Creating", api.AgentStatusPreparing: "Preparing", api.AgentStatusPrepared: "Prepared", api.AgentStatusNotPrepared: "Not Prepared",
	api.AgentStatusDeleting: "Deleting", api.AgentStatusFailed: "Failed", api.AgentStatusVersioning: "Versioning", api.AgentStatusUpdating: "Updating",
}

// refused is an operation on a resource in a state that does not take it. Programs
// wait and try again on the first sentence.
func refused(operation, resource string, s api.AgentStatus) error {
	if resource != "Agent" {
		if s == api.AgentStatusCreating {
			return apierr.New(apierr.Validation, "%s operation can't be performed on %s when Agent is in Creating state. Retry your request after the Agent is created", operation, resource)
		}
		return apierr.New(apierr.Validation, "%s operation can't be performed on %s when Agent is in %s state.", operation, resource, words[s])
	}
	return apierr.New(apierr.Validation, "%s operation can't be performed on Agent when it is in %s state. Retry the request when the agent is in a valid state.", operation, words[s])
}

// passing reports a state that ends by itself.
func passing(s api.AgentStatus) bool {
	switch s {
	case api.AgentStatusCreating, api.AgentStatusPreparing, api.AgentStatusVersioning, api.AgentStatusUpdating, api.AgentStatusDeleting:
		return true
	default:
		return false
	}
}
