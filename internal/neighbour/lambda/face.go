package lambda

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api"
	lambdaapi "github.com/outcrop-dev/outcrop/internal/api/lambda"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/neighbour"
	"github.com/outcrop-dev/outcrop/internal/object"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// servicePrincipal is who assumes execution roles.
const servicePrincipal = "lambda.amazonaws.com"

// Buckets finds what S3 holds, for code that lies there. The S3 face is one.
type Buckets interface {
	// Bucket is where a bucket's objects lie; it wraps object.ErrNoBucket.
	Bucket(ctx context.Context, name string) (object.Bucket, error)
	// Policy is the bucket's policy, nil for none, and its owner's account.
	Policy(ctx context.Context, name string) (*policy.Policy, string, error)
}

// Config of New. Registry, Code, Invoker and Identity are required.
type Config struct {
	Registry *Registry
	Code     Code
	Invoker  fn.Invoker
	Identity *iam.Identity
	// Forget lets the instances of a deleted function go; nil: there are none.
	Forget func(functionARN string)
	// Runs reports whether functions of a runtime run here; nil: all do.
	Runs    func(runtime string) bool
	Buckets Buckets // nil: code comes in requests only
	// CodeURL makes an address from which a zip can be had for a while; nil or ""
	// gives GetFunction none.
	CodeURL    func(code fn.Code) string
	Transition time.Duration // how long Pending and InProgress last
	NewID      func() string // revisions; default random UUIDs
	Logger     *slog.Logger  // discards when nil
}

// Face answers Lambda's operations. It is safe for concurrent use.
type Face struct {
	lambdaapi.Unimplemented

	c   Config
	log *slog.Logger
}

var (
	_ lambdaapi.API       = (*Face)(nil)
	_ neighbour.Refiner   = (*Face)(nil)
	_ neighbour.Authority = (*Face)(nil)
)

// New returns the face.
func New(c Config) (*Face, error) {
	if c.Registry == nil || c.Registry.Store == nil || c.Code.Objects == nil || c.Invoker == nil || c.Identity == nil {
		return nil, errors.New("lambda: Config.Registry, Code, Invoker and Identity are required")
	}
	if c.NewID == nil {
		c.NewID = newID
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Face{c: c, log: c.Logger}, nil
}

// newID is a random (version 4) UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Refine names the function, or its version or alias, that an operation is about:
// inputs name functions in many spellings.
func (f *Face) Refine(ctx context.Context, op *api.Operation, in any, _ []string, p *gateway.Permission) {
	v := reflect.ValueOf(in).Elem()
	name, qualifier := member(v, "FunctionName"), member(v, "Qualifier")
	if r := member(v, "Resource"); r != "" {
		name = r
	}
	if name == "" {
		p.Resources = []string{"*"}
		return
	}
	t, err := aim(ctx, name, &qualifier)
	if err != nil {
		return // refused by the operation
	}
	switch op.Name {
	case "CreateAlias", "UpdateAlias", "GetAlias", "DeleteAlias":
		t.qualifier = "" // these permissions are the function's
	case "AddPermission":
		p.Conditions["lambda:Principal"] = []string{member(v, "Principal")}
	}
	p.Resources = []string{t.qualified()}
}

func member(v reflect.Value, name string) string {
	m := v.FieldByName(name)
	if m.IsValid() && m.Kind() == reflect.Pointer {
		m = m.Elem()
	}
	if !m.IsValid() || m.Kind() != reflect.String {
		return ""
	}
	return m.String()
}

// Authorize asks the caller's policies and the function's together, with the
// function's tags. A function's
// policy only allows, so an owner who may do everything is not asked about it.
func (f *Face) Authorize(ctx context.Context, _ *api.Operation, _ any, p *gateway.Permission) error {
	caller, ok := p.Caller.(*iam.Principal)
	if !ok {
		return fmt.Errorf("BUG: the caller of Lambda is %T", p.Caller)
	}
	unrestricted := f.c.Identity.Unrestricted(caller)
	for _, arn := range p.Resources {
		t, known := targetOf(arn)
		if unrestricted && (!known || t.account == caller.Account) {
			continue
		}
		q := iam.Question{Principal: caller, Action: p.Action, Resource: arn, Owner: t.account, Keys: p.Conditions}
		if known {
			b, err := f.c.Registry.head(ctx, t)
			if err != nil {
				return err
			}
			if q.ResourcePolicies, err = policiesOf(b); err != nil {
				return err
			}
			for k, val := range b.Tags {
				p.Conditions["aws:ResourceTag/"+k] = []string{val}
			}
		}
		if err := f.c.Identity.Allow(&q); err != nil {
			return err
		}
	}
	return nil
}

// checkRole refuses an execution role that the caller may not pass or that Lambda
// cannot assume.
func (f *Face) checkRole(ctx context.Context, t target, role string) error {
	caller, ok := call.From(ctx).Caller.(*iam.Principal)
	if !ok {
		return fmt.Errorf("BUG: the caller of Lambda is %T", call.From(ctx).Caller)
	}
	if err := f.c.Identity.PassRole(ctx, caller, role, servicePrincipal, t.arn()); err != nil {
		return err
	}
	if !f.c.Identity.MayAssume(ctx, servicePrincipal, role, t.arn(), t.account) {
		return apierr.New(invalid, "The role defined for the function cannot be assumed by Lambda.")
	}
	return nil
}

// view reads the head of a function and, when version is not "", that version.
func (f *Face) view(ctx context.Context, t target) (head store.Record[record], err error) {
	err = f.c.Registry.Store.View(ctx, func(tx *store.Tx) (err error) {
		head, err = functions.Get(tx, t.key())
		return err
	})
	return head, fault(t, err)
}

// at reads the version that the target names, through an alias too.
func (f *Face) at(ctx context.Context, t target) (head, at store.Record[record], err error) {
	err = f.c.Registry.Store.View(ctx, func(tx *store.Tx) (err error) {
		if head, err = functions.Get(tx, t.key()); err != nil {
			return err
		}
		at, err = resolve(tx, head, t)
		return err
	})
	return head, at, fault(t, err)
}

func resolve(tx *store.Tx, head store.Record[record], t target) (store.Record[record], error) {
	v := t.qualifier
	if a, ok := head.Body.Aliases[v]; ok {
		v = a.Version
	}
	if v == "" || v == fn.LatestVersion {
		return head, nil
	}
	k := t.key()
	k.Version = v
	return functions.Get(tx, k)
}

// change edits the head of a function in one transaction.
func (f *Face) change(ctx context.Context, t target, edit func(tx *store.Tx, head *store.Record[record]) error) (store.Record[record], error) {
	var head store.Record[record]
	err := f.c.Registry.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if head, err = functions.Get(tx, t.key()); err != nil {
			return err
		}
		if err := edit(tx, &head); err != nil {
			return err
		}
		head, err = functions.Put(tx, head)
		return err
	})
	return head, fault(t, err)
}

// fault gives failures of the store Lambda's names.
func fault(t target, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return t.missing()
	case errors.Is(err, store.ErrExists):
		return apierr.New(conflict, "Function already exist: %s", t.name)
	case errors.Is(err, store.ErrConflict):
		return apierr.New(conflict, "The function was changed by another request at the same time. Please try again.")
	case errors.Is(err, store.ErrBadCursor):
		return apierr.New(invalid, "Invalid Marker")
	}
	return err
}
