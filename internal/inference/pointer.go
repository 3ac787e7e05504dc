package inference

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/inference/family"
)

// checkPointers refuses what is not a JSON pointer (RFC 6901). One that points
// to nothing is fine: it is left out of the answer.
func checkPointers(paths []string) error {
	for i, p := range paths {
		if p == "" || p[0] != '/' {
			return invalid("The JSON Pointer %q at additionalModelResponseFieldPaths.%d is invalid: it must begin with a slash.", p, i)
		}
		for rest := p; ; {
			at := strings.IndexByte(rest, '~')
			if at < 0 {
				break
			}
			if at+1 == len(rest) || rest[at+1] != '0' && rest[at+1] != '1' {
				return invalid("The JSON Pointer %q at additionalModelResponseFieldPaths.%d is invalid: a tilde must be followed by 0 or 1.", p, i)
			}
			rest = rest[at+2:]
		}
	}
	return nil
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// pick returns the members of a native body that the pointers name, nested as
// they stand there; nil when nothing was asked for or found.
func pick(body []byte, paths []string) json.RawMessage {
	if len(paths) == 0 {
		return nil
	}
	root := family.Tree(body)
	var out map[string]any
	for _, p := range paths {
		keys := strings.Split(p[1:], "/")
		v := &root
		for i, k := range keys {
			keys[i] = unescape.Replace(k)
			v = child(v, keys[i])
		}
		if v.Kind == family.Absent {
			continue
		}
		if out == nil {
			out = map[string]any{}
		}
		put(out, keys, json.RawMessage(v.Raw))
	}
	if out == nil {
		return nil
	}
	text, err := json.Marshal(out)
	if err != nil {
		return nil // the parts come from valid JSON
	}
	return text
}

func child(v *family.Value, key string) *family.Value {
	if v.Kind == family.Array {
		if n, err := strconv.Atoi(key); err == nil && n >= 0 && n < len(v.Items()) {
			return &v.Items()[n]
		}
		return &family.Value{}
	}
	return v.Get(key)
}

func put(m map[string]any, keys []string, value json.RawMessage) {
	for _, k := range keys[:len(keys)-1] {
		next, ok := m[k].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[k] = next
		}
		m = next
	}
	m[keys[len(keys)-1]] = value
}
