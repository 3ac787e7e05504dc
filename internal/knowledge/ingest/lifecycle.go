package ingest

import (
	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/lifecycle"
)

// Event is what happens to an ingestion job.
type Event string

// The events of an ingestion job.
const (
	Begin  Event = "begin"   // a runner takes it up, again after a restart
	Stop   Event = "stop"    // StopIngestionJob
	Finish Event = "finish"  // all of it is done
	GiveUp Event = "give up" // nothing more can be done
	Halted Event = "stopped" // the work has ended because of Stop
)

// Lifecycle is the table of states of an ingestion job.
var Lifecycle = lifecycle.New("ingestion-job", api.IngestionJobStatusStarting, []lifecycle.Step[api.IngestionJobStatus, Event]{
	{From: api.IngestionJobStatusStarting, On: Begin, To: api.IngestionJobStatusInProgress},
	{From: api.IngestionJobStatusInProgress, On: Begin, To: api.IngestionJobStatusInProgress},
	{From: api.IngestionJobStatusStopping, On: Begin, To: api.IngestionJobStatusStopping},

	{From: api.IngestionJobStatusStarting, On: Stop, To: api.IngestionJobStatusStopping},
	{From: api.IngestionJobStatusInProgress, On: Stop, To: api.IngestionJobStatusStopping},
	{From: api.IngestionJobStatusStopping, On: Stop, To: api.IngestionJobStatusStopping},

	{From: api.IngestionJobStatusInProgress, On: Finish, To: api.IngestionJobStatusComplete},
	{From: api.IngestionJobStatusStopping, On: Finish, To: api.IngestionJobStatusComplete},

	{From: api.IngestionJobStatusStarting, On: GiveUp, To: api.IngestionJobStatusFailed},
	{From: api.IngestionJobStatusInProgress, On: GiveUp, To: api.IngestionJobStatusFailed},
	{From: api.IngestionJobStatusStopping, On: GiveUp, To: api.IngestionJobStatusFailed},

	{From: api.IngestionJobStatusStarting, On: Halted, To: api.IngestionJobStatusStopped},
	{From: api.IngestionJobStatusInProgress, On: Halted, To: api.IngestionJobStatusStopped},
	{From: api.IngestionJobStatusStopping, On: Halted, To: api.IngestionJobStatusStopped},
})
