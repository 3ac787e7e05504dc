package parse

import "fmt"

// Reason is why a file gave no document. The list is closed: what counts, shows or
// alarms on failures can name them all.
type Reason string

// The reasons.
const (
	Unsupported Reason = "unsupported"        // no format of the list, by name or by content
	Empty       Reason = "empty"              // no bytes, or no text in them
	TooLarge    Reason = "too_large"          // the file
	TooMuchText Reason = "too_much_text"      // what it holds
	Password    Reason = "password_protected" // opens with a password only
	Encrypted   Reason = "encrypted"          // rights management or an unknown cipher
	ImageOnly   Reason = "image_only"         // pages without text: a scan
	Damaged     Reason = "damaged"            // does not keep to its format
	Bomb        Reason = "bomb"               // unpacks to far more than it is, or nests without end
	Timeout     Reason = "timeout"            // took longer than a document may
	Memory      Reason = "memory"             // took more than a document may
	Crash       Reason = "crash"              // the parser itself ended
	NoJail      Reason = "no_jail"            // this machine cannot hold a parser; nothing was tried
)

// Reasons lists all of them.
func Reasons() []Reason {
	return []Reason{Unsupported, Empty, TooLarge, TooMuchText, Password, Encrypted, ImageOnly, Damaged, Bomb, Timeout, Memory, Crash, NoJail}
}

// Error is a file that gave no document. Message continues "the file could not be
// read: " and names neither the file nor its content.
type Error struct {
	Reason  Reason `json:"reason"`
	Message string `json:"message"`
	Err     error  `json:"-"`
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.Err }

func fail(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, Message: fmt.Sprintf(format, args...)}
}

// damaged is the commonest of them.
func damaged(format string, args ...any) *Error {
	return fail(Damaged, "it is damaged: "+format, args...)
}
