package vector

// Capabilities is what the indexes of a store can do.
type Capabilities struct {
	// Store names it in messages.
	Store string
	// Hybrid: searches by words and similarity together.
	Hybrid bool
	// Operators are the filter operators it evaluates; nil means all of Operators.
	Operators []Op
	// Sealed: texts, attributes, vectors and terms are unreadable on disk.
	Sealed bool
	// EmptyDocuments: a document without chunks is kept and listed.
	EmptyDocuments bool
}

// CheckFilter answers *UnsupportedError for the first operator that the store lacks.
func (c Capabilities) CheckFilter(f *Filter) error {
	if c.Operators == nil {
		return nil
	}
	for op := range f.operators() {
		if !contains(c.Operators, op) {
			return &UnsupportedError{Store: c.Store, What: "the filter operator " + string(op)}
		}
	}
	return nil
}

func contains(ops []Op, op Op) bool {
	for _, o := range ops {
		if o == op {
			return true
		}
	}
	return false
}

// UnsupportedError names what a store cannot do.
type UnsupportedError struct{ Store, What string }

func (e *UnsupportedError) Error() string { return e.Store + " does not support " + e.What }

// Is makes errors.Is(err, ErrUnsupported) true.
func (e *UnsupportedError) Is(target error) bool { return target == ErrUnsupported }
