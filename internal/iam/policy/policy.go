package policy

import (
	"errors"
	"fmt"
)

// Kind says where a document stands, which decides what it may hold.
type Kind uint8

// The kinds of policies.
const (
	Identity Kind = iota + 1 // of a user, group or role, inline or managed
	Resource                 // of a bucket, function, key …: has principals
	Trust                    // of a role: who may assume it; has principals and no resources
	Boundary                 // permissions boundary
	Session                  // handed over when a session begins
)

// String names the kind as AWS's texts do.
func (k Kind) String() string {
	switch k {
	case Identity:
		return "identity-based policy"
	case Resource:
		return "resource-based policy"
	case Trust:
		return "role trust policy"
	case Boundary:
		return "permissions boundary"
	case Session:
		return "session policy"
	}
	return "policy"
}

// Versions of the language. Only documents of the newer one have variables; a
// document without a version is of the older.
const (
	Version2012 = "2012-10-17"
	Version2008 = "2008-10-17"
)

// Limits in characters that are not white space. IAM counts inline policies of a
// holder together; that is package iam's to check.
const (
	MaxManaged  = 6144 // managed policy or boundary
	MaxInline   = 10240
	MaxTrust    = 4096 // AWS's default is 2048 and can be raised to this
	MaxSession  = 2048
	MaxResource = 32768 // the largest of AWS's (KMS); S3 and Lambda take 20480

	maxDocument = 131072 // bytes, white space included
)

func (k Kind) max() int {
	switch k {
	case Identity:
		return MaxInline
	case Trust:
		return MaxTrust
	case Boundary:
		return MaxManaged
	case Session:
		return MaxSession
	case Resource:
	}
	return MaxResource
}

// ErrMalformed is every failure of Parse.
var ErrMalformed = errors.New("malformed policy document")

// SyntaxError says what is wrong with a document and where.
type SyntaxError struct {
	Message string // in AWS's words where they are known
	Path    string // Statement[1].Condition.StringEquals; "" for the document
	Offset  int    // byte in the document
	Size    bool   // the document is too large: LimitExceeded or PackedPolicyTooLarge rather than MalformedPolicyDocument
}

// Error returns the message and the place.
func (e *SyntaxError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s (byte %d)", e.Message, e.Offset)
	}
	return fmt.Sprintf("%s (at %s, byte %d)", e.Message, e.Path, e.Offset)
}

// Is makes a SyntaxError an ErrMalformed.
func (e *SyntaxError) Is(target error) bool { return target == ErrMalformed }

// Effect is what a statement does when it matches.
type Effect string

// The effects.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// Policy is one document, parsed and compiled. It never changes and may be
// shared.
type Policy struct {
	Kind       Kind
	Version    string // Version2012 or Version2008
	ID         string
	Statements []Statement

	program []statement
	text    string   // as it came
	spans   [][2]int // of the statements in text: of the first byte, and behind the last
}

// Statement is one statement as it was written. Of each pair at most one list is
// not nil.
type Statement struct {
	Sid          string
	Effect       Effect
	Principal    *Principals
	NotPrincipal *Principals
	Action       []string
	NotAction    []string
	Resource     []string
	NotResource  []string
	Condition    []Condition
}

// Principals is a Principal or NotPrincipal element.
type Principals struct {
	Any       bool     // "*" alone
	AWS       []string // "*", account IDs, ARNs, unique IDs
	Service   []string // bedrock.amazonaws.com
	Federated []string
	Canonical []string // canonical user IDs of S3
}

// Condition is one operator with one key: all conditions of a statement must
// hold.
type Condition struct {
	Operator string // as written, with ForAnyValue:, ForAllValues: or IfExists
	Key      string // as written
	Values   []string
}
