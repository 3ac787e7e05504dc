package arn

import (
	"errors"
	"fmt"
	"strings"
)

// The partitions that exist outside isolated networks.
const (
	AWS      = "aws"
	AWSChina = "aws-cn"
	AWSGov   = "aws-us-gov"
)

// maxLength is the longest name accepted. IAM takes 2048 characters in a
// policy's Resource; no service model of ours allows more.
const maxLength = 2048

// ErrSyntax is what every failure of Parse and Validate is.
var ErrSyntax = errors.New("not a valid ARN")

// ARN is a name taken apart. The zero value is no name; String of it is
// "arn:::::".
type ARN struct {
	Partition string
	Service   string
	Region    string // empty for global services
	Account   string // twelve digits, "aws", or empty
	Resource  string // all that follows the fifth colon, colons and slashes included
}

// Parse cuts s at its first five colons. It checks the shape alone; call
// Validate to check the parts. The result shares memory with s.
func Parse(s string) (ARN, error) {
	if len(s) > maxLength {
		return ARN{}, fmt.Errorf("%w: longer than %d characters", ErrSyntax, maxLength)
	}
	rest, ok := strings.CutPrefix(s, "arn:")
	if !ok {
		return ARN{}, fmt.Errorf("%w: %q does not begin with arn", ErrSyntax, s)
	}
	var a ARN
	for _, part := range [...]*string{&a.Partition, &a.Service, &a.Region, &a.Account} {
		if *part, rest, ok = strings.Cut(rest, ":"); !ok {
			return ARN{}, fmt.Errorf("%w: %q has fewer than six parts", ErrSyntax, s)
		}
	}
	a.Resource = rest
	return a, nil
}

// Is reports whether s has the shape of a name: the prefix and six parts.
func Is(s string) bool {
	return strings.HasPrefix(s, "arn:") && strings.Count(s, ":") >= 5
}

// New builds a name in the partition of the Region (of aws when region is
// empty). Resource is what follows the account, for example "agent/ABCDEF".
func New(service, region, account, resource string) ARN {
	return ARN{Partition: Partition(region), Service: service, Region: region, Account: account, Resource: resource}
}

// String puts the name together; Parse(a.String()) gives a back as long as no
// part but Resource holds a colon.
func (a ARN) String() string {
	var b strings.Builder
	b.Grow(len("arn:::::") + len(a.Partition) + len(a.Service) + len(a.Region) + len(a.Account) + len(a.Resource))
	b.WriteString("arn:")
	for _, part := range [...]string{a.Partition, a.Service, a.Region, a.Account} {
		b.WriteString(part)
		b.WriteByte(':')
	}
	b.WriteString(a.Resource)
	return b.String()
}

// Split cuts the resource into type and id at its first slash or colon,
// whichever comes first: "agent-alias/A/B" is ("agent-alias", "A/B"),
// "function:f:1" is ("function", "f:1"). A resource without either (an S3
// bucket, an SNS topic) has no type: ("", resource).
func (a ARN) Split() (typ, id string) {
	i := strings.IndexAny(a.Resource, "/:")
	if i < 0 {
		return "", a.Resource
	}
	return a.Resource[:i], a.Resource[i+1:]
}

// Type returns the first half of Split.
func (a ARN) Type() string { t, _ := a.Split(); return t }

// ID returns the second half of Split.
func (a ARN) ID() string { _, id := a.Split(); return id }

// Validate checks each part: a known partition, a service of lower-case
// letters, digits and dashes, a Region of its partition or none, an account of
// twelve digits ("aws" for what AWS itself owns) or none, a resource without
// control characters.
func (a ARN) Validate() error {
	switch a.Partition {
	case AWS, AWSChina, AWSGov:
	default:
		return fmt.Errorf("%w: unknown partition %q", ErrSyntax, a.Partition)
	}
	if a.Service == "" || !every(a.Service, lowerDigitDash) {
		return fmt.Errorf("%w: bad service %q", ErrSyntax, a.Service)
	}
	if a.Region != "" {
		if !IsRegion(a.Region) {
			return fmt.Errorf("%w: bad Region %q", ErrSyntax, a.Region)
		}
		if want := Partition(a.Region); want != a.Partition {
			return fmt.Errorf("%w: Region %q belongs to partition %s, not to %s", ErrSyntax, a.Region, want, a.Partition)
		}
	}
	if a.Account != "" && a.Account != "aws" && !IsAccount(a.Account) {
		return fmt.Errorf("%w: bad account %q", ErrSyntax, a.Account)
	}
	if a.Resource == "" {
		return fmt.Errorf("%w: no resource", ErrSyntax)
	}
	if strings.ContainsFunc(a.Resource, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("%w: control character in the resource", ErrSyntax)
	}
	return nil
}

// Partition names the partition of a Region, aws for one it does not know and
// for none.
func Partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return AWSChina
	case strings.HasPrefix(region, "us-gov-"):
		return AWSGov
	}
	return AWS
}

// IsAccount reports whether s is twelve decimal digits.
func IsAccount(s string) bool {
	return len(s) == 12 && every(s, digit)
}

// IsRegion reports whether s looks like a Region: words of lower-case letters
// and a number, joined by dashes (us-east-1, us-gov-west-1, ap-southeast-2).
// It knows no list, since Regions are added every year.
func IsRegion(s string) bool {
	words := 0
	for {
		word, rest, more := strings.Cut(s, "-")
		if word == "" {
			return false
		}
		if !more {
			return words >= 2 && every(word, digit)
		}
		if !every(word, lower) {
			return false
		}
		words++
		s = rest
	}
}

func every(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func digit(c byte) bool          { return '0' <= c && c <= '9' }
func lower(c byte) bool          { return 'a' <= c && c <= 'z' }
func lowerDigitDash(c byte) bool { return lower(c) || digit(c) || c == '-' }
