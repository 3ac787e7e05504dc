package lambda

import (
	"context"
	"encoding/base64"
	"errors"

	lambdaapi "github.com/outcrop-dev/outcrop/internal/api/lambda"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

// Invoke calls a function.
func (f *Face) Invoke(ctx context.Context, in *lambdaapi.InvokeInput) (*lambdaapi.InvokeOutput, error) {
	t, err := aim(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	switch {
	case in.DurableExecutionName != nil:
		return nil, apierr.New(invalid, "Durable executions are not built in Outcrop.")
	case in.TenantId != nil:
		return nil, apierr.New(invalid, "Tenant isolation is not built in Outcrop.")
	}
	v := fn.Invocation{
		FunctionARN: t.qualified(), Type: fn.Type(in.InvocationType), Payload: in.Payload, LogTail: in.LogType == lambdaapi.LogTypeTail,
		RequestID: call.From(ctx).RequestID,
	}
	if c := optional.Value(in.ClientContext); c != "" {
		if v.ClientContext, err = base64.StdEncoding.DecodeString(c); err != nil {
			return nil, apierr.New(apierr.Kind(fn.InvalidRequest), "Client context must be a valid Base64-encoded JSON object.")
		}
	}
	res, err := f.c.Invoker.Invoke(ctx, v)
	if err != nil {
		return nil, refusal(err)
	}
	out := &lambdaapi.InvokeOutput{
		StatusCode: new(res.Status), ExecutedVersion: optional.Of(res.Version), FunctionError: optional.Of(res.FunctionError), Payload: res.Payload,
	}
	if v.LogTail && res.Status == 200 {
		out.LogResult = new(base64.StdEncoding.EncodeToString(res.LogTail))
	}
	return out, nil
}

// refusal gives an error of the port its exception: the kinds have AWS's names.
func refusal(err error) error {
	e, ok := errors.AsType[*fn.Error](err)
	if !ok {
		return err
	}
	kind := apierr.Kind(e.Kind)
	if e.Kind == fn.NoJail {
		kind = apierr.Kind(fn.Service) // the model has no exception for it
	}
	return apierr.Wrap(kind, err, "%s", e.Message)
}
