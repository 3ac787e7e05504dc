package lambda

import (
	"bytes"
	"context"
	"errors"
	"time"

	lambdaapi "github.com/outcrop-dev/outcrop/internal/api/lambda"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/lambda/process"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// zip returns the archive that a request gives or points to in S3.
func (f *Face) zip(ctx context.Context, file []byte, bucket, key, version *string) ([]byte, error) {
	if bucket != nil || key != nil {
		if file != nil {
			return nil, apierr.New(invalid, "Please provide either a ZipFile or an S3 location for the code, not both.")
		}
		if optional.Value(version) != "" {
			return nil, apierr.New(invalid, "Buckets of Outcrop have no versions: leave S3ObjectVersion out.")
		}
		var err error
		if file, err = f.fromS3(ctx, optional.Value(bucket), optional.Value(key)); err != nil {
			return nil, err
		}
	}
	if len(file) == 0 {
		return nil, apierr.New(invalid, "Please provide a source for function code.")
	}
	if err := process.CheckZip(bytes.NewReader(file), int64(len(file))); err != nil {
		if e, ok := errors.AsType[*fn.Error](err); ok && e.Message != "" {
			return nil, apierr.Wrap(invalid, err, "%s", e.Message)
		}
		return nil, apierr.Wrap(invalid, err, "Could not unzip uploaded file. Please check your file, then try to upload again.")
	}
	return file, nil
}

// fromS3 reads an archive with the caller's permissions.
func (f *Face) fromS3(ctx context.Context, bucket, key string) ([]byte, error) {
	if f.c.Buckets == nil {
		return nil, apierr.New(invalid, "This Outcrop has no S3 of its own to read code from: send it as ZipFile.")
	}
	refuse := func(code, message string) error {
		return apierr.New(invalid, "Error occurred while GetObject. S3 Error Code: %s. S3 Error Message: %s", code, message)
	}
	rules, owner, err := f.c.Buckets.Policy(ctx, bucket)
	if errors.Is(err, object.ErrNoBucket) {
		return nil, refuse("NoSuchBucket", "The specified bucket does not exist")
	}
	if err != nil {
		return nil, err
	}
	caller, _ := call.From(ctx).Caller.(*iam.Principal)
	q := iam.Question{Principal: caller, Action: "s3:GetObject", Resource: "arn:aws:s3:::" + bucket + "/" + key, Owner: owner}
	if rules != nil {
		q.ResourcePolicies = []*policy.Policy{rules}
	}
	if err := f.c.Identity.Allow(&q); err != nil {
		return nil, apierr.Wrap(apierr.AccessDenied, err, "Your access has been denied by S3, please make sure your request credentials have permission to GetObject for %s/%s. S3 Error Code: AccessDenied. S3 Error Message: Access Denied", bucket, key)
	}
	at, err := f.c.Buckets.Bucket(ctx, bucket)
	if err != nil {
		return nil, err
	}
	b, err := readObject(ctx, f.c.Code.Objects, object.Address{Bucket: at, Key: key})
	switch {
	case errors.Is(err, object.ErrNotFound):
		return nil, refuse("NoSuchKey", "The specified key does not exist.")
	case errors.Is(err, object.ErrInvalid):
		return nil, refuse("InvalidArgument", "The key is not valid.")
	case errors.Is(err, errTooLarge):
		return nil, apierr.New(invalid, "Unzipped size must be smaller than %d bytes", fn.MaxUnzipped)
	}
	return b, err
}

// CreateFunction makes a function.
func (f *Face) CreateFunction(ctx context.Context, in *lambdaapi.CreateFunctionInput) (*lambdaapi.CreateFunctionOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	if t.account != call.From(ctx).Account {
		return nil, apierr.New(apierr.AccessDenied, "Functions are made in the caller's own account.")
	}
	switch {
	case in.PackageType != "" && in.PackageType != lambdaapi.PackageTypeZip:
		return nil, apierr.New(invalid, "Functions from container images are not built in Outcrop: use PackageType Zip.")
	case in.CodeSigningConfigArn != nil:
		return nil, apierr.New(invalid, "Code signing is not built in Outcrop: leave CodeSigningConfigArn out.")
	case in.Runtime == "" || in.Handler == nil:
		return nil, apierr.New(invalid, "Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	case in.Code == nil:
		return nil, apierr.New(invalid, "Please provide a source for function code.")
	case in.Code.SourceKMSKeyArn != nil:
		return nil, apierr.New(invalid, "SourceKMSKeyArn is not built in Outcrop.")
	case in.PublishTo != "":
		return nil, apierr.New(invalid, "PublishTo is not built in Outcrop: use Publish.")
	}
	r := record{
		Timeout: int(fn.DefaultTimeout / time.Second), MemoryMB: fn.DefaultMemoryMB, TmpMB: fn.DefaultTmpMB, Arch: string(lambdaapi.ArchitectureX8664),
		Tracing: string(lambdaapi.TracingModePassThrough), Tags: in.Tags, Revision: f.c.NewID(), Modified: f.c.Registry.now(),
	}
	if len(in.Architectures) > 0 {
		r.Arch = string(in.Architectures[0])
	}
	err = f.apply(ctx, t, &settings{
		description: in.Description, handler: in.Handler, role: &in.Role, runtime: in.Runtime, timeout: in.Timeout, memory: in.MemorySize,
		environment: in.Environment, tmp: in.EphemeralStorage, tracing: in.TracingConfig, logging: in.LoggingConfig, layers: in.Layers,
		files: in.FileSystemConfigs, vpc: in.VpcConfig, dead: in.DeadLetterConfig, image: in.ImageConfig, snap: in.SnapStart, key: in.KMSKeyArn,
		durable: in.DurableConfig != nil, capacity: in.CapacityProviderConfig != nil, tenancy: in.TenancyConfig != nil,
	}, &r)
	if err != nil {
		return nil, err
	}
	if _, err := f.view(ctx, t); err == nil {
		return nil, fault(t, store.ErrExists) // before its code is stored
	}
	zip, err := f.zip(ctx, in.Code.ZipFile, in.Code.S3Bucket, in.Code.S3Key, in.Code.S3ObjectVersion)
	if err != nil {
		return nil, err
	}
	if r.Code, err = f.c.Code.put(ctx, t, zip); err != nil {
		return nil, err
	}
	r.Ready = r.Modified.Add(f.c.Transition)
	r.Settled = r.Ready
	var made store.Record[record]
	err = f.c.Registry.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if made, err = functions.Create(tx, t.key(), r, store.Columns{Name: t.name}); err != nil {
			return err
		}
		if optional.Value(in.Publish) {
			made, err = functions.NewVersion(tx, t.key(), r.version(), store.Columns{Name: t.name})
		}
		return err
	})
	if err != nil {
		return nil, fault(t, err)
	}
	return f.describe(&made, t.arn()), nil
}

// UpdateFunctionCode replaces the code of $LATEST.
func (f *Face) UpdateFunctionCode(ctx context.Context, in *lambdaapi.UpdateFunctionCodeInput) (*lambdaapi.UpdateFunctionCodeOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	switch {
	case in.ImageUri != nil:
		return nil, apierr.New(invalid, "Functions from container images are not built in Outcrop: send a zip.")
	case in.SourceKMSKeyArn != nil:
		return nil, apierr.New(invalid, "SourceKMSKeyArn is not built in Outcrop.")
	case in.PublishTo != "":
		return nil, apierr.New(invalid, "PublishTo is not built in Outcrop: use Publish.")
	}
	head, err := f.view(ctx, t)
	if err != nil {
		return nil, err
	}
	if err := f.busy(t, &head.Body); err != nil {
		return nil, err
	}
	if err := checkRevision(in.RevisionId, head.Body.Revision); err != nil {
		return nil, err
	}
	zip, err := f.zip(ctx, in.ZipFile, in.S3Bucket, in.S3Key, in.S3ObjectVersion)
	if err != nil {
		return nil, err
	}
	before := head.Body.Code
	code := before
	if !optional.Value(in.DryRun) {
		if code, err = f.c.Code.put(ctx, t, zip); err != nil {
			return nil, err
		}
	}
	edit := func(r *record) {
		r.Code = code
		if len(in.Architectures) > 0 {
			r.Arch = string(in.Architectures[0])
		}
		f.touch(f.c.Registry.now(), r)
	}
	if optional.Value(in.DryRun) {
		edit(&head.Body)
		return f.describe(&head, t.arn()), nil
	}
	var version *store.Record[record]
	head, err = f.change(ctx, t, func(tx *store.Tx, head *store.Record[record]) error {
		if err := checkRevision(in.RevisionId, head.Body.Revision); err != nil {
			return err
		}
		edit(&head.Body)
		if optional.Value(in.Publish) {
			v, err := functions.NewVersion(tx, t.key(), head.Body.version(), store.Columns{Name: t.name})
			version = &v
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// A call that has just found the old code may still open it.
	f.forgetCode(ctx, t, before.Location)
	if version != nil {
		return f.describe(version, t.arn()+":"+version.Version), nil
	}
	return f.describe(&head, t.arn()), nil
}

// forgetCode removes the zips that neither a version nor also names. What it
// cannot remove now goes at the next change.
func (f *Face) forgetCode(ctx context.Context, t target, also string) {
	keep := map[string]bool{also: true}
	err := f.c.Registry.Store.View(ctx, func(tx *store.Tx) error {
		q := store.Query{Account: t.account, Region: t.region, ID: t.name, Versions: store.HeadsAndNumbered}
		for {
			page, err := functions.List(tx, q)
			if err != nil {
				return err
			}
			for i := range page.Records {
				keep[page.Records[i].Body.Code.Location] = true
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				return nil
			}
		}
	})
	if err == nil {
		err = f.c.Code.sweep(ctx, t, keep)
	}
	if err != nil {
		f.log.WarnContext(ctx, "old code stays", "function", t.arn(), "error", err)
	}
}

// UpdateFunctionConfiguration changes the settings of $LATEST.
func (f *Face) UpdateFunctionConfiguration(ctx context.Context, in *lambdaapi.UpdateFunctionConfigurationInput) (*lambdaapi.UpdateFunctionConfigurationOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	s := &settings{
		description: in.Description, handler: in.Handler, role: in.Role, runtime: in.Runtime, timeout: in.Timeout, memory: in.MemorySize,
		environment: in.Environment, tmp: in.EphemeralStorage, tracing: in.TracingConfig, logging: in.LoggingConfig, layers: in.Layers,
		files: in.FileSystemConfigs, vpc: in.VpcConfig, dead: in.DeadLetterConfig, image: in.ImageConfig, snap: in.SnapStart, key: in.KMSKeyArn,
		durable: in.DurableConfig != nil, capacity: in.CapacityProviderConfig != nil,
	}
	head, err := f.change(ctx, t, func(_ *store.Tx, head *store.Record[record]) error {
		if err := f.busy(t, &head.Body); err != nil {
			return err
		}
		if err := checkRevision(in.RevisionId, head.Body.Revision); err != nil {
			return err
		}
		if err := f.apply(ctx, t, s, &head.Body); err != nil {
			return err
		}
		f.touch(f.c.Registry.now(), &head.Body)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f.describe(&head, t.arn()), nil
}

// GetFunction answers the configuration, where the code can be had, and the tags.
func (f *Face) GetFunction(ctx context.Context, in *lambdaapi.GetFunctionInput) (*lambdaapi.GetFunctionOutput, error) {
	t, err := aim(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	head, at, err := f.at(ctx, t)
	if err != nil {
		return nil, err
	}
	out := &lambdaapi.GetFunctionOutput{
		Configuration: f.describe(&at, t.qualified()), Tags: head.Body.Tags,
		Code: &lambdaapi.FunctionCodeLocation{RepositoryType: new("S3")},
	}
	if f.c.CodeURL != nil {
		out.Code.Location = optional.Of(f.c.CodeURL(at.Body.Code))
	}
	if head.Body.Reserved != nil {
		out.Concurrency = &lambdaapi.ConcurrencyStructure{ReservedConcurrentExecutions: head.Body.Reserved}
	}
	return out, nil
}

// GetFunctionConfiguration answers the configuration.
func (f *Face) GetFunctionConfiguration(ctx context.Context, in *lambdaapi.GetFunctionConfigurationInput) (*lambdaapi.GetFunctionConfigurationOutput, error) {
	t, err := aim(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	_, at, err := f.at(ctx, t)
	if err != nil {
		return nil, err
	}
	return f.describe(&at, t.qualified()), nil
}

// listSize is Lambda's page.
const listSize = 50

func pageSize(n *int) int {
	if n == nil {
		return listSize
	}
	return min(max(*n, 1), listSize)
}

// ListFunctions lists the functions of the account and Region by name, with
// FunctionVersion ALL their versions too.
func (f *Face) ListFunctions(ctx context.Context, in *lambdaapi.ListFunctionsInput) (*lambdaapi.ListFunctionsOutput, error) {
	c := call.From(ctx)
	out := &lambdaapi.ListFunctionsOutput{Functions: []lambdaapi.FunctionConfigurationStructure{}}
	if r := optional.Value(in.MasterRegion); r != "" && r != "ALL" && r != c.Region {
		return out, nil // no function here is a copy from another Region
	}
	all := in.FunctionVersion == lambdaapi.FunctionVersionAll
	q := store.Query{Account: c.Account, Region: c.Region, Sort: store.ByName, Limit: pageSize(in.MaxItems), Cursor: optional.Value(in.Marker)}
	if all {
		q.Versions = store.HeadsAndNumbered
	}
	list, next, err := f.list(ctx, q, all)
	if err != nil {
		return nil, err
	}
	out.Functions, out.NextMarker = append(out.Functions, list...), next
	return out, nil
}

func (f *Face) list(ctx context.Context, q store.Query, qualified bool) (out []lambdaapi.FunctionConfigurationStructure, next *string, err error) {
	var page store.Page[record]
	err = f.c.Registry.Store.View(ctx, func(tx *store.Tx) (err error) {
		page, err = functions.List(tx, q)
		return err
	})
	if err != nil {
		return nil, nil, fault(target{}, err)
	}
	for i := range page.Records {
		r := &page.Records[i]
		t := target{account: r.Account, region: r.Region, name: r.ID}
		if qualified {
			if t.qualifier = r.Version; t.qualifier == "" {
				t.qualifier = fn.LatestVersion
			}
		}
		out = append(out, *f.describe(r, t.qualified()))
	}
	return out, optional.Of(page.Next), nil
}

// DeleteFunction removes a function with all it has, or one version.
func (f *Face) DeleteFunction(ctx context.Context, in *lambdaapi.DeleteFunctionInput) (*lambdaapi.DeleteFunctionOutput, error) {
	t, err := aim(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	out := &lambdaapi.DeleteFunctionOutput{StatusCode: new(204)}
	if t.qualifier != "" {
		return out, f.deleteVersion(ctx, t)
	}
	err = f.c.Registry.Store.Update(ctx, func(tx *store.Tx) error { return functions.Delete(tx, t.key()) })
	if err != nil {
		return nil, fault(t, err)
	}
	if f.c.Forget != nil {
		f.c.Forget(t.arn())
	}
	if err := f.c.Code.sweep(ctx, t, nil); err != nil {
		f.log.WarnContext(ctx, "the code of a deleted function stays", "function", t.arn(), "error", err)
	}
	return out, nil
}
