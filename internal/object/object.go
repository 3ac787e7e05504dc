package object

import (
	"context"
	"errors"
	"io"
	"time"
	"unicode/utf8"
)

// What a Store answers when it cannot do what is asked. Match with errors.Is;
// any other error is a fault of the store itself.
var (
	ErrNotFound     = errors.New("object: no such key")
	ErrNoBucket     = errors.New("object: no such bucket")
	ErrNoUpload     = errors.New("object: no such upload")
	ErrExists       = errors.New("object: bucket already exists")
	ErrNotEmpty     = errors.New("object: bucket is not empty")
	ErrPrecondition = errors.New("object: precondition failed")
	ErrInvalid      = errors.New("object: invalid argument")
	ErrRange        = errors.New("object: range not satisfiable")
	ErrPart         = errors.New("object: part missing, out of order or with another etag")
	ErrTooSmall     = errors.New("object: part other than the last is below 5 MiB")
	ErrFull         = errors.New("object: no space left")
	ErrIO           = errors.New("object: storage failed")
	ErrDenied       = errors.New("object: the endpoint behind the store refuses its credentials")
	ErrClosed       = errors.New("object: store is closed")
)

// Limits of S3 that every Store keeps.
const (
	MaxKey      = 1024     // bytes of UTF-8
	MaxPart     = 10_000   // highest part number
	MinPartSize = 5 << 20  // bytes, of every part but the last
	MaxList     = 1000     // entries in one page, and the default
	MaxTags     = 10       // tags of an object
	maxUserMeta = 2 << 10  // bytes of all user metadata names and values
	maxHeader   = 8 << 10  // bytes of one header value
	maxTagKey   = 128      // characters
	maxTagValue = 256      // characters
	maxAccount  = 64       // bytes of each element of a bucket's address
	MaxSize     = 50 << 40 // bytes of an object (S3's limit since December 2025)
)

// Bucket names a namespace. State is per account and Region, so all three count.
type Bucket struct{ Account, Region, Name string }

// Address names an object.
type Address struct {
	Bucket Bucket
	Key    string // 1 to 1,024 bytes of UTF-8; any character, "../x" and "a//b" included
}

// Attributes travel with an object unchanged.
type Attributes struct {
	ContentType        string            `json:",omitempty"`
	ContentEncoding    string            `json:",omitempty"`
	ContentDisposition string            `json:",omitempty"`
	ContentLanguage    string            `json:",omitempty"`
	CacheControl       string            `json:",omitempty"`
	User               map[string]string `json:",omitempty"` // names in lower case, at most 2 KiB together
	// System is what the layer above remembers about the object and no client sees:
	// names of a-z, 0-9 and "-", at most 2 KiB together.
	System map[string]string `json:",omitempty"`
}

// Part is one stored piece of an upload, or of an object that an upload made.
type Part struct {
	Number   int
	Size     int64
	ETag     string
	Sums     Sums
	Modified time.Time
}

// Info describes a stored object.
type Info struct {
	Key        string
	Size       int64
	ETag       string    // without quotes; lower-case hex MD5 of the content, with "-N" after an upload of N parts
	Modified   time.Time // UTC
	Sums       Sums      // what the store knows; an empty field is unknown
	Attributes Attributes
	Parts      []Part // of an object made by an upload, where the store keeps them
	TagCount   int
}

// If makes a write conditional. The check and the write are one atomic step. The
// zero value always holds.
type If struct {
	Match  string // the object exists and has this ETag
	Absent bool   // no object has the key
}

// Zero reports whether nothing is asked.
func (c If) Zero() bool { return c == If{} }

// Range asks for a part of the content. The zero value asks for all of it; a
// negative Offset asks for that many bytes of the end (more than there are means
// all); Length 0 means up to the end, and a Length past the end is cut.
type Range struct{ Offset, Length int64 }

// Resolve returns the first byte and the count that r means in size bytes, and
// ErrRange when that is no byte at all (but all of an empty object is none).
func (r Range) Resolve(size int64) (offset, length int64, err error) {
	if r == (Range{}) {
		return 0, size, nil
	}
	if r.Length < 0 {
		return 0, 0, ErrInvalid
	}
	offset = r.Offset
	if offset < 0 {
		offset = max(0, size+offset)
	}
	if offset >= size {
		return 0, 0, ErrRange
	}
	length = size - offset
	if r.Length > 0 {
		length = min(length, r.Length)
	}
	return offset, length, nil
}

// PutOptions go with the content of an object.
type PutOptions struct {
	Attributes Attributes
	Tags       map[string]string
	If         If
	// Verify, when set, is called once after the last byte of content and before
	// the object can be seen. An error stops the write and is returned as it is:
	// here the S3 face compares Content-MD5, lengths and trailing checksums.
	Verify func(size int64, sums Sums) error
}

// CopyOptions go with a copy.
type CopyOptions struct {
	Source     If                // on the source
	If         If                // on the target
	Attributes *Attributes       // replaces the source's; nil keeps them
	Tags       map[string]string // replaces the source's; nil keeps them, empty drops them
}

// Content is an opened object. The caller closes Body.
type Content struct {
	Info           Info
	Offset, Length int64 // what Body gives
	Body           io.ReadCloser
}

// ListOptions choose a page of a listing.
type ListOptions struct {
	Prefix    string
	Delimiter string // groups keys by what follows Prefix up to and including it
	After     string // only keys greater than this, in byte order
	Token     string // Page.Next of the page before; overrides After
	Limit     int    // keys and prefixes together; 0 and more than MaxList mean MaxList
}

// Page is one page of a listing, in byte order of keys. Objects carry neither
// Attributes nor Parts nor Sums.
type Page struct {
	Objects  []Info
	Prefixes []string
	Next     string // opaque; empty on the last page
}

// Upload names a started upload.
type Upload struct {
	Address Address
	ID      string
}

// UploadInfo describes a started upload.
type UploadInfo struct {
	Key, ID    string
	Started    time.Time
	Attributes Attributes // where the store tells them before the upload is an object
}

// PartRef names a part in CompleteUpload; an empty ETag matches any.
type PartRef struct {
	Number int
	ETag   string
}

// Store keeps objects. All methods are safe for concurrent use. A method that
// returned nil has its effect on stable storage. A reader sees an object whole,
// as one write made it, or not at all.
//
// Every method answers ErrNoBucket when the bucket is missing and ErrInvalid when
// a name, a key or an option breaks the limits above.
type Store interface {
	// CreateBucket makes an empty bucket, or answers ErrExists.
	CreateBucket(ctx context.Context, b Bucket) error
	// DeleteBucket removes a bucket without objects and uploads, or answers ErrNotEmpty.
	DeleteBucket(ctx context.Context, b Bucket) error
	// HeadBucket answers nil when the bucket exists.
	HeadBucket(ctx context.Context, b Bucket) error

	// Put reads r to its end and replaces the object. An error of r, of Verify or
	// of the condition (ErrPrecondition; ErrNotFound when Match names an object
	// that is not there) leaves what was there.
	Put(ctx context.Context, a Address, r io.Reader, o PutOptions) (Info, error)
	// Get opens the object. The content stays that of Info even when the object is
	// replaced or deleted while it is read.
	Get(ctx context.Context, a Address, r Range) (*Content, error)
	// Head describes the object.
	Head(ctx context.Context, a Address) (Info, error)
	// Delete removes the object; a missing one is no error, unless c.Match is set
	// (ErrNotFound).
	Delete(ctx context.Context, a Address, c If) error
	// List answers one page of keys.
	List(ctx context.Context, b Bucket, o ListOptions) (Page, error)
	// Copy writes the source's content to the target without moving it through the
	// caller. Source and target may be the same.
	Copy(ctx context.Context, from, to Address, o CopyOptions) (Info, error)

	// Tags answers the object's tags, never nil.
	Tags(ctx context.Context, a Address) (map[string]string, error)
	// SetTags replaces the object's tags; its ETag and time stay.
	SetTags(ctx context.Context, a Address, tags map[string]string) error

	// StartUpload begins an object in parts. Nothing is seen before CompleteUpload.
	StartUpload(ctx context.Context, a Address, attrs Attributes, tags map[string]string) (Upload, error)
	// PutPart stores part number n (1 to MaxPart), replacing an earlier one.
	PutPart(ctx context.Context, u Upload, n int, r io.Reader, verify func(int64, Sums) error) (Part, error)
	// ListParts answers up to limit parts with numbers above after, in order; more
	// says that there are others.
	ListParts(ctx context.Context, u Upload, after, limit int) (parts []Part, more bool, err error)
	// CompleteUpload makes the object of the named parts in the given, rising order
	// and ends the upload. ErrPart and ErrTooSmall leave the upload as it was.
	CompleteUpload(ctx context.Context, u Upload, parts []PartRef, c If) (Info, error)
	// HeadUpload describes an upload that is under way, or answers ErrNoUpload.
	HeadUpload(ctx context.Context, u Upload) (UploadInfo, error)
	// AbortUpload drops the upload and its parts, or answers ErrNoUpload.
	AbortUpload(ctx context.Context, u Upload) error
	// ListUploads answers up to limit uploads whose key has the prefix, ordered by
	// key, then start, beginning after the given one (zero: from the start).
	ListUploads(ctx context.Context, b Bucket, prefix string, after UploadInfo, limit int) (uploads []UploadInfo, more bool, err error)

	// Close ends what the store runs; open Contents stay readable.
	Close() error
}

// Check reports whether the condition holds for the object that is there now
// (found false: none). It is the one place that decides, shared by adapters.
func (c If) Check(found bool, etag string) error {
	switch {
	case c.Absent && found:
		return ErrPrecondition
	case c.Match != "" && !found:
		return ErrNotFound
	case c.Match != "" && c.Match != "*" && c.Match != etag:
		return ErrPrecondition
	}
	return nil
}

// Check answers ErrInvalid unless all three names are set, short and free of
// control characters.
func (b Bucket) Check() error {
	for _, s := range []string{b.Account, b.Region, b.Name} {
		if s == "" || len(s) > maxAccount || !utf8.ValidString(s) {
			return ErrInvalid
		}
		for i := range len(s) {
			if s[i] < 0x20 || s[i] == 0x7f {
				return ErrInvalid
			}
		}
	}
	return nil
}

// Check answers ErrInvalid unless the bucket and the key keep the limits.
func (a Address) Check() error {
	if err := a.Bucket.Check(); err != nil {
		return err
	}
	if a.Key == "" || len(a.Key) > MaxKey || !utf8.ValidString(a.Key) {
		return ErrInvalid
	}
	return nil
}

// Check answers ErrInvalid unless the attributes can travel as HTTP headers.
func (a Attributes) Check() error {
	for _, s := range []string{a.ContentType, a.ContentEncoding, a.ContentDisposition, a.ContentLanguage, a.CacheControl} {
		if len(s) > maxHeader || !headerText(s) {
			return ErrInvalid
		}
	}
	n := 0
	for k, v := range a.User {
		n += len(k) + len(v)
		if k == "" || !headerText(k) || !headerText(v) {
			return ErrInvalid
		}
	}
	if n > maxUserMeta {
		return ErrInvalid
	}
	n = 0
	for k, v := range a.System {
		n += len(k) + len(v)
		if !systemName(k) || !headerText(v) {
			return ErrInvalid
		}
	}
	if n > maxUserMeta {
		return ErrInvalid
	}
	return nil
}

func systemName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != ""
}

func headerText(s string) bool {
	for i := range len(s) {
		if (s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// CheckTags answers ErrInvalid unless the tags keep S3's limits.
func CheckTags(tags map[string]string) error {
	if len(tags) > MaxTags {
		return ErrInvalid
	}
	for k, v := range tags {
		if k == "" || utf8.RuneCountInString(k) > maxTagKey || utf8.RuneCountInString(v) > maxTagValue ||
			!utf8.ValidString(k) || !utf8.ValidString(v) {
			return ErrInvalid
		}
	}
	return nil
}

// CheckParts answers ErrPart unless the numbers are in range and rise, and
// ErrInvalid when there is none.
func CheckParts(parts []PartRef) error {
	if len(parts) == 0 {
		return ErrInvalid
	}
	last := 0
	for _, p := range parts {
		if p.Number <= last || p.Number > MaxPart {
			return ErrPart
		}
		last = p.Number
	}
	return nil
}
