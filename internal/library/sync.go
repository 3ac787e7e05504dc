package library

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagent/types"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"
)

// Sync ingests what has changed in the bucket and waits for the end. step, if set, is
// called with the job's statistics while they move. A job that did not complete is an
// error with its reasons.
func (l *Library) Sync(ctx context.Context, b *Base, step func(*types.IngestionJobStatistics)) (*types.IngestionJob, error) {
	out, err := l.agents.StartIngestionJob(ctx, &bedrockagent.StartIngestionJobInput{KnowledgeBaseId: &b.ID, DataSourceId: &b.Source})
	if err != nil {
		return nil, fmt.Errorf("start the ingestion: %w", err)
	}
	job := out.IngestionJob
	err = l.until(ctx, func() (bool, error) {
		out, err := l.agents.GetIngestionJob(ctx, &bedrockagent.GetIngestionJobInput{KnowledgeBaseId: &b.ID, DataSourceId: &b.Source, IngestionJobId: job.IngestionJobId})
		if err != nil {
			return false, err
		}
		job = out.IngestionJob
		if step != nil && job.Statistics != nil {
			step(job.Statistics)
		}
		switch job.Status {
		case types.IngestionJobStatusComplete:
			return true, nil
		case types.IngestionJobStatusFailed, types.IngestionJobStatusStopped:
			return false, fmt.Errorf("the ingestion is %s: %s", job.Status, strings.Join(job.FailureReasons, "; "))
		default: // it goes on
		}
		return false, nil
	})
	return job, err
}

// Question is a search.
type Question struct {
	Base, Text string
	Results    int                          // 0 is the service's default
	Mode       runtimetypes.SearchType      // "" is the store's best
	Filter     runtimetypes.RetrievalFilter // nil: none
}

// Search asks a knowledge base and answers what it finds, the best first.
func (l *Library) Search(ctx context.Context, q Question) ([]runtimetypes.KnowledgeBaseRetrievalResult, error) {
	v := &runtimetypes.KnowledgeBaseVectorSearchConfiguration{OverrideSearchType: q.Mode, Filter: q.Filter}
	if q.Results > 0 {
		v.NumberOfResults = aws.Int32(int32(q.Results))
	}
	out, err := l.runtime.Retrieve(ctx, &bedrockagentruntime.RetrieveInput{
		KnowledgeBaseId: &q.Base, RetrievalQuery: &runtimetypes.KnowledgeBaseQuery{Text: &q.Text},
		RetrievalConfiguration: &runtimetypes.KnowledgeBaseRetrievalConfiguration{VectorSearchConfiguration: v},
	})
	if err != nil {
		return nil, err
	}
	return out.RetrievalResults, nil
}
