package knowledge

import (
	"time"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/lifecycle"
)

type event string

const (
	settle event = "settle"
	update event = "update"
	remove event = "delete"
	fail   event = "fail"
)

// baseStates is the life of a knowledge base. FAILED is not in it: all that can fail
// when one is made or changed is done before its row says so, and refuses the call.
// DELETING ends with the job that deletes.
var baseStates = lifecycle.New("knowledge base", api.KnowledgeBaseStatusCreating, []lifecycle.Step[api.KnowledgeBaseStatus, event]{
	{From: api.KnowledgeBaseStatusCreating, On: settle, To: api.KnowledgeBaseStatusActive},
	{From: api.KnowledgeBaseStatusActive, On: update, To: api.KnowledgeBaseStatusUpdating},
	{From: api.KnowledgeBaseStatusDeleteUnsuccessful, On: update, To: api.KnowledgeBaseStatusUpdating}, // another role may be what deleting needs
	{From: api.KnowledgeBaseStatusUpdating, On: settle, To: api.KnowledgeBaseStatusActive},
	{From: api.KnowledgeBaseStatusActive, On: remove, To: api.KnowledgeBaseStatusDeleting},
	{From: api.KnowledgeBaseStatusDeleteUnsuccessful, On: remove, To: api.KnowledgeBaseStatusDeleting},
	{From: api.KnowledgeBaseStatusDeleting, On: fail, To: api.KnowledgeBaseStatusDeleteUnsuccessful},
})

// sourceStates is the life of a data source. An update after a failed deletion, which
// may have made its policy RETAIN, makes it available again.
var sourceStates = lifecycle.New("data source", api.DataSourceStatusAvailable, []lifecycle.Step[api.DataSourceStatus, event]{
	{From: api.DataSourceStatusAvailable, On: update, To: api.DataSourceStatusAvailable},
	{From: api.DataSourceStatusAvailable, On: remove, To: api.DataSourceStatusDeleting},
	{From: api.DataSourceStatusDeleting, On: fail, To: api.DataSourceStatusDeleteUnsuccessful},
	{From: api.DataSourceStatusDeleteUnsuccessful, On: update, To: api.DataSourceStatusAvailable},
	{From: api.DataSourceStatusDeleteUnsuccessful, On: remove, To: api.DataSourceStatusDeleting},
})

// passing is the state that an event leads to, at an instant, with what follows it by
// itself.
func passing(from api.KnowledgeBaseStatus, on event, now time.Time) (lifecycle.Timed[api.KnowledgeBaseStatus], error) {
	next, err := baseStates.Next(from, on)
	if err != nil {
		return lifecycle.Timed[api.KnowledgeBaseStatus]{}, err
	}
	s := lifecycle.Timed[api.KnowledgeBaseStatus]{Now: next, Since: now}
	if then, err := baseStates.Next(next, settle); err == nil {
		s.Then = then
	}
	return s, nil
}

// baseBusy is an operation on a knowledge base whose state does not take it, in the
// words that programs for AWS wait on.
func baseBusy(id string, s api.KnowledgeBaseStatus) error {
	return apierr.New(apierr.Conflict, "The Knowledge Base is not in a valid status. Wait for the knowledge base to reach a valid status and try again. The knowledge base %s is in the status %s.", id, s)
}

// sourceBusy is the same of a data source.
func sourceBusy(id string, s api.DataSourceStatus) error {
	return apierr.New(apierr.Conflict, "The data source %s is in the state %s, which does not allow this operation.", id, s)
}
