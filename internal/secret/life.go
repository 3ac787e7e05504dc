package secret

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// SweepInterval is how often Run looks for secrets whose recovery window is over.
const SweepInterval = time.Minute

// Describe answers a secret without its values, also one that waits for its end.
func (s *Service) Describe(ctx context.Context, c kms.Caller, id string) (Secret, error) {
	return s.Look(ctx, c, id, "secretsmanager:DescribeSecret")
}

// Look answers a secret to a caller who has the permission action on it:
// secretsmanager:GetResourcePolicy, secretsmanager:ListSecretVersionIds …
func (s *Service) Look(ctx context.Context, c kms.Caller, id, action string) (Secret, error) {
	var r store.Record[body]
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		r, err = s.find(tx, c, id, action, nil)
		return err
	})
	if err != nil {
		return Secret{}, err
	}
	return of(r), nil
}

// Delete has a secret deleted after days, MinWindow to MaxWindow (0 is MaxWindow),
// or at once with force.
func (s *Service) Delete(ctx context.Context, c kms.Caller, id string, days *int64, force bool) (Secret, error) {
	window := int64(MaxWindow)
	switch {
	case days != nil && force:
		return Secret{}, apierr.New(InvalidParameter, "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	case days != nil && (*days < MinWindow || *days > MaxWindow):
		return Secret{}, apierr.New(InvalidParameter, "The RecoveryWindowInDays value must be between %d and %d days (inclusive).", MinWindow, MaxWindow)
	case days != nil:
		window = *days
	}
	cond := map[string][]string{"secretsmanager:ForceDeleteWithoutRecovery": {"false"}}
	if force {
		cond["secretsmanager:ForceDeleteWithoutRecovery"] = []string{"true"}
	}
	var out Secret
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		r, err := s.find(tx, c, id, "secretsmanager:DeleteSecret", cond)
		if err != nil {
			return err
		}
		if force {
			r.Body.Deleted, r.Body.Due = tx.Now, tx.Now
			out = of(r)
			return drop(tx, r)
		}
		if err := marked(&r); err != nil {
			return err
		}
		r.Body.Deleted, r.Body.Due = tx.Now, tx.Now.Add(time.Duration(window)*day)
		r, err = secrets.Put(tx, r)
		out = of(r)
		return err
	})
	if err == nil && force {
		s.scrub(ctx)
	}
	return out, err
}

// drop removes a secret with its versions.
func drop(tx *store.Tx, r store.Record[body]) error {
	if _, err := versions.DeleteIn(tx, store.Key{Account: r.Account, Region: r.Region, Parent: r.ID}); err != nil {
		return err
	}
	return secrets.Delete(tx, r.Key)
}

// scrub takes deleted values out of the database's files.
func (s *Service) scrub(ctx context.Context) {
	if err := s.store.Driver().Scrub(context.WithoutCancel(ctx)); err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "a deleted secret stays in the write-ahead log until the next write", slog.Any("error", err))
	}
}

// Restore keeps a secret that was to be deleted.
func (s *Service) Restore(ctx context.Context, c kms.Caller, id string) (Secret, error) {
	return s.edit(ctx, c, id, "secretsmanager:RestoreSecret", nil, func(_ *store.Tx, r *store.Record[body]) error {
		r.Body.Deleted, r.Body.Due = time.Time{}, time.Time{}
		return nil
	})
}

// Tag sets tags; others stay.
func (s *Service) Tag(ctx context.Context, c kms.Caller, id string, tags []Tag) error {
	_, err := s.edit(ctx, c, id, "secretsmanager:TagResource", tagConditions(tags), func(_ *store.Tx, r *store.Record[body]) (err error) {
		if err := marked(r); err != nil {
			return err
		}
		r.Body.Tags, err = mergeTags(r.Body.Tags, tags)
		return err
	})
	return err
}

// Untag removes tags by key.
func (s *Service) Untag(ctx context.Context, c kms.Caller, id string, names []string) error {
	_, err := s.edit(ctx, c, id, "secretsmanager:UntagResource", map[string][]string{"aws:TagKeys": names}, func(_ *store.Tx, r *store.Record[body]) error {
		r.Body.Tags = slices.DeleteFunc(r.Body.Tags, func(t Tag) bool { return slices.Contains(names, t.Key) })
		return marked(r)
	})
	return err
}

// PutPolicy gives a secret a policy. blockPublic refuses one that lets everybody in.
func (s *Service) PutPolicy(ctx context.Context, c kms.Caller, id, document string, blockPublic bool) (Secret, error) {
	p, err := policy.Parse(document, policy.Resource)
	if err != nil {
		return Secret{}, apierr.Wrap(MalformedPolicy, err, "This resource policy contains a syntax error. %s", err)
	}
	if blockPublic && slices.ContainsFunc(p.Statements, isPublic) {
		return Secret{}, apierr.New(PublicPolicy, "You can't attach this policy to the secret because it allows broad access.")
	}
	cond := map[string][]string{"secretsmanager:BlockPublicPolicy": {"false"}}
	if blockPublic {
		cond["secretsmanager:BlockPublicPolicy"] = []string{"true"}
	}
	return s.edit(ctx, c, id, "secretsmanager:PutResourcePolicy", cond, func(_ *store.Tx, r *store.Record[body]) error {
		r.Body.Policy = document
		return marked(r)
	})
}

// isPublic reports whether a statement allows everybody without a condition.
func isPublic(st policy.Statement) bool {
	if st.Effect != policy.Allow || len(st.Condition) > 0 {
		return false
	}
	return st.NotPrincipal != nil || (st.Principal != nil && (st.Principal.Any || slices.Contains(st.Principal.AWS, "*")))
}

// DeletePolicy takes the policy away.
func (s *Service) DeletePolicy(ctx context.Context, c kms.Caller, id string) (Secret, error) {
	return s.edit(ctx, c, id, "secretsmanager:DeleteResourcePolicy", nil, func(_ *store.Tx, r *store.Record[body]) error {
		r.Body.Policy = ""
		return marked(r)
	})
}

// Filter narrows a list: a value of a field begins with one of the values. A value
// that begins with ! must not be there.
type Filter struct {
	Field  string // name, description, tag-key, tag-value, all …
	Values []string
}

// ListInput selects secrets.
type ListInput struct {
	Filters []Filter
	Deleted bool   // those that wait for their end as well
	SortBy  string // created-date (also when empty), last-accessed-date, last-changed-date, name
	Desc    bool
	After   string // token of the page before
	Limit   int    // 0: 100
}

// List answers the secrets of the caller's account and Region, and the token of the
// next page.
func (s *Service) List(ctx context.Context, c kms.Caller, in ListInput) (out []Secret, next string, err error) {
	if err := s.ask(c, "secretsmanager:ListSecrets", "", nil, nil); err != nil {
		return nil, "", err
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		out = nil
		q := store.Query{Account: c.Account, Region: c.Region, Limit: 1000}
		for {
			page, err := secrets.List(tx, q)
			if err != nil {
				return err
			}
			for _, r := range page.Records {
				due := r.Body.Due
				if !due.IsZero() && (!in.Deleted || !due.After(tx.Now)) {
					continue
				}
				if x := of(r); x.matches(in.Filters, c.Region) {
					out = append(out, x)
				}
			}
			if page.Next == "" {
				return nil
			}
			q.Cursor = page.Next
		}
	})
	if err != nil {
		return nil, "", err
	}
	order := func(x Secret) string {
		at := x.Created
		switch in.SortBy {
		case "name":
			return x.Name
		case "last-accessed-date":
			at = x.Accessed
		case "last-changed-date":
			at = x.Changed
		}
		return at.UTC().Format("20060102150405.000000") + "/" + x.Name
	}
	slices.SortFunc(out, func(a, b Secret) int {
		if in.Desc {
			a, b = b, a
		}
		return strings.Compare(order(a), order(b))
	})
	if in.After != "" {
		i := slices.IndexFunc(out, func(x Secret) bool { return in.Desc && order(x) < in.After || !in.Desc && order(x) > in.After })
		if i < 0 {
			return nil, "", nil
		}
		out = out[i:]
	}
	if limit := cmp.Or(in.Limit, 100); len(out) > limit {
		return out[:limit], order(out[limit-1]), nil
	}
	return out, "", nil
}

func (x *Secret) matches(filters []Filter, region string) bool {
	for _, f := range filters {
		var fields []string
		add := func(name string, values ...string) {
			if f.Field == name || f.Field == "all" {
				fields = append(fields, values...)
			}
		}
		add("name", x.Name)
		add("description", x.Description)
		for _, t := range x.Tags {
			add("tag-key", t.Key)
			add("tag-value", t.Value)
		}
		if f.Field == "primary-region" {
			fields = []string{region}
		}
		if !slices.ContainsFunc(f.Values, func(v string) bool { return meets(fields, v, f.Field == "all") }) {
			return false
		}
	}
	return true
}

// meets compares beginnings; in all fields, the beginnings of words, whatever their
// case.
func meets(fields []string, v string, words bool) bool {
	v, not := strings.CutPrefix(v, "!")
	has := slices.ContainsFunc(fields, func(f string) bool {
		if !words {
			return strings.HasPrefix(f, v)
		}
		f, v := strings.ToLower(f), strings.ToLower(v)
		return strings.HasPrefix(f, v) || slices.ContainsFunc(strings.FieldsFunc(f, func(r rune) bool { return strings.ContainsRune(" /_+=.@-", r) }),
			func(w string) bool { return strings.HasPrefix(w, v) })
	})
	return has != not
}

// Run sweeps every SweepInterval until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	t := time.NewTicker(SweepInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelError, "deleted secrets cannot be removed", slog.Any("error", err))
		}
	}
}

// Sweep removes the secrets whose recovery window is over, by the service clock.
func (s *Service) Sweep(ctx context.Context) error {
	var due []store.Key
	err := s.store.View(ctx, func(tx *store.Tx) error {
		due = nil
		q := store.Query{Everywhere: true, Limit: 1000}
		for {
			page, err := secrets.List(tx, q)
			if err != nil {
				return err
			}
			for _, r := range page.Records {
				if !r.Body.Due.IsZero() && !r.Body.Due.After(tx.Now) {
					due = append(due, r.Key)
				}
			}
			if page.Next == "" {
				return nil
			}
			q.Cursor = page.Next
		}
	})
	if err != nil || len(due) == 0 {
		return err
	}
	for _, key := range due {
		err := s.store.Update(ctx, func(tx *store.Tx) error {
			r, err := secrets.Get(tx, key)
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil || r.Body.Due.IsZero() || r.Body.Due.After(tx.Now) {
				return err // restored meanwhile
			}
			return drop(tx, r)
		})
		if err != nil {
			return err
		}
	}
	s.scrub(ctx)
	return nil
}
