package throughput

import (
	"context"
	"errors"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// Matches says whether a model id can be a provisioned model's ARN or name. The
// guide asks for the ARN, another chapter of it allows the name; both are taken.
func Matches(id string) bool {
	if strings.HasPrefix(id, "arn:") {
		return strings.Contains(id, ":provisioned-model/")
	}
	return len(id) <= 63 && !strings.ContainsAny(id, ".:/")
}

// Resolve finds the target of a provisioned model; nil for a name that is none.
func (p *ProvisionedModels) Resolve(ctx context.Context, id string) (*catalog.Target, error) {
	rec, err := p.read(ctx, id)
	if err != nil || rec == nil {
		return nil, err
	}
	if s := p.state(rec); s == bedrock.ProvisionedModelStatusCreating {
		return nil, apierr.New(apierr.ModelNotReady, "The provisioned model %s is not ready for inference. Try again in a moment.", rec.Body.Name)
	}
	from, custom := rec.Body.Bought, ""
	if strings.Contains(p.now(rec), ":custom-model/") {
		from, custom = rec.Body.Base, p.now(rec)
	} else if rec.Body.Origin != "" {
		from = rec.Body.Base
	}
	base, err := p.cfg.Catalog.Foundation(ctx, from, id)
	if err != nil {
		return nil, err
	}
	t := *base
	t.ARN = nameOf(call.From(ctx), rec.ID)
	t.ProvisionedARN, t.CustomARN, t.Resources = t.ARN, custom, []string{t.ARN}
	return &t, nil
}

// Resources names what a caller of a provisioned model needs permission for.
func (p *ProvisionedModels) Resources(ctx context.Context, id string) []string {
	rec, err := p.read(ctx, id)
	if err != nil || rec == nil {
		return nil
	}
	return []string{nameOf(call.From(ctx), rec.ID)}
}

// Canonical is the ARN of a provisioned model whose name stands in the place of
// its id, as a request may write it; any other ARN is answered as it is.
func (p *ProvisionedModels) Canonical(ctx context.Context, resource string) string {
	name, err := arn.Parse(resource)
	if err != nil || name.Type() != "provisioned-model" {
		return resource
	}
	if list := p.Resources(ctx, name.ID()); len(list) > 0 {
		return list[0]
	}
	return resource
}

func (p *ProvisionedModels) read(ctx context.Context, id string) (*store.Record[row], error) {
	var rec store.Record[row]
	err := p.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		rec, err = p.find(ctx, tx, id)
		return err
	})
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind == apierr.ResourceNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &rec, nil
}
