package kms

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/arn"
	"github.com/outcrop-dev/outcrop/internal/iam/policy"
	"github.com/outcrop-dev/outcrop/internal/store"
)

// State of a key, as KeyMetadata has it.
type State string

// The states that occur here.
const (
	StateEnabled  State = "Enabled"
	StateDisabled State = "Disabled"
	StatePending  State = "PendingDeletion"
)

// Limits of AWS's quotas and models.
const (
	MinWindow     = 7 // days until a scheduled deletion
	MaxWindow     = 30
	DefaultPeriod = 365 // days between rotations
	MaxEncrypt    = 4096
	MaxDataKey    = 1024
	maxAliases    = 50
	maxGrants     = 50000
	maxTags       = 50
)

const day = 24 * time.Hour

// Material is one piece of a key. ID is 64 hexadecimal digits.
type Material struct {
	ID      string
	Key     []byte // 32 bytes; never leaves this package but into the sealed record
	Created time.Time

	raw [materialLen]byte
}

// String names the material; its bytes are never printed.
func (m Material) String() string { return m.ID }

// Rotation is the yearly change of material.
type Rotation struct {
	Enabled bool
	Days    int
	Next    time.Time // zero when not enabled
}

// Tag of a key.
type Tag struct{ Key, Value string }

// keyBody is the sealed part of a key's record.
type keyBody struct {
	Description string      `json:",omitempty"`
	Policy      string      `json:",omitempty"`
	Managed     string      `json:",omitempty"` // of an AWS managed key: the service, s3
	Deletion    time.Time   `json:",omitzero"`
	Window      int         `json:",omitempty"`
	Rotation    Rotation    `json:",omitzero"`
	Materials   []*Material `json:",omitempty"`
	Tags        []Tag       `json:",omitempty"`
}

// Key is a customer key or an AWS managed one. It is shared: a change makes
// another.
type Key struct {
	rec    store.Record[keyBody]
	raw    [keyIDLen]byte
	arn    string
	policy *policy.Policy
}

var keys = store.Kind[keyBody]{Name: "kms-key"}

func newKey(rec store.Record[keyBody]) (*Key, error) {
	k := &Key{rec: rec, arn: keyARN(rec.Account, rec.Region, rec.ID)}
	var ok bool
	if k.raw, ok = keyBytes(rec.ID); !ok {
		return nil, fmt.Errorf("the record of key %q is damaged: its id is no UUID", rec.ID)
	}
	if len(rec.Body.Materials) == 0 {
		return nil, fmt.Errorf("the record of key %s is damaged: it has no material", rec.ID)
	}
	for _, m := range rec.Body.Materials {
		if m.raw != ([materialLen]byte{}) {
			continue // shared with a record that others read already
		}
		if n, err := hex.Decode(m.raw[:], []byte(m.ID)); err != nil || n != materialLen || len(m.Key) != 32 {
			return nil, fmt.Errorf("the record of key %s is damaged: material %q", rec.ID, m.ID)
		}
	}
	var err error
	if k.policy, err = policy.Parse(rec.Body.Policy, policy.Resource); err != nil {
		return nil, fmt.Errorf("read the policy of key %s: %w", rec.ID, err)
	}
	return k, nil
}

// ID is the key's UUID.
func (k *Key) ID() string { return k.rec.ID }

// ARN names the key: arn:aws:kms:REGION:ACCOUNT:key/UUID.
func (k *Key) ARN() string { return k.arn }

// Account owns the key.
func (k *Key) Account() string { return k.rec.Account }

// Region of the key.
func (k *Key) Region() string { return k.rec.Region }

// State of the key.
func (k *Key) State() State { return State(k.rec.Status) }

// Description as the owner wrote it.
func (k *Key) Description() string { return k.rec.Body.Description }

// Created says when the key was made.
func (k *Key) Created() time.Time { return k.rec.Created }

// Managed reports whether the key is an AWS managed one (alias/aws/SERVICE).
func (k *Key) Managed() bool { return k.rec.Body.Managed != "" }

// Deletion is when a key in StatePending is destroyed, zero otherwise.
func (k *Key) Deletion() time.Time { return k.rec.Body.Deletion }

// Window is the number of days of a scheduled deletion, 0 when there is none.
func (k *Key) Window() int { return k.rec.Body.Window }

// Policy is the key policy's document.
func (k *Key) Policy() string { return k.rec.Body.Policy }

// Rotation of the key's material.
func (k *Key) Rotation() Rotation { return k.rec.Body.Rotation }

// MaterialID names the material that encrypts now.
func (k *Key) MaterialID() string { return k.current().ID }

// Tags in the order of their keys.
func (k *Key) Tags() []Tag { return slices.Clone(k.rec.Body.Tags) }

func (k *Key) current() *Material { return k.rec.Body.Materials[len(k.rec.Body.Materials)-1] }

func (k *Key) material(id [materialLen]byte) *Material {
	for _, m := range k.rec.Body.Materials {
		if m.raw == id {
			return m
		}
	}
	return nil
}

// usable answers why a key cannot encrypt or decrypt now.
func (k *Key) usable() error {
	switch k.State() {
	case StateEnabled:
		return nil
	case StateDisabled:
		return apierr.New(Disabled, "%s is disabled.", k.arn)
	case StatePending:
	}
	return k.pending()
}

// changeable refuses to work on a key that is to be deleted.
func (k *Key) changeable() error {
	if k.State() == StatePending {
		return k.pending()
	}
	return nil
}

func (k *Key) pending() error { return apierr.New(InvalidState, "%s is pending deletion.", k.arn) }

// clone copies the record so that it can be changed; materials are shared.
func (k *Key) clone() store.Record[keyBody] {
	rec := k.rec
	rec.Body.Tags = slices.Clone(rec.Body.Tags)
	rec.Body.Materials = slices.Clone(rec.Body.Materials)
	return rec
}

func keyARN(account, region, id string) string {
	return arn.New("kms", region, account, "key/"+id).String()
}

func aliasARN(account, region, name string) string {
	return arn.New("kms", region, account, name).String()
}

func rootARN(account, region string) string {
	return arn.ARN{Partition: arn.Partition(region), Service: "iam", Account: account, Resource: "root"}.String()
}

func sortTags(tags []Tag) {
	slices.SortFunc(tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
}

// DefaultPolicy is the policy of a key that was made without one: the account may
// do everything, and so hand it on by IAM policies.
func DefaultPolicy(account, region string) string {
	root := rootARN(account, region)
	return `{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow",` +
		`"Principal":{"AWS":"` + root + `"},"Action":"kms:*","Resource":"*"}]}`
}

// managedPolicy lets everybody in the account use a managed key through its
// service, and the account look at it.
func managedPolicy(account, region, service string) string {
	root := rootARN(account, region)
	return `{"Version":"2012-10-17","Id":"auto-` + service + `-1","Statement":[{"Sid":"Allow access through the service","Effect":"Allow",` +
		`"Principal":{"AWS":"*"},"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:CreateGrant","kms:DescribeKey"],"Resource":"*",` +
		`"Condition":{"StringEquals":{"kms:CallerAccount":"` + account + `","kms:ViaService":"` + service + `.` + region + `.amazonaws.com"}}},` +
		`{"Sid":"Allow direct access to key metadata to the account","Effect":"Allow","Principal":{"AWS":"` + root + `"},` +
		`"Action":["kms:Describe*","kms:Get*","kms:List*"],"Resource":"*"}]}`
}
