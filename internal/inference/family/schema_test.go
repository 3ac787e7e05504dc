package family

import (
	"math"
	"testing"
)

func TestViolationsHaveTheServicesTexts(t *testing.T) {
	schema := AnObject(
		Required("texts", AnArray(AString().Size(1, 4)).Size(1, 2)),
		Required("input_type", AString().OneOf("search_document", "none")),
		Optional("temperature", ANumber(0, 1)),
		Optional("count", AnInteger(1, 8191)),
		Optional("topP", ANumber(1e-45, 1)),
		Optional("scale", ANumber(0, math.Inf(1)).Above()),
		Optional("stop", AnArray(AString().Matching(`^(\|+|User:)$`))),
		Optional("flag", ABoolean()),
		Optional("either", Either(AString(), AnArray(AString()))),
		Optional("size", AnInteger(math.Inf(-1), math.Inf(1)).OneOf("256", "384")),
		Optional("maybe", AString().OrNull()),
		Optional("nested", AnObject(Required("a", Anything()))),
	)
	const rest = `"texts":["a"],"input_type":"none"`
	for _, c := range []struct{ body, want string }{
		{`{"inputText":"x"}`, "#: required key [texts] not found, #: required key [input_type] not found, #: extraneous key [inputText] is not permitted"},
		{`{"texts":"a","input_type":"none"}`, "#/texts: expected type: JSONArray, found: String"},
		{`{"texts":[],"input_type":"none"}`, "#/texts: expected minimum item count: 1, found: 0"},
		{`{"texts":["a","b","c"],"input_type":"none"}`, "#/texts: expected maximum item count: 2, found: 3"},
		{`{"texts":["","abcde","héé"],"input_type":"none"}`, "#/texts: expected maximum item count: 2, found: 3, #/texts/0: expected minLength: 1, actual: 0, #/texts/1: expected maxLength: 4, actual: 5"},
		{`{"texts":["a"],"input_type":"other"}`, "#/input_type: other is not a valid enum value"},
		{`{` + rest + `,"temperature":null}`, "#/temperature: expected type: Number, found: Null"},
		{`{` + rest + `,"temperature":1.1}`, "#/temperature: 1.1 is not less or equal to 1"},
		{`{` + rest + `,"temperature":-1}`, "#/temperature: -1 is not greater or equal to 0"},
		{`{` + rest + `,"temperature":"hot"}`, "#/temperature: expected type: Number, found: String"},
		{`{` + rest + `,"count":8192}`, "#/count: 8192 is not less or equal to 8191"},
		{`{` + rest + `,"count":1.5}`, "#/count: expected type: Integer, found: Double"},
		{`{` + rest + `,"topP":0}`, "#/topP: 0 is not greater or equal to 1.0E-45"},
		{`{` + rest + `,"scale":0}`, "#/scale: 0 is not greater than 0"},
		{`{` + rest + `,"stop":["Human:"]}`, `#/stop/0: string [Human:] does not match pattern ^(\|+|User:)$`},
		{`{` + rest + `,"flag":"yes"}`, "#/flag: expected type: Boolean, found: String"},
		{`{` + rest + `,"either":3}`, "#/either: expected type: String, found: Integer"},
		{`{` + rest + `,"either":[3]}`, "#/either/0: expected type: String, found: Integer"},
		{`{` + rest + `,"size":512}`, "#/size: 512 is not a valid enum value"},
		{`{` + rest + `,"nested":{}}`, "#/nested: required key [a] not found"},
		{`{` + rest + `,"nested":[]}`, "#/nested: expected type: JSONObject, found: JSONArray"},
		{`{` + rest + `,"temperature":0,"count":3.0,"topP":1,"stop":["|","|||","User:"],"either":["x"],"size":384,"maybe":null,"nested":{"a":null}}`, ""},
	} {
		v, err := Parse([]byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		err = schema.Check(&v)
		got := ""
		if err != nil {
			got = err.Error()
		}
		want := ""
		if c.want != "" {
			want = "ValidationException: Malformed input request: " + c.want + ", please reformat your input and try again."
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", c.body, got, want)
		}
	}
}
