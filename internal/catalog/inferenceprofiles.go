package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/page"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/tag"
)

// InferenceProfiles holds the operations on inference profiles. System-defined
// ones come from the catalogue's data, those of applications are stored.
type InferenceProfiles struct{ *Catalog }

// profileRow is what is stored of an application profile.
type profileRow struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	BaseID      string   `json:"baseId"` // foundation model it leads to
	Models      []string `json:"models"`
}

var profiles = store.Kind[profileRow]{Name: "inference-profile", SharedNames: true}

// maxApplicationProfiles is AWS's default quota of an account in a Region.
const maxApplicationProfiles = 1000

func applicationARN(at *call.Call, id string) string {
	return arn.New("bedrock", at.Region, at.Account, "application-inference-profile/"+id).String()
}

func applicationRecord(at *call.Call, rec store.Record[profileRow]) *Profile {
	return &Profile{
		ID: rec.ID, ARN: applicationARN(at, rec.ID), Name: rec.Body.Name, Description: rec.Body.Description,
		Models: rec.Body.Models, Application: true, Created: rec.Created, Updated: rec.Updated,
	}
}

// readProfile reads an application profile of the caller; nil when there is none.
func (c *Catalog) readProfile(ctx context.Context, at *call.Call, id string) (p *Profile, base string, err error) {
	if c.store == nil {
		return nil, "", nil
	}
	err = c.store.View(ctx, func(tx *store.Tx) error {
		rec, err := profiles.Get(tx, store.Key{Account: at.Account, Region: at.Region, ID: id})
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case err != nil:
			return err
		}
		p, base = applicationRecord(at, rec), rec.Body.BaseID
		return nil
	})
	return p, base, err
}

// applicationProfile is the reference that an application profile's id means.
func (c *Catalog) applicationProfile(ctx context.Context, at *call.Call, id string) (reference, error) {
	p, base, err := c.readProfile(ctx, at, id)
	if err != nil {
		return reference{}, err
	}
	if p == nil {
		return reference{}, errInvalid()
	}
	e := c.lookup(base)
	if e == nil { // the user took the entry out of the configuration
		return reference{}, errInvalid()
	}
	return reference{entry: e, profile: p}, nil
}

// CreateInferenceProfile stores an application profile made from a foundation
// model or a system-defined profile.
func (m *InferenceProfiles) CreateInferenceProfile(ctx context.Context, in *bedrock.CreateInferenceProfileInput) (*bedrock.CreateInferenceProfileOutput, error) {
	if err := m.keeps(); err != nil {
		return nil, err
	}
	at := call.From(ctx)
	row := profileRow{Name: in.InferenceProfileName}
	if in.Description != nil {
		row.Description = *in.Description
	}
	if err := m.copyFrom(at, in.ModelSource, &row); err != nil {
		return nil, err
	}
	request := *in
	request.ClientRequestToken = nil
	token := store.Token{Account: at.Account, Region: at.Region, Operation: "CreateInferenceProfile"}
	if in.ClientRequestToken != nil {
		token.Value = *in.ClientRequestToken
	}
	var name string
	err := m.store.Update(ctx, func(tx *store.Tx) (err error) {
		name, err = store.Idempotent(tx, token, request, func() (string, error) {
			n, err := profiles.Count(tx, store.Query{Account: at.Account, Region: at.Region})
			if err != nil {
				return "", err
			}
			if n >= maxApplicationProfiles {
				return "", apierr.New(apierr.ServiceQuotaExceeded, "The account has %d application inference profiles in this Region, which is its quota. Delete one first.", n)
			}
			id := m.newID()
			key := store.Key{Account: at.Account, Region: at.Region, ID: id}
			// The name is in the body too: what users write stays sealed.
			if _, err := profiles.Create(tx, key, row, store.Columns{Name: id, Status: string(bedrock.InferenceProfileStatusActive)}); err != nil {
				return "", err
			}
			name := applicationARN(at, id)
			tags := tag.FromBedrock(in.Tags)
			if err := tag.Check(name, nil, tags); err != nil {
				return "", err
			}
			return name, tx.PutTags(name, tags)
		})
		return err
	})
	if err != nil {
		return nil, failure(err)
	}
	return &bedrock.CreateInferenceProfileOutput{InferenceProfileArn: name, Status: bedrock.InferenceProfileStatusActive}, nil
}

// copyFrom fills in what the source of a new profile leads to.
func (m *InferenceProfiles) copyFrom(at *call.Call, source *bedrock.InferenceProfileModelSource, row *profileRow) error {
	if source == nil || source.CopyFrom == nil {
		return apierr.New(apierr.Validation, "modelSource.copyFrom must name a foundation model or a system-defined inference profile.")
	}
	from := *source.CopyFrom
	name, err := arn.Parse(from)
	if err != nil || name.Validate() != nil || name.Service != "bedrock" || name.Region != at.Region {
		return errInvalid()
	}
	switch name.Type() {
	case "foundation-model":
		e := m.lookup(name.ID())
		if e == nil || name.Account != "" || !m.inRegion(e, at.Region) {
			return errInvalid()
		}
		if err := m.alive(e); err != nil {
			return err
		}
		if !m.lenient && !e.isOnDemand(at.Region) {
			return apierr.New(apierr.Validation, textOnDemand, e.ID)
		}
		row.BaseID, row.Models = e.ID, []string{from}
	case "inference-profile":
		p, e := m.systemProfile(at, name.ID())
		if p == nil || name.Account != at.Account {
			return errInvalid()
		}
		if err := m.alive(e); err != nil {
			return err
		}
		row.BaseID, row.Models = e.ID, p.Models
	default:
		return errInvalid()
	}
	return nil
}

// GetInferenceProfile reads a profile of either type by id or ARN.
func (m *InferenceProfiles) GetInferenceProfile(ctx context.Context, in *bedrock.GetInferenceProfileInput) (*bedrock.GetInferenceProfileOutput, error) {
	p, err := m.findProfile(ctx, in.InferenceProfileIdentifier)
	if err != nil {
		return nil, err
	}
	return new(bedrock.GetInferenceProfileOutput(summary(p))), nil
}

func (m *InferenceProfiles) findProfile(ctx context.Context, id string) (*Profile, error) {
	at := call.From(ctx)
	missing := func() error {
		return apierr.New(apierr.ResourceNotFound, "The inference profile %s was not found.", id)
	}
	typ, rest := "", id
	if strings.HasPrefix(id, "arn:") {
		name, err := arn.Parse(id)
		if err != nil {
			return nil, errInvalid()
		}
		typ, rest = name.Split()
		// The model's pattern lets Region and account be empty.
		if cmp.Or(name.Region, at.Region) != at.Region || cmp.Or(name.Account, at.Account) != at.Account {
			return nil, missing()
		}
	}
	if typ != "application-inference-profile" {
		if p, e := m.systemProfile(at, rest); p != nil && m.state(e) != EndOfLife {
			return p, nil
		}
	}
	if typ != "inference-profile" && isProfileID(rest) {
		p, _, err := m.readProfile(ctx, at, rest)
		if err != nil {
			return nil, failure(err)
		}
		if p != nil {
			return p, nil
		}
	}
	return nil, missing()
}

func summary(p *Profile) bedrock.InferenceProfileSummary {
	s := bedrock.InferenceProfileSummary{
		InferenceProfileArn: p.ARN, InferenceProfileId: p.ID, InferenceProfileName: p.Name,
		Status: bedrock.InferenceProfileStatusActive, Type: bedrock.InferenceProfileTypeSystemDefined,
		CreatedAt: instant(p.Created), UpdatedAt: instant(p.Updated),
		Models: make([]bedrock.InferenceProfileModel, 0, len(p.Models)),
	}
	if p.Description != "" {
		s.Description = new(p.Description)
	}
	if p.Application {
		s.Type = bedrock.InferenceProfileTypeApplication
	}
	for _, a := range p.Models {
		s.Models = append(s.Models, bedrock.InferenceProfileModel{ModelArn: new(a)})
	}
	return s
}

// cursor is the place in a list of profiles: after a system-defined one, or in
// the store's own list.
type cursor struct {
	After string `json:"s,omitempty"` // id of the last system-defined profile answered
	Store string `json:"a,omitempty"` // cursor of the store
	Apps  bool   `json:"t,omitempty"` // the system-defined ones are done
}

// cursors binds tokens to their query. What a token says is no secret and is
// checked when it comes back, so the key need not be one.
var cursors = func() page.Signer {
	key := sha256.Sum256([]byte("outcrop inference profile list"))
	s, err := page.NewSigner(key[:])
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return s
}()

// ListInferenceProfiles lists the system-defined profiles of the Region, then
// those of the account's applications; a type selects one of the two.
func (m *InferenceProfiles) ListInferenceProfiles(ctx context.Context, in *bedrock.ListInferenceProfilesInput) (*bedrock.ListInferenceProfilesOutput, error) {
	at := call.From(ctx)
	size := page.Default
	if in.MaxResults != nil {
		size = page.Clamp(*in.MaxResults)
	}
	binding := []byte(strings.Join([]string{at.Account, at.Region, string(in.TypeEquals)}, "\x00"))
	var from cursor
	if in.NextToken != nil {
		raw, err := cursors.Open(binding, *in.NextToken)
		if err == nil {
			err = json.Unmarshal(raw, &from)
		}
		if err != nil {
			return nil, apierr.Wrap(apierr.Validation, err, "The provided nextToken is invalid. Start again without it.")
		}
	}
	out := &bedrock.ListInferenceProfilesOutput{InferenceProfileSummaries: []bedrock.InferenceProfileSummary{}}
	next := func(c cursor) {
		raw, _ := json.Marshal(c) // strings and a bool
		out.NextToken = new(cursors.Seal(binding, raw))
	}

	if in.TypeEquals != bedrock.InferenceProfileTypeApplication && !from.Apps {
		list := m.systemProfiles(at)
		if from.After != "" {
			i := slices.IndexFunc(list, func(p *Profile) bool { return p.ID == from.After })
			if i < 0 { // the model ended, or left the configuration, between two pages
				return nil, apierr.New(apierr.Validation, "The provided nextToken is no longer valid. Start again without it.")
			}
			list = list[i+1:]
		}
		for i, p := range list {
			if len(out.InferenceProfileSummaries) == size {
				next(cursor{After: list[i-1].ID})
				return out, nil
			}
			out.InferenceProfileSummaries = append(out.InferenceProfileSummaries, summary(p))
		}
	}
	if in.TypeEquals == bedrock.InferenceProfileTypeSystemDefined || m.store == nil {
		return out, nil
	}
	room := size - len(out.InferenceProfileSummaries)
	err := m.store.View(ctx, func(tx *store.Tx) error {
		q := store.Query{Account: at.Account, Region: at.Region, Cursor: from.Store, Limit: room}
		if room == 0 { // only ask whether there is more
			n, err := profiles.Count(tx, q)
			if err == nil && n > 0 {
				next(cursor{Apps: true})
			}
			return err
		}
		list, err := profiles.List(tx, q)
		if err != nil {
			return err
		}
		for _, rec := range list.Records {
			out.InferenceProfileSummaries = append(out.InferenceProfileSummaries, summary(applicationRecord(at, rec)))
		}
		if list.Next != "" {
			next(cursor{Apps: true, Store: list.Next})
		}
		return nil
	})
	if err != nil {
		return nil, failure(err)
	}
	return out, nil
}

// DeleteInferenceProfile removes an application profile.
func (m *InferenceProfiles) DeleteInferenceProfile(ctx context.Context, in *bedrock.DeleteInferenceProfileInput) (*bedrock.DeleteInferenceProfileOutput, error) {
	if err := m.keeps(); err != nil {
		return nil, err
	}
	p, err := m.findProfile(ctx, in.InferenceProfileIdentifier)
	if err != nil {
		return nil, err
	}
	if !p.Application {
		return nil, apierr.New(apierr.Validation, "The inference profile %s is system-defined and cannot be deleted.", p.ID)
	}
	at := call.From(ctx)
	err = m.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.CheckUnused(p.ARN); err != nil {
			return err
		}
		if err := profiles.Delete(tx, store.Key{Account: at.Account, Region: at.Region, ID: p.ID}); err != nil {
			return err
		}
		return tx.Forget(p.ARN)
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, apierr.New(apierr.ResourceNotFound, "The inference profile %s was not found.", p.ID)
	case errors.Is(err, store.ErrInUse):
		return nil, apierr.Wrap(apierr.Conflict, err, "The inference profile %s is in use.", p.ID)
	case err != nil:
		return nil, failure(err)
	}
	return &bedrock.DeleteInferenceProfileOutput{}, nil
}
