package restjson

import (
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api"
)

func TestParseTime(t *testing.T) {
	noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"2026-01-31T12:00:00Z":          noon,
		"2026-01-31T12:00:00.5Z":        noon.Add(500 * time.Millisecond),
		"2026-01-31T21:00:00+09:00":     noon,
		"Sat, 31 Jan 2026 12:00:00 GMT": noon,
		"1769860800":                    noon,
		"1769860800.123456":             noon.Add(123456 * time.Microsecond),
		"1.7698608e9":                   noon,
		"-1.5":                          time.Unix(-2, 5e8).UTC(),
		"0":                             time.Unix(0, 0).UTC(),
	} {
		if got, ok := parseTime(s); !ok || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v; want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "soon", "2026-01-31", "2026-01-31T12:00:00", "2026-13-31T12:00:00Z", "1e300", "-1e300", "99999999999999", "-99999999999999", "NaN", "Inf", "0x10", "1_000", "9223372036854775808",
		"0000-12-31T12:00:00Z", "0001-01-01T00:00:00+23:00"} {
		if got, ok := parseTime(s); ok {
			t.Errorf("%q is taken as %v", s, got)
		}
	}
	if got := string(appendTime(nil, noon.Add(time.Microsecond+999))); got != "2026-01-31T12:00:00.000001Z" {
		t.Error(got)
	}
}

// TestAnEmptyLabelIsRefusedWhateverItsShape uses a service of its own: every label
// of the real ones has a constraint that the empty string breaks.
func TestAnEmptyLabelIsRefusedWhateverItsShape(t *testing.T) {
	type input struct{ Id string }
	svc := &api.Service{Name: "toy", Shapes: []api.Shape{
		{Name: "In", Kind: api.Structure, Members: []api.Member{{Name: "id", Wire: "id", Shape: 1, In: api.Label, Required: true}}},
		{Name: "Id", Kind: api.String},
	}}
	op := &api.Operation{Name: "Get", Segments: []api.Segment{{Label: "id", Member: 0}}, Input: 0, Output: api.NoShape, EventsIn: api.NoShape, EventsOut: api.NoShape,
		NewInput: func() any { return new(input) }}
	if in, err := DecodeRequest(svc, op, []string{"x%2Fy"}, "", nil, nil); err != nil || in.(*input).Id != "x/y" {
		t.Errorf("%+v, %v", in, err)
	}
	const want = "ValidationException: 1 validation error detected: Value '' at 'id' failed to satisfy constraint: Member must have length greater than or equal to 1"
	if _, err := DecodeRequest(svc, op, []string{""}, "", nil, nil); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}
