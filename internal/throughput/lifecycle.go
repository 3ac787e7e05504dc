package throughput

import (
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/lifecycle"
)

type event string

const (
	made   event = "made"
	update event = "update"
)

// states of a provisioned model. Deleting is immediate and has no state.
var states = lifecycle.New("provisioned model", bedrock.ProvisionedModelStatusCreating, []lifecycle.Step[bedrock.ProvisionedModelStatus, event]{
	{From: bedrock.ProvisionedModelStatusCreating, On: made, To: bedrock.ProvisionedModelStatusInService},
	{From: bedrock.ProvisionedModelStatusInService, On: update, To: bedrock.ProvisionedModelStatusUpdating},
	{From: bedrock.ProvisionedModelStatusUpdating, On: made, To: bedrock.ProvisionedModelStatusInService},
})

// status is the state at an instant of a row that was last moved at since.
func status(stored bedrock.ProvisionedModelStatus, since, now time.Time, transition time.Duration) bedrock.ProvisionedModelStatus {
	if now.Sub(since) < transition {
		return stored
	}
	if next, err := states.Next(stored, made); err == nil {
		return next
	}
	return stored
}
