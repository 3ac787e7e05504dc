package library

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"

	"github.com/outcrop-dev/outcrop/internal/vector"
)

// Where is the place of a result as a person reads it: its file, and its page.
func Where(r *types.KnowledgeBaseRetrievalResult) string {
	where := "an unnamed place"
	if l := r.Location; l != nil {
		switch {
		case l.S3Location != nil:
			where = aws.ToString(l.S3Location.Uri)
		case l.CustomDocumentLocation != nil:
			where = aws.ToString(l.CustomDocumentLocation.Id)
		}
	}
	if d, ok := r.Metadata["x-amz-bedrock-kb-document-page-number"]; ok {
		var page float64
		if err := d.UnmarshalSmithyDocument(&page); err == nil {
			where += ", page " + strconv.FormatFloat(page, 'f', -1, 64)
		}
	}
	return where
}

// Filter reads a filter as the API has it and makes it one of the SDK.
func Filter(data json.RawMessage) (types.RetrievalFilter, error) {
	var f vector.Filter
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	return filter(&f)
}

func filter(f *vector.Filter) (types.RetrievalFilter, error) {
	if f.Op == vector.AndAll || f.Op == vector.OrAll {
		var of []types.RetrievalFilter
		for i := range f.Of {
			member, err := filter(&f.Of[i])
			if err != nil {
				return nil, err
			}
			of = append(of, member)
		}
		if f.Op == vector.AndAll {
			return &types.RetrievalFilterMemberAndAll{Value: of}, nil
		}
		return &types.RetrievalFilterMemberOrAll{Value: of}, nil
	}
	var value any
	switch b, err := json.Marshal(f.Values); {
	case err != nil:
		return nil, err
	case f.Op == vector.In || f.Op == vector.NotIn:
		if err := json.Unmarshal(b, &value); err != nil {
			return nil, err
		}
	default:
		var one []any
		if err := json.Unmarshal(b, &one); err != nil {
			return nil, err
		}
		value = one[0]
	}
	a := types.FilterAttribute{Key: &f.Key, Value: document.NewLazyDocument(value)}
	switch f.Op {
	case vector.Equals:
		return &types.RetrievalFilterMemberEquals{Value: a}, nil
	case vector.NotEquals:
		return &types.RetrievalFilterMemberNotEquals{Value: a}, nil
	case vector.In:
		return &types.RetrievalFilterMemberIn{Value: a}, nil
	case vector.NotIn:
		return &types.RetrievalFilterMemberNotIn{Value: a}, nil
	case vector.LessThan:
		return &types.RetrievalFilterMemberLessThan{Value: a}, nil
	case vector.LessThanOrEquals:
		return &types.RetrievalFilterMemberLessThanOrEquals{Value: a}, nil
	case vector.GreaterThan:
		return &types.RetrievalFilterMemberGreaterThan{Value: a}, nil
	case vector.GreaterThanOrEquals:
		return &types.RetrievalFilterMemberGreaterThanOrEquals{Value: a}, nil
	case vector.StartsWith:
		return &types.RetrievalFilterMemberStartsWith{Value: a}, nil
	case vector.StringContains:
		return &types.RetrievalFilterMemberStringContains{Value: a}, nil
	case vector.ListContains:
		return &types.RetrievalFilterMemberListContains{Value: a}, nil
	default: // groups are above; others have no place in the API
	}
	return nil, fmt.Errorf("the operator %s is not one of Retrieve", f.Op)
}
