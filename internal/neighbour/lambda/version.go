package lambda

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	lambdaapi "github.com/outcrop-dev/outcrop/internal/api/lambda"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/optional"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// PublishVersion makes a version of $LATEST, or answers the last one when nothing
// has changed since.
func (f *Face) PublishVersion(ctx context.Context, in *lambdaapi.PublishVersionInput) (*lambdaapi.PublishVersionOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	if in.PublishTo != "" {
		return nil, apierr.New(invalid, "PublishTo is not built in Outcrop.")
	}
	var made store.Record[record]
	err = f.c.Registry.Store.Update(ctx, func(tx *store.Tx) error {
		head, err := functions.Get(tx, t.key())
		if err != nil {
			return err
		}
		if err := f.busy(t, &head.Body); err != nil {
			return err
		}
		if err := checkRevision(in.RevisionId, head.Body.Revision); err != nil {
			return err
		}
		if want := optional.Value(in.CodeSha256); want != "" && want != head.Body.Code.SHA256 {
			return apierr.New(invalid, "CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the CodeSHA256 in $LATEST.", want, head.Body.Code.SHA256)
		}
		if head.LastVersion > 0 {
			k := t.key()
			k.Version = strconv.Itoa(head.LastVersion)
			last, err := functions.Get(tx, k)
			if err == nil && last.Body.From == head.Body.Revision {
				made = last
				return nil
			}
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		v := head.Body.version()
		set(&v.Description, in.Description)
		v.Revision = f.c.NewID()
		made, err = functions.NewVersion(tx, t.key(), v, store.Columns{Name: t.name})
		return err
	})
	if err != nil {
		return nil, fault(t, err)
	}
	return f.describe(&made, t.arn()+":"+made.Version), nil
}

// ListVersionsByFunction lists $LATEST and the published versions, oldest first.
func (f *Face) ListVersionsByFunction(ctx context.Context, in *lambdaapi.ListVersionsByFunctionInput) (*lambdaapi.ListVersionsByFunctionOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	if _, err := f.view(ctx, t); err != nil {
		return nil, err
	}
	out := &lambdaapi.ListVersionsByFunctionOutput{Versions: []lambdaapi.FunctionConfigurationStructure{}}
	q := store.Query{Account: t.account, Region: t.region, ID: t.name, Versions: store.HeadsAndNumbered, Limit: pageSize(in.MaxItems), Cursor: optional.Value(in.Marker)}
	list, next, err := f.list(ctx, q, true)
	out.Versions, out.NextMarker = append(out.Versions, list...), next
	return out, err
}

// deleteVersion removes one version that no alias needs.
func (f *Face) deleteVersion(ctx context.Context, t target) error {
	switch {
	case t.qualifier == fn.LatestVersion:
		return apierr.New(invalid, "$LATEST version cannot be deleted without deleting the function.")
	case !numbered(t.qualifier):
		return apierr.New(invalid, "Deletion of aliases is not currently supported.")
	}
	_, err := f.change(ctx, t, func(tx *store.Tx, head *store.Record[record]) error {
		var users []string
		for _, name := range slices.Sorted(maps.Keys(head.Body.Aliases)) {
			a := head.Body.Aliases[name]
			if _, weighted := a.Weights[t.qualifier]; weighted || a.Version == t.qualifier {
				users = append(users, t.arn()+":"+name)
			}
		}
		if len(users) > 0 {
			return apierr.New(conflict, "Version cannot be deleted as it is in use by the following aliases: [%s]", strings.Join(users, ", "))
		}
		delete(head.Body.Statements, t.qualifier)
		delete(head.Body.PolicyRev, t.qualifier)
		delete(head.Body.Events, t.qualifier)
		k := t.key()
		k.Version = t.qualifier
		if err := functions.Delete(tx, k); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return nil // AWS too answers that it is gone
	})
	if err == nil {
		f.forgetCode(ctx, t, "")
	}
	return err
}

func describeAlias(t target, name string, a alias) *lambdaapi.AliasConfigurationStructure {
	out := &lambdaapi.AliasConfigurationStructure{
		AliasArn: new(t.arn() + ":" + name), Description: new(a.Description), FunctionVersion: new(a.Version), Name: new(name), RevisionId: new(a.Revision),
	}
	if len(a.Weights) > 0 {
		out.RoutingConfig = &lambdaapi.AliasRoutingConfiguration{AdditionalVersionWeights: a.Weights}
	}
	return out
}

func noAlias(t target, name string) error {
	return apierr.New(notFound, "Cannot find alias arn: %s:%s", t.arn(), name)
}

// checkAlias sees that what an alias points to is there.
func checkAlias(tx *store.Tx, t target, a alias) error {
	exists := func(v string) error {
		if v == fn.LatestVersion {
			return nil
		}
		k := t.key()
		k.Version = v
		_, err := functions.Head(tx, k)
		if errors.Is(err, store.ErrNotFound) {
			return apierr.New(notFound, "Function not found: %s:%s", t.arn(), v)
		}
		return err
	}
	if err := exists(a.Version); err != nil {
		return err
	}
	if len(a.Weights) > 1 {
		return apierr.New(invalid, "Number of items in AdditionalVersionWeights cannot be greater than 1")
	}
	for v, w := range a.Weights {
		switch {
		case a.Version == fn.LatestVersion || v == fn.LatestVersion:
			return apierr.New(invalid, "$LATEST is not supported for an alias pointing to more than 1 version")
		case v == a.Version:
			return apierr.New(invalid, "Invalid function version %s. Function version %s is already included in routing configuration.", v, v)
		case w < 0 || w > 1:
			return apierr.New(invalid, "Weights of an alias lie between 0 and 1")
		}
		if err := exists(v); err != nil {
			return err
		}
	}
	return nil
}

// CreateAlias names a version.
func (f *Face) CreateAlias(ctx context.Context, in *lambdaapi.CreateAliasInput) (*lambdaapi.CreateAliasOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	a := alias{Version: in.FunctionVersion, Description: optional.Value(in.Description), Revision: f.c.NewID()}
	if in.RoutingConfig != nil {
		a.Weights = in.RoutingConfig.AdditionalVersionWeights
	}
	_, err = f.change(ctx, t, func(tx *store.Tx, head *store.Record[record]) error {
		if _, ok := head.Body.Aliases[in.Name]; ok {
			return apierr.New(conflict, "Alias already exists: %s:%s", t.arn(), in.Name)
		}
		if err := checkAlias(tx, t, a); err != nil {
			return err
		}
		if head.Body.Aliases == nil {
			head.Body.Aliases = map[string]alias{}
		}
		head.Body.Aliases[in.Name] = a
		return nil
	})
	if err != nil {
		return nil, err
	}
	return describeAlias(t, in.Name, a), nil
}

// UpdateAlias gives an alias another version, description or weights.
func (f *Face) UpdateAlias(ctx context.Context, in *lambdaapi.UpdateAliasInput) (*lambdaapi.UpdateAliasOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	var a alias
	_, err = f.change(ctx, t, func(tx *store.Tx, head *store.Record[record]) error {
		var ok bool
		if a, ok = head.Body.Aliases[in.Name]; !ok {
			return noAlias(t, in.Name)
		}
		if err := checkRevision(in.RevisionId, a.Revision); err != nil {
			return err
		}
		set(&a.Version, in.FunctionVersion)
		set(&a.Description, in.Description)
		if in.RoutingConfig != nil {
			a.Weights = in.RoutingConfig.AdditionalVersionWeights
		}
		a.Revision = f.c.NewID()
		head.Body.Aliases[in.Name] = a
		return checkAlias(tx, t, a)
	})
	if err != nil {
		return nil, err
	}
	return describeAlias(t, in.Name, a), nil
}

// GetAlias answers an alias.
func (f *Face) GetAlias(ctx context.Context, in *lambdaapi.GetAliasInput) (*lambdaapi.GetAliasOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	head, err := f.view(ctx, t)
	if err != nil {
		return nil, err
	}
	a, ok := head.Body.Aliases[in.Name]
	if !ok {
		return nil, noAlias(t, in.Name)
	}
	return describeAlias(t, in.Name, a), nil
}

// ListAliases lists the aliases of a function by name, or those of one version.
func (f *Face) ListAliases(ctx context.Context, in *lambdaapi.ListAliasesInput) (*lambdaapi.ListAliasesOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	head, err := f.view(ctx, t)
	if err != nil {
		return nil, err
	}
	out := &lambdaapi.ListAliasesOutput{Aliases: []lambdaapi.AliasConfigurationStructure{}}
	size := pageSize(in.MaxItems)
	for _, name := range slices.Sorted(maps.Keys(head.Body.Aliases)) {
		a := head.Body.Aliases[name]
		if v := optional.Value(in.FunctionVersion); name <= optional.Value(in.Marker) || v != "" && v != a.Version {
			continue
		}
		if len(out.Aliases) == size {
			out.NextMarker = out.Aliases[size-1].Name // names are the order
			break
		}
		out.Aliases = append(out.Aliases, *describeAlias(t, name, a))
	}
	return out, nil
}

// DeleteAlias takes an alias away; one that is not there is no error.
func (f *Face) DeleteAlias(ctx context.Context, in *lambdaapi.DeleteAliasInput) (*lambdaapi.DeleteAliasOutput, error) {
	t, err := unqualified(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	_, err = f.change(ctx, t, func(_ *store.Tx, head *store.Record[record]) error {
		delete(head.Body.Aliases, in.Name)
		delete(head.Body.Statements, in.Name)
		delete(head.Body.PolicyRev, in.Name)
		delete(head.Body.Events, in.Name)
		return nil
	})
	return &lambdaapi.DeleteAliasOutput{}, err
}
