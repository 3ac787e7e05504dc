package lambda

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	lambdaapi "github.com/outcrop-dev/outcrop/internal/api/lambda"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// maxPolicy is the largest policy of a function, in bytes.
const maxPolicy = 20 << 10

// place checks the qualifier of a policy and returns the key that it is kept by.
func place(tx *store.Tx, head *store.Record[record], t target) (string, error) {
	if t.qualifier == fn.LatestVersion {
		return "", apierr.New(invalid, "We currently do not support adding policies for $LATEST.")
	}
	if _, err := resolve(tx, *head, t); err != nil || t.qualifier == "" {
		return "", err
	}
	return t.qualifier, nil
}

// principal is a permission's principal as policies write it.
func principal(p string) any {
	switch {
	case p == "*":
		return "*"
	case strings.HasPrefix(p, "arn:"):
		return map[string]string{"AWS": p}
	case len(p) == 12 && numbered(p):
		return map[string]string{"AWS": "arn:aws:iam::" + p + ":root"}
	}
	return map[string]string{"Service": p}
}

// AddPermission adds a statement to the policy of a function, version or alias.
func (f *Face) AddPermission(ctx context.Context, in *lambdaapi.AddPermissionInput) (*lambdaapi.AddPermissionOutput, error) {
	t, err := aim(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	st := statement{Sid: in.StatementId, Effect: "Allow", Principal: principal(in.Principal), Action: in.Action, Resource: t.qualified()}
	condition := func(operator, key string, value *string) {
		if optional.Value(value) == "" {
			return
		}
		if st.Condition == nil {
			st.Condition = map[string]map[string]string{}
		}
		if st.Condition[operator] == nil {
			st.Condition[operator] = map[string]string{}
		}
		st.Condition[operator][key] = *value
	}
	condition("ArnLike", "AWS:SourceArn", in.SourceArn)
	condition("StringEquals", "AWS:SourceAccount", in.SourceAccount)
	condition("StringEquals", "aws:PrincipalOrgID", in.PrincipalOrgID)
	condition("StringEquals", "lambda:EventSourceToken", in.EventSourceToken)
	condition("StringEquals", "lambda:FunctionUrlAuthType", optional.Of(string(in.FunctionUrlAuthType)))
	if in.InvokedViaFunctionUrl != nil {
		condition("Bool", "lambda:InvokedViaFunctionUrl", new(fmt.Sprint(*in.InvokedViaFunctionUrl)))
	}
	_, err = f.change(ctx, t, func(tx *store.Tx, head *store.Record[record]) error {
		q, err := place(tx, head, t)
		if err != nil {
			return err
		}
		b := &head.Body
		if in.RevisionId != nil {
			if err := checkRevision(in.RevisionId, b.PolicyRev[q]); err != nil {
				return err
			}
		}
		if slices.ContainsFunc(b.Statements[q], func(s statement) bool { return s.Sid == st.Sid }) {
			return apierr.New(conflict, "The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", st.Sid)
		}
		list := append(slices.Clone(b.Statements[q]), st)
		text := policyText(list)
		if len(text) > maxPolicy {
			return apierr.New("PolicyLengthExceededException", "The final policy size (%d) is bigger than the limit (%d).", len(text), maxPolicy)
		}
		if _, err := policy.Parse(text, policy.Resource); err != nil {
			return apierr.Wrap(invalid, err, "The provided principal was invalid. Please check the principal and try again.")
		}
		f.keep(b, q, list)
		return nil
	})
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(st)
	if err != nil {
		return nil, fmt.Errorf("write a statement: %w", err)
	}
	return &lambdaapi.AddPermissionOutput{Statement: new(string(text))}, nil
}

func (f *Face) keep(b *record, q string, list []statement) {
	if len(list) == 0 {
		delete(b.Statements, q)
		delete(b.PolicyRev, q)
		return
	}
	if b.Statements == nil {
		b.Statements, b.PolicyRev = map[string][]statement{}, map[string]string{}
	}
	b.Statements[q], b.PolicyRev[q] = list, f.c.NewID()
}

// RemovePermission takes a statement away.
func (f *Face) RemovePermission(ctx context.Context, in *lambdaapi.RemovePermissionInput) (*lambdaapi.RemovePermissionOutput, error) {
	t, err := aim(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	_, err = f.change(ctx, t, func(tx *store.Tx, head *store.Record[record]) error {
		q, err := place(tx, head, t)
		if err != nil {
			return err
		}
		b := &head.Body
		i := slices.IndexFunc(b.Statements[q], func(s statement) bool { return s.Sid == in.StatementId })
		if len(b.Statements[q]) == 0 {
			return apierr.New(notFound, "No policy is associated with the given resource.")
		}
		if i < 0 {
			return apierr.New(notFound, "Statement %s is not found in resource policy.", in.StatementId)
		}
		if in.RevisionId != nil {
			if err := checkRevision(in.RevisionId, b.PolicyRev[q]); err != nil {
				return err
			}
		}
		f.keep(b, q, slices.Delete(slices.Clone(b.Statements[q]), i, i+1))
		return nil
	})
	return &lambdaapi.RemovePermissionOutput{}, err
}

// GetPolicy answers the policy of a function, version or alias.
func (f *Face) GetPolicy(ctx context.Context, in *lambdaapi.GetPolicyInput) (*lambdaapi.GetPolicyOutput, error) {
	t, err := aim(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	head, _, err := f.at(ctx, t)
	if err != nil {
		return nil, err
	}
	list := head.Body.Statements[t.qualifier]
	if len(list) == 0 {
		return nil, apierr.New(notFound, "The resource you requested does not exist.")
	}
	return &lambdaapi.GetPolicyOutput{Policy: new(policyText(list)), RevisionId: new(head.Body.PolicyRev[t.qualifier])}, nil
}

// maxTags of a function.
const maxTags = 50

// TagResource tags a function.
func (f *Face) TagResource(ctx context.Context, in *lambdaapi.TagResourceInput) (*lambdaapi.TagResourceOutput, error) {
	t, err := unqualified(ctx, in.Resource)
	if err != nil {
		return nil, err
	}
	_, err = f.change(ctx, t, func(_ *store.Tx, head *store.Record[record]) error {
		if head.Body.Tags == nil {
			head.Body.Tags = map[string]string{}
		}
		for k, v := range in.Tags {
			head.Body.Tags[k] = v
		}
		if len(head.Body.Tags) > maxTags {
			return apierr.New(invalid, "Number of tags exceeds resource tag limit.")
		}
		return nil
	})
	return &lambdaapi.TagResourceOutput{}, err
}

// UntagResource removes tags.
func (f *Face) UntagResource(ctx context.Context, in *lambdaapi.UntagResourceInput) (*lambdaapi.UntagResourceOutput, error) {
	t, err := unqualified(ctx, in.Resource)
	if err != nil {
		return nil, err
	}
	_, err = f.change(ctx, t, func(_ *store.Tx, head *store.Record[record]) error {
		for _, k := range in.TagKeys {
			delete(head.Body.Tags, k)
		}
		return nil
	})
	return &lambdaapi.UntagResourceOutput{}, err
}

// ListTags answers the tags of a function.
func (f *Face) ListTags(ctx context.Context, in *lambdaapi.ListTagsInput) (*lambdaapi.ListTagsOutput, error) {
	t, err := unqualified(ctx, in.Resource)
	if err != nil {
		return nil, err
	}
	head, err := f.view(ctx, t)
	if err != nil {
		return nil, err
	}
	out := &lambdaapi.ListTagsOutput{Tags: head.Body.Tags}
	if out.Tags == nil {
		out.Tags = map[string]string{}
	}
	return out, nil
}

// PutFunctionConcurrency limits the calls of a function at once.
func (f *Face) PutFunctionConcurrency(ctx context.Context, in *lambdaapi.PutFunctionConcurrencyInput) (*lambdaapi.PutFunctionConcurrencyOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	_, err = f.change(ctx, t, func(_ *store.Tx, head *store.Record[record]) error {
		head.Body.Reserved = new(in.ReservedConcurrentExecutions)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &lambdaapi.PutFunctionConcurrencyOutput{ReservedConcurrentExecutions: new(in.ReservedConcurrentExecutions)}, nil
}

// GetFunctionConcurrency answers the limit, nothing when there is none.
func (f *Face) GetFunctionConcurrency(ctx context.Context, in *lambdaapi.GetFunctionConcurrencyInput) (*lambdaapi.GetFunctionConcurrencyOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	head, err := f.view(ctx, t)
	if err != nil {
		return nil, err
	}
	return &lambdaapi.GetFunctionConcurrencyOutput{ReservedConcurrentExecutions: head.Body.Reserved}, nil
}

// DeleteFunctionConcurrency takes the limit away.
func (f *Face) DeleteFunctionConcurrency(ctx context.Context, in *lambdaapi.DeleteFunctionConcurrencyInput) (*lambdaapi.DeleteFunctionConcurrencyOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	_, err = f.change(ctx, t, func(_ *store.Tx, head *store.Record[record]) error {
		head.Body.Reserved = nil
		return nil
	})
	return &lambdaapi.DeleteFunctionConcurrencyOutput{}, err
}
