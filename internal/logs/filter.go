package logs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// MetricFilter turns matching events into a metric. It is kept and can be tried;
// nothing counts with it yet.
type MetricFilter struct {
	Group, Name     string
	Pattern         string
	Transformations []Transformation
	Created         time.Time
}

// Transformation is what a metric filter makes of a match.
type Transformation struct {
	Metric, Namespace, Value, Unit string
	Default                        *float64          `json:",omitempty"`
	Dimensions                     map[string]string `json:",omitempty"`
}

type filterBody struct {
	Pattern         string
	Transformations []Transformation
}

var filters = store.Kind[filterBody]{Name: "log-metric-filter"}

const maxFilters = 100 // in a group

// PutMetricFilter makes or replaces a metric filter.
func (s *Service) PutMetricFilter(ctx context.Context, p Place, f MetricFilter) error {
	if _, err := Compile(f.Pattern); err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if err := s.exists(tx, p, f.Group, ""); err != nil {
			return err
		}
		key, body := p.inside(f.Group, f.Name), filterBody{f.Pattern, f.Transformations}
		rec, err := filters.Get(tx, key)
		if err == nil {
			rec.Body = body
			_, err = filters.Put(tx, rec)
			return err
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		n, err := filters.Count(tx, store.Query{Account: p.Account, Region: p.Region, Parent: f.Group})
		if err != nil {
			return err
		}
		if n >= maxFilters {
			return apierr.New(LimitExceeded, "Resource limit exceeded.")
		}
		_, err = filters.Create(tx, key, body, store.Columns{Name: f.Name})
		return err
	})
}

// DeleteMetricFilter deletes one.
func (s *Service) DeleteMetricFilter(ctx context.Context, p Place, group, name string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if err := s.exists(tx, p, group, ""); err != nil {
			return err
		}
		err := filters.Delete(tx, p.inside(group, name))
		if errors.Is(err, store.ErrNotFound) {
			return apierr.New(apierr.ResourceNotFound, "The specified metric filter does not exist.")
		}
		return err
	})
}

// MetricFilters answers filters in the order of group and name: of one group, or of
// all when group is "". prefix, metric and namespace narrow.
func (s *Service) MetricFilters(ctx context.Context, p Place, group, prefix, metric, namespace, after string, limit int) (out []MetricFilter, next string, err error) {
	order := func(f MetricFilter) string { return f.Group + "\x00" + f.Name }
	err = s.store.View(ctx, func(tx *store.Tx) error {
		out = nil
		in := []string{group}
		if group == "" {
			in = nil
			err := every(tx, groups, store.Query{Account: p.Account, Region: p.Region}, func(r store.Record[groupBody]) { in = append(in, r.Name) })
			if err != nil {
				return err
			}
		} else if err := s.exists(tx, p, group, ""); err != nil {
			return err
		}
		for _, g := range in {
			err := every(tx, filters, store.Query{Account: p.Account, Region: p.Region, Parent: g}, func(r store.Record[filterBody]) {
				f := MetricFilter{g, r.Name, r.Body.Pattern, r.Body.Transformations, r.Created}
				if !strings.HasPrefix(f.Name, prefix) || (metric != "" && !f.feeds(metric, namespace)) {
					return
				}
				out = append(out, f)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	out, next = page(out, order, after, limit)
	return out, next, nil
}

func (f *MetricFilter) feeds(metric, namespace string) bool {
	for _, t := range f.Transformations {
		if t.Metric == metric && (namespace == "" || t.Namespace == namespace) {
			return true
		}
	}
	return false
}

// ResourcePolicy lets services write to the groups of an account and Region. It is
// kept; AWS evaluates it for services only.
type ResourcePolicy struct {
	Name, Document string
	Updated        time.Time
}

type policyBody struct{ Document string }

var policies = store.Kind[policyBody]{Name: "log-resource-policy"}

const maxPolicies = 10

// PutPolicy makes or replaces a resource policy.
func (s *Service) PutPolicy(ctx context.Context, p Place, name, document string) (ResourcePolicy, error) {
	if _, err := policy.Parse(document, policy.Resource); err != nil {
		return ResourcePolicy{}, apierr.Wrap(InvalidParameter, err, "%s", err)
	}
	var rec store.Record[policyBody]
	err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
		rec, err = policies.Get(tx, p.key(name))
		if err == nil {
			rec.Body.Document = document
			rec, err = policies.Put(tx, rec)
			return err
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		n, err := policies.Count(tx, store.Query{Account: p.Account, Region: p.Region})
		if err != nil {
			return err
		}
		if n >= maxPolicies {
			return apierr.New(LimitExceeded, "Resource limit exceeded.")
		}
		rec, err = policies.Create(tx, p.key(name), policyBody{document}, store.Columns{Name: name})
		return err
	})
	if err != nil {
		return ResourcePolicy{}, fmt.Errorf("put resource policy %s: %w", name, err)
	}
	return ResourcePolicy{name, document, rec.Updated}, nil
}

// DeletePolicy deletes a resource policy.
func (s *Service) DeletePolicy(ctx context.Context, p Place, name string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		err := policies.Delete(tx, p.key(name))
		if errors.Is(err, store.ErrNotFound) {
			return apierr.New(apierr.ResourceNotFound, "Policy with name [%s] does not exist.", name)
		}
		return err
	})
}

// Policies answers the resource policies in the order of their names.
func (s *Service) Policies(ctx context.Context, p Place, after string, limit int) (out []ResourcePolicy, next string, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		out = nil
		return every(tx, policies, store.Query{Account: p.Account, Region: p.Region}, func(r store.Record[policyBody]) {
			out = append(out, ResourcePolicy{r.Name, r.Body.Document, r.Updated})
		})
	})
	if err != nil {
		return nil, "", err
	}
	out, next = page(out, func(r ResourcePolicy) string { return r.Name }, after, limit)
	return out, next, nil
}
