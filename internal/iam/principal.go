package iam

import "log/slog"

// PrincipalKind says what a principal is.
type PrincipalKind string

// The kinds of principals that can call.
const (
	KindRoot    PrincipalKind = "Root"
	KindUser    PrincipalKind = "IAMUser"
	KindSession PrincipalKind = "AssumedRole"
)

// Principal is who calls. It is shared between requests: never change one.
type Principal struct {
	Kind    PrincipalKind
	Account string
	// ARN as policies and messages name it: arn:aws:iam::A:user/path/name,
	// arn:aws:iam::A:root, arn:aws:sts::A:assumed-role/ROLE/SESSION.
	ARN string
	// UserID is aws:userid: AIDA… of a user, AROA…:SESSION of a role session, the
	// account of the root user.
	UserID string
	// Name is the user's or role's name, "" for root.
	Name string

	// The rest belongs to role sessions, but for Tags.

	SessionName     string
	RoleARN         string
	SourceIdentity  string
	SessionPolicies []string          // policy documents that narrow the session
	Tags            map[string]string // aws:PrincipalTag: the user's, or the role's with the session's over them
	TransitiveTags  []string          `json:",omitempty"` // keys of session tags that go on to sessions begun by this one

	facts *facts // derived; see factsOf
}

// Secret is a text that must not reach a log: formatting and slog print stars.
// JSON carries it, since the store seals what it keeps.
type Secret string

// Reveal returns the text.
func (s Secret) Reveal() string { return string(s) }

// String hides the text.
func (s Secret) String() string { return "***" }

// GoString hides the text.
func (s Secret) GoString() string { return "***" }

// LogValue hides the text.
func (s Secret) LogValue() slog.Value { return slog.StringValue("***") }
