package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/object"
)

// Decider decides who may do what; iam.Identity is one.
type Decider interface {
	Allow(q *iam.Question) error
	AllowService(q iam.ServiceQuestion) error
	Unrestricted(p *iam.Principal) bool
}

var _ Decider = (*iam.Identity)(nil)

// Config of New. Objects and Directory are required.
type Config struct {
	Objects   object.Store
	Directory Directory
	Decider   Decider // nil: everything is allowed, --auth off
}

// View is Files over an object store. It is safe for concurrent use.
type View struct{ c Config }

var _ Files = (*View)(nil)

// New returns the view.
func New(c Config) (*View, error) {
	if c.Objects == nil || c.Directory == nil {
		return nil, errors.New("bucket: Config.Objects and Config.Directory are required")
	}
	return &View{c: c}, nil
}

// The actions of this package.
const (
	actionGet    = "s3:GetObject"
	actionPut    = "s3:PutObject"
	actionTag    = "s3:PutObjectTagging"
	actionList   = "s3:ListBucket"
	actionDelete = "s3:DeleteObject"
)

// Stat implements Reader.
func (v *View) Stat(ctx context.Context, as Caller, at Location) (object.Info, error) {
	rec, a, err := v.open(ctx, as, at, actionGet)
	if err != nil {
		return object.Info{}, err
	}
	i, err := v.c.Objects.Head(ctx, a)
	if err != nil {
		return object.Info{}, v.failed(actionGet, as, &rec, at, err)
	}
	return i, nil
}

// Get implements Reader.
func (v *View) Get(ctx context.Context, as Caller, at Location, r object.Range) (*object.Content, error) {
	rec, a, err := v.open(ctx, as, at, actionGet)
	if err != nil {
		return nil, err
	}
	c, err := v.c.Objects.Get(ctx, a, r)
	if err != nil {
		return nil, v.failed(actionGet, as, &rec, at, err)
	}
	return c, nil
}

// List implements Reader.
func (v *View) List(ctx context.Context, as Caller, in Location, o object.ListOptions) (object.Page, error) {
	rec, err := v.find(ctx, as, in)
	if err != nil {
		return object.Page{}, err
	}
	if o.Prefix = in.Key; o.Limit <= 0 || o.Limit > object.MaxList {
		o.Limit = object.MaxList
	}
	keys := map[string][]string{"s3:prefix": {o.Prefix}, "s3:max-keys": {strconv.Itoa(o.Limit)}}
	if o.Delimiter != "" {
		keys["s3:delimiter"] = []string{o.Delimiter}
	}
	if err := v.may(as, &rec, actionList, Location{Bucket: in.Bucket}, keys); err != nil {
		return object.Page{}, err
	}
	p, err := v.c.Objects.List(ctx, rec.Place, o)
	if err != nil {
		return object.Page{}, v.failed(actionList, as, &rec, in, err)
	}
	return p, nil
}

// Put implements Writer.
func (v *View) Put(ctx context.Context, as Caller, at Location, r io.Reader, o object.PutOptions) (object.Info, error) {
	rec, err := v.find(ctx, as, at)
	if err != nil {
		return object.Info{}, err
	}
	keys := map[string][]string{}
	for k, t := range o.Tags {
		keys["s3:RequestObjectTag/"+k] = []string{t}
		keys["s3:RequestObjectTagKeys"] = append(keys["s3:RequestObjectTagKeys"], k)
	}
	if o.If.Absent {
		keys["s3:if-none-match"] = []string{"*"}
	}
	// Services give what they deliver to the bucket's owner, and policies ask for it.
	if as.Principal == nil && as.Service != "" {
		keys["s3:x-amz-acl"] = []string{"bucket-owner-full-control"}
	}
	if err := v.may(as, &rec, actionPut, at, keys); err != nil {
		return object.Info{}, err
	}
	if len(o.Tags) > 0 {
		if err := v.may(as, &rec, actionTag, at, keys); err != nil {
			return object.Info{}, err
		}
	}
	if len(rec.System) > 0 {
		system := maps.Clone(rec.System)
		maps.Copy(system, o.Attributes.System)
		o.Attributes.System = system
	}
	i, err := v.c.Objects.Put(ctx, object.Address{Bucket: rec.Place, Key: at.Key}, r, o)
	if err != nil {
		return object.Info{}, v.failed(actionPut, as, &rec, at, err)
	}
	return i, nil
}

// Delete implements Writer.
func (v *View) Delete(ctx context.Context, as Caller, at Location) error {
	rec, a, err := v.open(ctx, as, at, actionDelete)
	if err != nil {
		return err
	}
	if err := v.c.Objects.Delete(ctx, a, object.If{}); err != nil {
		return v.failed(actionDelete, as, &rec, at, err)
	}
	return nil
}

// open finds the bucket and authorises an action on an object.
func (v *View) open(ctx context.Context, as Caller, at Location, action string) (Record, object.Address, error) {
	rec, err := v.find(ctx, as, at)
	if err != nil {
		return rec, object.Address{}, err
	}
	a := object.Address{Bucket: rec.Place, Key: at.Key}
	var keys map[string][]string
	if action == actionGet && !v.free(as, &rec) {
		if tags, err := v.c.Objects.Tags(ctx, a); err == nil { // what is not there has none
			keys = map[string][]string{}
			for k, t := range tags {
				keys["s3:ExistingObjectTag/"+k] = []string{t}
			}
		}
	}
	return rec, a, v.may(as, &rec, action, at, keys)
}

func (v *View) find(ctx context.Context, as Caller, at Location) (Record, error) {
	rec, err := v.c.Directory.Lookup(ctx, at.Bucket)
	if err != nil {
		return rec, fmt.Errorf("find bucket of %s: %w", at.URI(), err)
	}
	if at.Owner != "" && !rec.Elsewhere && at.Owner != rec.Place.Account {
		return rec, v.denied(as, &rec, actionList, Location{Bucket: at.Bucket}, fmt.Errorf("bucket %s belongs to another account than %s", at.Bucket, at.Owner))
	}
	return rec, nil
}

// free reports whether no question need be put.
func (v *View) free(as Caller, rec *Record) bool {
	switch {
	case v.c.Decider == nil:
		return true
	case as.Principal == nil:
		return rec.Elsewhere && as.Service != ""
	case rec.Policy != nil, !rec.Elsewhere && rec.Place.Account != as.Principal.Account:
		return false
	}
	return v.c.Decider.Unrestricted(as.Principal)
}

// may returns nil or the refusal.
func (v *View) may(as Caller, rec *Record, action string, at Location, keys map[string][]string) error {
	if v.free(as, rec) {
		return nil
	}
	all := map[string][]string{
		"aws:SecureTransport": {"true"}, // nothing of it goes over a network
		"aws:RequestedRegion": {rec.Place.Region}, "s3:ResourceAccount": {rec.Place.Account},
		"s3:authType": {"REST-HEADER"}, "s3:signatureversion": {"AWS4-HMAC-SHA256"},
	}
	maps.Copy(all, keys)
	var rules []*policy.Policy
	if rec.Policy != nil {
		rules = []*policy.Policy{rec.Policy}
	}
	resource := at.ARN(arn.Partition(rec.Place.Region))
	if as.Principal == nil && as.Service != "" {
		err := v.c.Decider.AllowService(iam.ServiceQuestion{
			Service: as.Service, Action: action, Resource: resource, SourceARN: as.Source, SourceAccount: as.Account, ResourcePolicies: rules, Keys: all,
		})
		return v.refusal(as, rec, action, at, err)
	}
	q := iam.Question{Principal: as.Principal, Action: action, Resource: resource, Owner: rec.Place.Account, Keys: all, ResourcePolicies: rules}
	stranger := as.Principal == nil || as.Principal.Account != rec.Place.Account
	switch {
	case rec.Elsewhere && as.Principal == nil:
		return v.denied(as, rec, action, at, errors.New("nobody signs for nobody"))
	case rec.Elsewhere:
		q.Owner = as.Principal.Account // the endpoint knows better and decides besides
		delete(all, "s3:ResourceAccount")
	case stranger && rec.Restricted:
		return v.denied(as, rec, action, at, errors.New("the bucket's public access block"))
	}
	return v.refusal(as, rec, action, at, v.c.Decider.Allow(&q))
}

// refusal makes of a denial what this package answers; strangers are not told why.
func (v *View) refusal(as Caller, rec *Record, action string, at Location, err error) error {
	e, ok := errors.AsType[*apierr.Error](err)
	switch {
	case err == nil:
		return nil
	case !ok || e.Kind != apierr.AccessDenied:
		return fmt.Errorf("authorise %s on %s: %w", action, at.URI(), err)
	case as.Principal == nil && as.Service == "", as.Principal != nil && as.Principal.Account != rec.Place.Account && !rec.Elsewhere:
		return v.denied(as, rec, action, at, err)
	}
	return fmt.Errorf("%w: %w", ErrDenied, err)
}

func (v *View) denied(as Caller, rec *Record, action string, at Location, cause error) error {
	who := as.Principal
	if who == nil && as.Service != "" {
		who = &iam.Principal{ARN: as.Service}
	}
	e := iam.Denied(who, action, at.ARN(arn.Partition(rec.Place.Region)), "")
	e.Err = cause
	return fmt.Errorf("%w: %w", ErrDenied, e)
}

// failed names what was being done. Whoever may not list a bucket learns nothing
// about a key that is not there.
func (v *View) failed(action string, as Caller, rec *Record, at Location, err error) error {
	switch {
	case errors.Is(err, object.ErrDenied):
		return v.denied(as, rec, action, at, err)
	case errors.Is(err, object.ErrNotFound):
		if denied := v.may(as, rec, actionList, Location{Bucket: at.Bucket}, nil); denied != nil {
			return denied
		}
	}
	return fmt.Errorf("%s %s: %w", action, at.URI(), err)
}
