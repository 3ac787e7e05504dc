package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	fn "github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// functions are the records: the head row is $LATEST and what belongs to the
// function as a whole, numbered rows are published versions.
var functions = store.Kind[record]{Name: "lambda-function"}

// record is the body of a function's row. It is sealed: the environment holds
// secrets.
type record struct {
	Description string `json:",omitempty"`
	Runtime     string
	Handler     string
	Role        string
	Code        fn.Code
	Environment map[string]string `json:",omitempty"`
	Timeout     int               // seconds
	MemoryMB    int
	TmpMB       int
	Arch        string
	LogGroup    string `json:",omitempty"` // "" for the default
	Tracing     string

	Revision string
	Modified time.Time
	Ready    time.Time // before it the state is Pending
	Settled  time.Time // before it an update is in progress
	From     string    `json:",omitempty"` // of a version: the revision of $LATEST it was made from

	// The rest is the head's alone.

	Tags       map[string]string      `json:",omitempty"`
	Aliases    map[string]alias       `json:",omitempty"`
	Statements map[string][]statement `json:",omitempty"` // of the policy, by qualifier
	PolicyRev  map[string]string      `json:",omitempty"`
	Reserved   *int                   `json:",omitempty"`
	Events     map[string]eventConfig `json:",omitempty"` // by qualifier
}

// version is what a published version keeps of the head.
func (r record) version() record {
	r.From = r.Revision
	r.Tags, r.Aliases, r.Statements, r.PolicyRev, r.Reserved, r.Events = nil, nil, nil, nil, nil, nil
	return r
}

type alias struct {
	Version     string
	Description string             `json:",omitempty"`
	Weights     map[string]float64 `json:",omitempty"` // of other versions
	Revision    string
}

// pick chooses the version of one call.
func (a alias) pick(roll float64) string {
	for _, v := range slices.Sorted(maps.Keys(a.Weights)) {
		if roll -= a.Weights[v]; roll < 0 {
			return v
		}
	}
	return a.Version
}

// statement is one permission of a function's policy, in the order of AWS's text.
type statement struct {
	Sid       string
	Effect    string
	Principal any
	Action    string
	Resource  string
	Condition map[string]map[string]string `json:",omitempty"`
}

type document struct {
	Version   string
	ID        string `json:"Id"`
	Statement []statement
}

func policyText(list []statement) string {
	b, err := json.Marshal(document{"2012-10-17", "default", list})
	if err != nil {
		panic(fmt.Sprintf("BUG: a policy cannot be written: %v", err))
	}
	return string(b)
}

// Registry finds functions by ARN, for the runtime and for rooms that ask a
// function's policy. Store is required.
type Registry struct {
	Store *store.Store
	Now   func() time.Time // service clock; time.Now when nil
	Roll  func() float64   // chance of weighted aliases, [0, 1); default random
	// Elsewhere reports whether a function is served by another endpoint and so need
	// not be made here; nil: none is.
	Elsewhere func(arn string) bool
}

var _ fn.Functions = (*Registry)(nil)

func (r *Registry) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

// targetOf reads a whole ARN.
func targetOf(arn string) (target, bool) {
	base, qualifier, ok := fn.SplitARN(arn)
	if !ok {
		return target{}, false
	}
	p := strings.Split(base, ":")
	return target{account: p[4], region: p[3], name: p[6], qualifier: qualifier}, true
}

// Function implements fn.Functions.
func (r *Registry) Function(ctx context.Context, arn string) (*fn.Function, error) {
	t, ok := targetOf(arn)
	if !ok {
		return nil, &fn.Error{Kind: fn.InvalidValue, Message: fmt.Sprintf("%q is no function ARN", arn)}
	}
	var head, at store.Record[record]
	err := r.Store.View(ctx, func(tx *store.Tx) (err error) {
		if head, err = functions.Get(tx, t.key()); err != nil {
			return err
		}
		version := t.qualifier
		if a, ok := head.Body.Aliases[version]; ok {
			roll := rand.Float64
			if r.Roll != nil {
				roll = r.Roll
			}
			version = a.pick(roll())
		}
		at = head
		if version != "" && version != fn.LatestVersion {
			k := t.key()
			k.Version = version
			at, err = functions.Get(tx, k)
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, fn.ErrNotFound(arn)
	}
	if err != nil {
		return nil, fmt.Errorf("find function %s: %w", arn, err)
	}
	b := &at.Body
	f := &fn.Function{
		ARN: t.arn(), Name: t.name, Account: t.account, Region: t.region, Version: fn.LatestVersion, Revision: b.Revision,
		Runtime: b.Runtime, Handler: b.Handler, Code: b.Code, Environment: b.Environment, Timeout: time.Duration(b.Timeout) * time.Second,
		MemoryMB: b.MemoryMB, TmpMB: b.TmpMB, Role: b.Role, LogGroup: b.LogGroup, Reserved: head.Body.Reserved,
	}
	if at.Version != "" {
		f.Version = at.Version
	}
	if r.now().Before(b.Ready) {
		f.Pending = "Pending"
	}
	return f, nil
}

// Policies are a function's resource policies, of its versions and aliases too:
// each statement names the resource it is for. None is no error; the function
// need not exist. A function that exists elsewhere alone lets AWS services in that
// act for its account: nobody could give it a policy here, and whoever configured
// the server named it on purpose.
func (r *Registry) Policies(ctx context.Context, arn string) ([]*policy.Policy, error) {
	t, ok := targetOf(arn)
	if !ok {
		return nil, nil
	}
	b, err := r.head(ctx, t)
	if err != nil {
		return nil, err
	}
	if b.Revision == "" && r.Elsewhere != nil && r.Elsewhere(arn) {
		b.Statements = map[string][]statement{t.qualifier: {{
			Sid: "configured", Effect: "Allow", Principal: principal("bedrock.amazonaws.com"), Action: "lambda:InvokeFunction", Resource: t.qualified(),
			Condition: map[string]map[string]string{"StringEquals": {"AWS:SourceAccount": t.account}},
		}}}
	}
	return policiesOf(b)
}

// head reads what belongs to a function as a whole; an empty record when there is
// none.
func (r *Registry) head(ctx context.Context, t target) (*record, error) {
	var head store.Record[record]
	err := r.Store.View(ctx, func(tx *store.Tx) (err error) {
		head, err = functions.Get(tx, t.key())
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("read %s: %w", t.arn(), err)
	}
	return &head.Body, nil
}

func policiesOf(b *record) ([]*policy.Policy, error) {
	var out []*policy.Policy
	for _, q := range slices.Sorted(maps.Keys(b.Statements)) {
		if len(b.Statements[q]) == 0 {
			continue
		}
		p, err := policy.Parse(policyText(b.Statements[q]), policy.Resource)
		if err != nil {
			return nil, fmt.Errorf("a stored policy cannot be read: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}
