package throughput

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api/bedrock"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/page"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/tag"
)

// Config says what the room works with. Store and Catalog are needed.
type Config struct {
	Store   *store.Store
	Catalog *catalog.Catalog
	Now     func() time.Time // of the service clock; nil is time.Now
	// Transition is how long Creating and Updating last.
	Transition time.Duration
	// Units an account may have in a Region over all its provisioned models,
	// without a commitment and with one. AWS begins with 2 and none.
	Units, CommittedUnits int
	// Customs finds custom models; nil knows none.
	Customs Customs
}

// Customs finds custom models by name, id or ARN.
type Customs interface {
	// Custom answers the ARN of a custom model and the id of its base model; ok is
	// false when there is none.
	Custom(ctx context.Context, id string) (customARN, baseID string, ok bool, err error)
}

// ProvisionedModels answers the operations on provisioned throughput.
type ProvisionedModels struct {
	cfg     Config
	cursors page.Signer
}

// New returns the operations.
func New(c Config) *ProvisionedModels {
	if c.Now == nil {
		c.Now = time.Now
	}
	// A place in a list is no secret and is checked when it comes back.
	key := sha256.Sum256([]byte("outcrop provisioned model list"))
	cursors, err := page.NewSigner(key[:])
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return &ProvisionedModels{cfg: c, cursors: cursors}
}

// row is what is stored of a provisioned model.
type row struct {
	Name       string                     `json:"name"`
	Units      int                        `json:"units"`
	Commitment bedrock.CommitmentDuration `json:"commitment,omitempty"`
	Expires    time.Time                  `json:"expires,omitzero"` // end of the commitment
	Base       string                     `json:"base"`             // base model's id, without the context variant
	Model      string                     `json:"model"`            // ARN of the model that was bought
	Desired    string                     `json:"desired"`          // ARN of the model that an update leads to
	Bought     string                     `json:"bought"`           // id as bought: resolves the target
	Origin     string                     `json:"origin,omitempty"` // ARN of the custom model first bought, "" for a base model
	Moved      time.Time                  `json:"moved"`            // of the last change of state
}

var rows = store.Kind[row]{Name: "provisioned-model"}

func at(ctx context.Context) (*call.Call, store.Key) {
	c := call.From(ctx)
	return c, store.Key{Account: c.Account, Region: c.Region}
}

func nameOf(c *call.Call, id string) string { return c.ARN("provisioned-model/" + id) }

// model finds what a modelId of a purchase means: the ARN that is bought, the base
// model's id and the id that resolves it. committed says that the purchase has a
// commitment.
func (p *ProvisionedModels) model(ctx context.Context, id string, committed bool) (r row, err error) {
	if p.cfg.Customs != nil {
		custom, base, ok, err := p.cfg.Customs.Custom(ctx, id)
		if err != nil {
			return row{}, err
		}
		if ok {
			return row{Model: custom, Desired: custom, Base: base, Bought: id, Origin: custom}, nil
		}
	}
	short := id
	if strings.HasPrefix(id, "arn:") {
		name, err := arn.Parse(id)
		if err != nil || name.Type() != "foundation-model" {
			return row{}, apierr.New(apierr.ResourceNotFound, "The model %s was not found.", id)
		}
		short = name.ID()
	}
	offers := p.cfg.Catalog.ThroughputOf(short)
	i := slices.IndexFunc(offers, func(t catalog.Throughput) bool { return t.ID == short })
	switch {
	case offers == nil && !strings.Contains(short, "."):
		return row{}, apierr.New(apierr.ResourceNotFound, "No custom model %s was found.", id)
	case len(offers) == 0:
		return row{}, apierr.New(apierr.Validation, "Provisioned throughput is not offered for the model %s.", id)
	case i < 0:
		ids := make([]string, len(offers))
		for j := range offers {
			ids[j] = offers[j].ID
		}
		return row{}, apierr.New(apierr.Validation, "Provisioned throughput of %s is bought under an id that names its context length: %s.", id, strings.Join(ids, " or "))
	case !committed && !offers[i].NoCommitment:
		return row{}, apierr.New(apierr.Validation, "Provisioned throughput of the base model %s is only offered with a commitment: set commitmentDuration.", id)
	}
	t, err := p.cfg.Catalog.Foundation(ctx, short, id)
	if err != nil {
		return row{}, err
	}
	own := foundation(t.BaseARN, short)
	return row{Model: own, Desired: own, Base: t.BaseID, Bought: short}, nil
}

// foundation is the ARN of a variant beside the ARN of its base model.
func foundation(baseARN, id string) string {
	head, _, _ := strings.Cut(baseARN, "/")
	return head + "/" + id
}

// CreateProvisionedModelThroughput buys model units of a model.
func (p *ProvisionedModels) CreateProvisionedModelThroughput(ctx context.Context, in *bedrock.CreateProvisionedModelThroughputInput) (*bedrock.CreateProvisionedModelThroughputOutput, error) {
	c, key := at(ctx)
	made, err := p.model(ctx, in.ModelId, in.CommitmentDuration != "")
	if err != nil {
		return nil, err
	}
	made.Name, made.Units, made.Commitment = in.ProvisionedModelName, in.ModelUnits, in.CommitmentDuration
	request := *in
	request.ClientRequestToken = nil
	token := store.Token{Account: c.Account, Region: c.Region, Operation: "CreateProvisionedModelThroughput"}
	if in.ClientRequestToken != nil {
		token.Value = *in.ClientRequestToken
	}
	var name string
	err = p.cfg.Store.Update(ctx, func(tx *store.Tx) (err error) {
		name, err = store.Idempotent(tx, token, request, func() (string, error) {
			if err := p.afford(tx, key, &made); err != nil {
				return "", err
			}
			made.Moved = tx.Now
			switch made.Commitment {
			case bedrock.CommitmentDurationOneMonth:
				made.Expires = tx.Now.AddDate(0, 1, 0)
			case bedrock.CommitmentDurationSixMonths:
				made.Expires = tx.Now.AddDate(0, 6, 0)
			}
			key.ID = newID()
			if _, err := rows.Create(tx, key, made, store.Columns{Name: made.Name, Status: string(states.Initial()), Target: made.Model}); err != nil {
				return "", err
			}
			name := nameOf(c, key.ID)
			if err := tx.AddReference(name, made.Model); err != nil {
				return "", err
			}
			tags := tag.FromBedrock(in.Tags)
			if err := tag.Check(name, nil, tags); err != nil {
				return "", err
			}
			return name, tx.PutTags(name, tags)
		})
		return err
	})
	if err != nil {
		return nil, failure(err, in.ProvisionedModelName)
	}
	return &bedrock.CreateProvisionedModelThroughputOutput{ProvisionedModelArn: name}, nil
}

// afford refuses a purchase beyond the account's quota of model units.
func (p *ProvisionedModels) afford(tx *store.Tx, key store.Key, want *row) error {
	all, err := list(tx, key)
	if err != nil {
		return err
	}
	quota, what := p.cfg.Units, "without a commitment"
	if want.Commitment != "" {
		quota, what = p.cfg.CommittedUnits, "with a commitment"
	}
	used := 0
	for _, r := range all {
		if (r.Body.Commitment != "") == (want.Commitment != "") {
			used += r.Body.Units
		}
	}
	if used+want.Units > quota {
		return apierr.New(apierr.ServiceQuotaExceeded,
			"The account may have %d model units %s in this Region; %d are in use and %d were asked for. Delete a provisioned model, or raise the quota with --model-units.", quota, what, used, want.Units)
	}
	return nil
}

// list reads all provisioned models of an account in a Region: the quota keeps
// them few.
func list(tx *store.Tx, key store.Key) ([]store.Record[row], error) {
	var all []store.Record[row]
	q := store.Query{Account: key.Account, Region: key.Region, Sort: store.ByCreated, Limit: page.Max}
	for {
		l, err := rows.List(tx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, l.Records...)
		if l.Next == "" {
			return all, nil
		}
		q.Cursor = l.Next
	}
}

// find reads a provisioned model by name, id or ARN.
func (p *ProvisionedModels) find(ctx context.Context, tx *store.Tx, id string) (store.Record[row], error) {
	c, key := at(ctx)
	missing := apierr.New(apierr.ResourceNotFound, "The provisioned model %s was not found.", id)
	short := id
	if strings.HasPrefix(id, "arn:") {
		name, err := arn.Parse(id)
		if err != nil || name.Type() != "provisioned-model" || name.Account != c.Account || name.Region != c.Region {
			return store.Record[row]{}, missing
		}
		short = name.ID()
	}
	key.ID = short
	rec, err := rows.Get(tx, key)
	if errors.Is(err, store.ErrNotFound) && short == id {
		rec, err = rows.ByName(tx, store.Key{Account: c.Account, Region: c.Region}, short)
	}
	if errors.Is(err, store.ErrNotFound) {
		return rec, missing
	}
	return rec, err
}

func (p *ProvisionedModels) state(r *store.Record[row]) bedrock.ProvisionedModelStatus {
	return status(bedrock.ProvisionedModelStatus(r.Status), r.Body.Moved, p.cfg.Now(), p.cfg.Transition)
}

// now is the model that answers: while an update runs, still the old one.
func (p *ProvisionedModels) now(r *store.Record[row]) string {
	if p.state(r) == bedrock.ProvisionedModelStatusUpdating {
		return r.Body.Model
	}
	return r.Body.Desired
}

func (p *ProvisionedModels) summary(c *call.Call, r *store.Record[row]) bedrock.ProvisionedModelSummary {
	s := bedrock.ProvisionedModelSummary{
		ProvisionedModelArn: nameOf(c, r.ID), ProvisionedModelName: r.Body.Name, Status: p.state(r),
		ModelUnits: r.Body.Units, DesiredModelUnits: r.Body.Units, ModelArn: p.now(r), DesiredModelArn: r.Body.Desired,
		FoundationModelArn: arn.New("bedrock", c.Region, "", "foundation-model/"+r.Body.Base).String(),
		CommitmentDuration: r.Body.Commitment, CreationTime: r.Created, LastModifiedTime: r.Updated,
	}
	if !r.Body.Expires.IsZero() {
		s.CommitmentExpirationTime = new(r.Body.Expires)
	}
	return s
}

// GetProvisionedModelThroughput reads a provisioned model by name or ARN.
func (p *ProvisionedModels) GetProvisionedModelThroughput(ctx context.Context, in *bedrock.GetProvisionedModelThroughputInput) (*bedrock.GetProvisionedModelThroughputOutput, error) {
	var rec store.Record[row]
	err := p.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		rec, err = p.find(ctx, tx, in.ProvisionedModelId)
		return err
	})
	if err != nil {
		return nil, failure(err, "")
	}
	s := p.summary(call.From(ctx), &rec)
	return &bedrock.GetProvisionedModelThroughputOutput{
		CommitmentDuration: s.CommitmentDuration, CommitmentExpirationTime: s.CommitmentExpirationTime, CreationTime: s.CreationTime,
		DesiredModelArn: s.DesiredModelArn, DesiredModelUnits: s.DesiredModelUnits, FoundationModelArn: s.FoundationModelArn,
		LastModifiedTime: s.LastModifiedTime, ModelArn: s.ModelArn, ModelUnits: s.ModelUnits,
		ProvisionedModelArn: s.ProvisionedModelArn, ProvisionedModelName: s.ProvisionedModelName, Status: s.Status,
	}, nil
}

// ListProvisionedModelThroughputs lists the account's provisioned models, newest
// first unless asked otherwise.
func (p *ProvisionedModels) ListProvisionedModelThroughputs(ctx context.Context, in *bedrock.ListProvisionedModelThroughputsInput) (*bedrock.ListProvisionedModelThroughputsOutput, error) {
	c, key := at(ctx)
	bound := *in
	bound.NextToken, bound.MaxResults = nil, nil
	binding, err := json.Marshal([]any{c.Account, c.Region, bound})
	if err != nil {
		return nil, err
	}
	var after string
	if in.NextToken != nil {
		raw, err := p.cursors.Open(binding, *in.NextToken)
		if err != nil {
			return nil, apierr.Wrap(apierr.Validation, err, "The provided nextToken is invalid. Start again without it.")
		}
		after = string(raw)
	}
	var all []store.Record[row]
	err = p.cfg.Store.View(ctx, func(tx *store.Tx) (err error) {
		all, err = list(tx, key)
		return err
	})
	if err != nil {
		return nil, failure(err, "")
	}
	if in.SortOrder != bedrock.SortOrderAscending {
		slices.Reverse(all)
	}
	size := page.Default
	if in.MaxResults != nil {
		size = page.Clamp(*in.MaxResults)
	}
	out := &bedrock.ListProvisionedModelThroughputsOutput{ProvisionedModelSummaries: []bedrock.ProvisionedModelSummary{}}
	last := ""
	for i := range all {
		place := position(&all[i])
		if after != "" && (in.SortOrder == bedrock.SortOrderAscending && place <= after || in.SortOrder != bedrock.SortOrderAscending && place >= after) {
			continue
		}
		s := p.summary(c, &all[i])
		if !wanted(in, &s) {
			continue
		}
		if len(out.ProvisionedModelSummaries) == size {
			out.NextToken = new(p.cursors.Seal(binding, []byte(last)))
			break
		}
		last = place
		out.ProvisionedModelSummaries = append(out.ProvisionedModelSummaries, s)
	}
	return out, nil
}

// position sorts as creation does and names no row that could be gone by the next
// page.
func position(r *store.Record[row]) string {
	return r.Created.UTC().Format("2006-01-02T15:04:05.000000") + r.ID
}

func wanted(in *bedrock.ListProvisionedModelThroughputsInput, s *bedrock.ProvisionedModelSummary) bool {
	switch {
	case in.StatusEquals != "" && s.Status != in.StatusEquals,
		in.ModelArnEquals != nil && s.ModelArn != *in.ModelArnEquals,
		in.NameContains != nil && !strings.Contains(s.ProvisionedModelName, *in.NameContains),
		in.CreationTimeAfter != nil && !s.CreationTime.After(*in.CreationTimeAfter),
		in.CreationTimeBefore != nil && !s.CreationTime.Before(*in.CreationTimeBefore):
		return false
	}
	return true
}

// UpdateProvisionedModelThroughput renames a provisioned model, or gives one that
// was bought for a custom model another of the same base, or the base itself.
func (p *ProvisionedModels) UpdateProvisionedModelThroughput(ctx context.Context, in *bedrock.UpdateProvisionedModelThroughputInput) (*bedrock.UpdateProvisionedModelThroughputOutput, error) {
	if in.DesiredModelId == nil && in.DesiredProvisionedModelName == nil {
		return nil, apierr.New(apierr.Validation, "Give desiredModelId or desiredProvisionedModelName: there is nothing to update.")
	}
	c, _ := at(ctx)
	err := p.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		rec, err := p.find(ctx, tx, in.ProvisionedModelId)
		if err != nil {
			return err
		}
		now := p.state(&rec)
		if _, err := states.Next(now, update); err != nil {
			return apierr.Wrap(apierr.Validation, err, "The provisioned model %s is %s. Update it when it is InService.", rec.Body.Name, now)
		}
		rec.Body.Model = p.now(&rec)
		rec.Status = string(now)
		if in.DesiredProvisionedModelName != nil {
			rec.Body.Name, rec.Name = *in.DesiredProvisionedModelName, *in.DesiredProvisionedModelName
		}
		if in.DesiredModelId != nil {
			want, err := p.successor(ctx, &rec.Body, *in.DesiredModelId)
			if err != nil {
				return err
			}
			if want != rec.Body.Model {
				rec.Body.Desired, rec.Body.Moved, rec.Target = want, tx.Now, want
				rec.Status = string(bedrock.ProvisionedModelStatusUpdating)
				if err := tx.AddReference(nameOf(c, rec.ID), want); err != nil {
					return err
				}
			}
		}
		_, err = rows.Put(tx, rec)
		return err
	})
	if err != nil {
		name := ""
		if in.DesiredProvisionedModelName != nil {
			name = *in.DesiredProvisionedModelName
		}
		return nil, failure(err, name)
	}
	return &bedrock.UpdateProvisionedModelThroughputOutput{}, nil
}

// successor is the ARN of the model that an update leads to.
func (p *ProvisionedModels) successor(ctx context.Context, r *row, id string) (string, error) {
	if r.Origin == "" {
		return "", apierr.New(apierr.Validation, "The model of a provisioned model that was bought for a base model cannot be changed.")
	}
	custom, base, ok, err := p.cfg.Customs.Custom(ctx, id)
	if err != nil {
		return "", err
	}
	if !ok { // its base model, by any of its names
		t, err := p.cfg.Catalog.Foundation(ctx, id[strings.LastIndexByte(id, '/')+1:], id)
		if err != nil {
			return "", err
		}
		custom, base = t.BaseARN, t.BaseID
	}
	if base != r.Base {
		return "", apierr.New(apierr.Validation, "The model %s is made from %s, not from %s as this provisioned model is.", id, base, r.Base)
	}
	return custom, nil
}

// DeleteProvisionedModelThroughput gives the model units back at once.
func (p *ProvisionedModels) DeleteProvisionedModelThroughput(ctx context.Context, in *bedrock.DeleteProvisionedModelThroughputInput) (*bedrock.DeleteProvisionedModelThroughputOutput, error) {
	c, _ := at(ctx)
	err := p.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		rec, err := p.find(ctx, tx, in.ProvisionedModelId)
		if err != nil {
			return err
		}
		switch s := p.state(&rec); {
		case s == bedrock.ProvisionedModelStatusUpdating || s == bedrock.ProvisionedModelStatusCreating:
			return apierr.New(apierr.Conflict, "The provisioned model %s is %s. Delete it when it is InService.", rec.Body.Name, s)
		case tx.Now.Before(rec.Body.Expires):
			return apierr.New(apierr.Conflict, "The provisioned model %s has a commitment until %s and cannot be deleted before.", rec.Body.Name, rec.Body.Expires.Format(time.RFC3339))
		}
		name := nameOf(c, rec.ID)
		if err := tx.CheckUnused(name); err != nil {
			return err
		}
		if err := rows.Delete(tx, rec.Key); err != nil {
			return err
		}
		return tx.Forget(name)
	})
	if err != nil {
		return nil, failure(err, "")
	}
	return &bedrock.DeleteProvisionedModelThroughputOutput{}, nil
}

// failure turns what the store answers into what the wire knows.
func failure(err error, name string) error {
	switch {
	case errors.Is(err, store.ErrTokenMismatch):
		return apierr.Wrap(apierr.Validation, err, "The client request token was used before with different parameters. Use another token.")
	case errors.Is(err, store.ErrExists):
		return apierr.Wrap(apierr.Validation, err, "A provisioned model named %s exists already. Choose another name.", name)
	case errors.Is(err, store.ErrInUse):
		return apierr.Wrap(apierr.Conflict, err, "The provisioned model is in use.")
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrBusy):
		return apierr.Wrap(apierr.Throttling, err, "The provisioned model is being changed by another request. Try again.")
	}
	return err
}

const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"

// newID returns the twelve lower-case letters and digits of an ARN.
func newID() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}
