package knowledge

import (
	"cmp"
	"context"

	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/page"
	"github.com/outcrop-dev/outcrop/internal/store"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
	"github.com/outcrop-dev/outcrop/internal/optional"
)

func sourceView(rec *store.Record[sourceRow]) *api.DataSource {
	s := &rec.Body
	return &api.DataSource{
		KnowledgeBaseId: rec.Parent, DataSourceId: rec.ID, Name: s.Name, Description: optional.Of(s.Description), Status: s.Status,
		DataSourceConfiguration: s.Config, ServerSideEncryptionConfiguration: s.Encryption, VectorIngestionConfiguration: s.Ingestion,
		DataDeletionPolicy: s.Deletion, FailureReasons: s.Reasons, CreatedAt: rec.Created, UpdatedAt: rec.Updated,
	}
}

// open reads the row of a knowledge base whose data sources are to be changed: it must
// be in one of the states.
func (r *Room) open(tx *store.Tx, key store.Key, states ...api.KnowledgeBaseStatus) (store.Record[baseRow], error) {
	rec, err := bases.Get(tx, key)
	if err != nil {
		return rec, err
	}
	return rec, r.takes(tx, &rec, states...)
}

func (r *Room) takes(tx *store.Tx, rec *store.Record[baseRow], states ...api.KnowledgeBaseStatus) error {
	now := rec.Body.State.At(tx.Now, r.cfg.Transition)
	for _, s := range states {
		if s == now {
			return nil
		}
	}
	return baseBusy(rec.ID, now)
}

// CreateDataSource gives a knowledge base a place from which documents come. Its key may
// become that of the index: see sealKey.
func (r DataSources) CreateDataSource(ctx context.Context, in *api.CreateDataSourceInput) (*api.CreateDataSourceOutput, error) {
	c, key := at(ctx, in.KnowledgeBaseId)
	id := arn.NewID()
	request := *in
	request.ClientToken = nil
	t := token(c, "CreateDataSource", in.ClientToken)
	if out, found, err := replay[*api.CreateDataSourceOutput](ctx, r.Room, t, request); err != nil || found {
		return out, failure(err)
	}
	if err := checkSource(in.DataSourceConfiguration); err != nil {
		return nil, err
	}
	b, err := r.Base(ctx, key.Account, key.Region, key.ID)
	if err != nil {
		return nil, err
	}
	if b.Status != api.KnowledgeBaseStatusActive {
		return nil, baseBusy(key.ID, b.Status)
	}
	if err := checkIngestion(in.VectorIngestionConfiguration, b.Model); err != nil {
		return nil, err
	}
	row := sourceRow{
		Name: in.Name, Description: optional.Value(in.Description), Config: in.DataSourceConfiguration, Ingestion: in.VectorIngestionConfiguration,
		Deletion: cmp.Or(in.DataDeletionPolicy, api.DataDeletionPolicyDelete), Encryption: in.ServerSideEncryptionConfiguration,
		Status: sourceStates.Initial(),
	}
	// What would be refused anyway must not change the key of the index.
	err = r.cfg.Store.View(ctx, func(tx *store.Tx) error { return r.roomForSource(tx, key, in.Name) })
	if err != nil {
		return nil, failure(err)
	}
	var out *api.CreateDataSourceOutput
	err = r.apply(ctx, change{
		base: key, source: id,
		after: func(list []store.Record[sourceRow]) []store.Record[sourceRow] {
			return append(list, store.Record[sourceRow]{Body: row})
		},
		write: func(tx *store.Tx, base *store.Record[baseRow]) (err error) {
			out, err = store.Idempotent(tx, t, request, func() (*api.CreateDataSourceOutput, error) {
				if err := r.takes(tx, base, api.KnowledgeBaseStatusActive); err != nil {
					return nil, err
				}
				if err := r.roomForSource(tx, key, in.Name); err != nil {
					return nil, err
				}
				rec, err := sources.Create(tx, inside(key, id), row, store.Columns{Name: in.Name})
				if err != nil {
					return nil, taken(err, "DataSource", in.Name)
				}
				return &api.CreateDataSourceOutput{DataSource: sourceView(&rec)}, nil
			})
			return err
		},
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// roomForSource refuses one data source more than the quota, or a name that is taken.
func (r *Room) roomForSource(tx *store.Tx, base store.Key, name string) error {
	q := store.Query{Account: base.Account, Region: base.Region, Parent: base.ID}
	n, err := sources.Count(tx, q)
	if err != nil {
		return err
	}
	if n >= r.cfg.Quotas.Sources {
		return beyond("data sources in a knowledge base", r.cfg.Quotas.Sources)
	}
	q.NameEquals = name
	if n, err = sources.Count(tx, q); err != nil {
		return err
	}
	if n > 0 {
		return taken(store.ErrExists, "DataSource", name)
	}
	return nil
}

// GetDataSource reads a data source.
func (r DataSources) GetDataSource(ctx context.Context, in *api.GetDataSourceInput) (*api.GetDataSourceOutput, error) {
	_, key := at(ctx, in.KnowledgeBaseId)
	var out *api.GetDataSourceOutput
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		rec, err := sources.Get(tx, inside(key, in.DataSourceId))
		if err != nil {
			return err
		}
		out = &api.GetDataSourceOutput{DataSource: sourceView(&rec)}
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// ListDataSources lists the data sources of a knowledge base, newest first.
func (r DataSources) ListDataSources(ctx context.Context, in *api.ListDataSourcesInput) (*api.ListDataSourcesOutput, error) {
	_, key := at(ctx, in.KnowledgeBaseId)
	var out *api.ListDataSourcesOutput
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		if _, err := bases.Head(tx, key); err != nil {
			return err
		}
		p, err := sources.List(tx, store.Query{
			Account: key.Account, Region: key.Region, Parent: key.ID, Sort: store.ByCreated, Desc: true,
			Limit: page.Few(in.MaxResults), Cursor: optional.Value(in.NextToken),
		})
		if err != nil {
			return err
		}
		out = &api.ListDataSourcesOutput{DataSourceSummaries: make([]api.DataSourceSummary, 0, len(p.Records)), NextToken: optional.Of(p.Next)}
		for i := range p.Records {
			rec := &p.Records[i]
			if rec.Sealed != nil {
				return rec.Sealed
			}
			out.DataSourceSummaries = append(out.DataSourceSummaries, api.DataSourceSummary{
				KnowledgeBaseId: key.ID, DataSourceId: rec.ID, Name: rec.Body.Name, Description: optional.Of(rec.Body.Description),
				Status: rec.Body.Status, UpdatedAt: rec.Updated,
			})
		}
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// UpdateDataSource replaces name, description, place, key and deletion policy: what is
// left out goes back to its default, for the policy DELETE. How documents are cut
// cannot change, and a request must say it again, as on AWS. Documents of the old place
// go with the next sync.
func (r DataSources) UpdateDataSource(ctx context.Context, in *api.UpdateDataSourceInput) (*api.UpdateDataSourceOutput, error) {
	_, key := at(ctx, in.KnowledgeBaseId)
	if err := checkSource(in.DataSourceConfiguration); err != nil {
		return nil, err
	}
	replace := func(s *sourceRow) {
		s.Name, s.Description, s.Config = in.Name, optional.Value(in.Description), in.DataSourceConfiguration
		s.Deletion, s.Encryption = cmp.Or(in.DataDeletionPolicy, api.DataDeletionPolicyDelete), in.ServerSideEncryptionConfiguration
	}
	check := func(tx *store.Tx, base *store.Record[baseRow]) (store.Record[sourceRow], error) {
		rec, err := sources.Get(tx, inside(key, in.DataSourceId))
		if err != nil {
			return rec, err
		}
		if err := r.takes(tx, base, api.KnowledgeBaseStatusActive, api.KnowledgeBaseStatusDeleteUnsuccessful); err != nil {
			return rec, err
		}
		s := &rec.Body
		next, err := sourceStates.Next(s.Status, update)
		if err != nil {
			return rec, sourceBusy(rec.ID, s.Status)
		}
		if in.DataSourceConfiguration.Type != s.Config.Type {
			return rec, invalid("dataSourceConfiguration.type", "The type of a data source cannot be changed. It is %s.", s.Config.Type)
		}
		if !equal(said(in.VectorIngestionConfiguration), said(s.Ingestion)) {
			return rec, invalid("vectorIngestionConfiguration", "The vectorIngestionConfiguration of a data source cannot be changed. Send the one it has, or create another data source.")
		}
		if in.Name != s.Name {
			n, err := sources.Count(tx, store.Query{Account: key.Account, Region: key.Region, Parent: key.ID, NameEquals: in.Name})
			if err != nil {
				return rec, err
			}
			if n > 0 {
				return rec, taken(store.ErrExists, "DataSource", in.Name)
			}
		}
		s.Status, s.Reasons = next, nil
		replace(s)
		rec.Name = in.Name
		return rec, nil
	}
	// What would be refused anyway must not change the key of the index.
	err := r.cfg.Store.View(ctx, func(tx *store.Tx) error {
		base, err := bases.Get(tx, key)
		if err != nil {
			return err
		}
		_, err = check(tx, &base)
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	var out *api.UpdateDataSourceOutput
	err = r.apply(ctx, change{
		base: key, source: in.DataSourceId,
		after: func(list []store.Record[sourceRow]) []store.Record[sourceRow] {
			for i := range list {
				if list[i].ID == in.DataSourceId {
					replace(&list[i].Body)
				}
			}
			return list
		},
		write: func(tx *store.Tx, base *store.Record[baseRow]) error {
			rec, err := check(tx, base)
			if err != nil {
				return err
			}
			if rec, err = sources.Put(tx, rec); err != nil {
				return err
			}
			out = &api.UpdateDataSourceOutput{DataSource: sourceView(&rec)}
			return nil
		},
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// said is a configuration with nothing in it as one that is left out: they mean the same.
func said(v *api.VectorIngestionConfiguration) *api.VectorIngestionConfiguration {
	if v != nil && *v == (api.VectorIngestionConfiguration{}) {
		return nil
	}
	return v
}

// DeleteDataSource begins to remove a data source, and with the policy DELETE all that
// was read from it.
func (r DataSources) DeleteDataSource(ctx context.Context, in *api.DeleteDataSourceInput) (*api.DeleteDataSourceOutput, error) {
	c, key := at(ctx, in.KnowledgeBaseId)
	err := r.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		if _, err := r.open(tx, key, api.KnowledgeBaseStatusActive, api.KnowledgeBaseStatusDeleteUnsuccessful); err != nil {
			return err
		}
		rec, err := sources.Get(tx, inside(key, in.DataSourceId))
		if err != nil {
			return err
		}
		s := &rec.Body
		next, err := sourceStates.Next(s.Status, remove)
		if err != nil {
			return sourceBusy(rec.ID, s.Status)
		}
		s.Status, s.Reasons = next, nil
		if _, err := sources.Put(tx, rec); err != nil {
			return err
		}
		return r.enqueueDeletion(tx, c, key, rec.ID)
	})
	if err != nil {
		return nil, failure(err)
	}
	return &api.DeleteDataSourceOutput{KnowledgeBaseId: key.ID, DataSourceId: in.DataSourceId, Status: api.DataSourceStatusDeleting}, nil
}
