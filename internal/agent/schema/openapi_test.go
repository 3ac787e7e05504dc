package schema

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/agent/plan"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

// insurance is the schema of the demo and of the guide.
func insurance(tb testing.TB) []byte {
	tb.Helper()
	b, err := os.ReadFile("../../demo/insurance/claims.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

var claims = []plan.Action{
	{
		Path: "/claims", Verb: "GET", OperationID: "getAllOpenClaims",
		Description: "Lists all insurance claims that are open, each with its id, policy holder and status.",
		Returns:     "The open claims: list of object {claimId: string (Id of the claim.), policyHolderId: string (Id of the policy holder.), claimStatus: string (Status of the claim.)}",
	},
	{
		Path: "/claims/{claimId}/identify-missing-documents", Verb: "GET", OperationID: "identifyMissingDocuments",
		Description: "Says which documents are still missing for one claim. Use it whenever the user asks what is missing or pending for a claim.",
		Parameters:  []plan.Parameter{{Name: "claimId", Type: "string", Description: "Id of the claim, such as claim-1234.", Required: true}},
		Returns:     "The missing documents: object {pendingDocuments: string (The missing documents.)}",
	},
	{
		Path: "/send-reminders", Verb: "POST", OperationID: "sendReminders",
		Description: "Sends the policy holder of one claim a reminder of the missing documents and returns a tracking id. Use it only when the user asks to send a reminder.",
		Body: []plan.Parameter{
			{Name: "claimId", Type: "string", Description: "Id of the claim, such as claim-1234.", Required: true},
			{Name: "pendingDocuments", Type: "string", Description: "The missing documents to remind of.", Required: true},
		},
		MediaType: "application/json", BodyRequired: true,
		Returns: "The reminder is on its way: object {sendReminderTrackingId: string (Id to follow the reminder.), sendReminderStatus: string (Status of the reminder.)}",
	},
}

func TestTheInsuranceSchemaIsRead(t *testing.T) {
	got, err := OpenAPI("claims", insurance(t))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(claims, got); d != "" {
		t.Error(d)
	}
}

func TestJSONIsReadAsYAMLIs(t *testing.T) {
	v, err := readYAML(insurance(t), &problems{})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readJSON(doc, &problems{}); err != nil {
		t.Fatal(err)
	}
	got, err := OpenAPI("claims", doc)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(claims, got); d != "" {
		t.Error(d)
	}
}

// The console and programs know this text.
func TestTheErrorNamesTheGroupAndEveryProblem(t *testing.T) {
	_, err := OpenAPI("orders", []byte(`{"openapi":"3.0.0","paths":{"/x":{"post":{"description":"d"}},"y":{"get":{"responses":{"200":{}}}}}}`))
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Kind != apierr.Validation {
		t.Fatalf("got %v", err)
	}
	want := "Failed to create OpenAPI 3 model from the JSON/YAML object that you provided for action: orders {APISchemaException=[" +
		"attribute paths.'/x'(post).responses is missing, attribute paths.'y' does not begin with /, attribute paths.'y'(get).description is missing]}"
	if e.Message != want {
		t.Errorf("got  %s\nwant %s", e.Message, want)
	}
}

// operation is a document with one operation; more stands beside its description, and
// components beside paths.
func operation(path, verb, more, components string) string {
	return `{"openapi":"3.0.3","info":{"title":"t","version":"1"},"paths":{"` + path + `":{"` + verb + `":{"description":"d","responses":{"200":{"description":"ok"}}` + more + `}}}` + components + `}`
}

func body(schema string) string {
	return `,"requestBody":{"content":{"application/json":{"schema":` + schema + `}}}`
}

func components(schemas string) string { return `,"components":{"schemas":{` + schemas + `}}` }

const inBody = "attribute paths.'/x'(post).requestBody.content.'application/json'.schema"

func TestProblemsAreNamed(t *testing.T) {
	query := func(rest string) string {
		return operation("/x", "get", `,"parameters":[{"name":"q","in":"query","description":"d"`+rest+`}]`, "")
	}
	const q = "attribute paths.'/x'(get).parameters.[q]"
	for name, c := range map[string]struct{ doc, want string }{
		"nothing":                  {"", "the document is empty"},
		"blanks":                   {" \n", "the document is empty"},
		"no text":                  {"\xff\xfe", "the document is not UTF-8 text"},
		"a list":                   {"[]", "the document is not of type `object`"},
		"a word":                   {"hello", "the document is not of type `object`"},
		"cut json":                 {"{\"openapi\":\"3.0.0\",\n\"paths\":{", "the JSON cannot be read at line 2: it ends too early"},
		"wrong yaml":               {"openapi: 3.0.0\npaths: [}", "the YAML cannot be read at line 2: "},
		"two documents":            {"a: 1\n---\nb: 2\n", "there is more than one document"},
		"unknown anchor":           {"a: *b\n", "there is no anchor b"},
		"no openapi":               {`{"paths":{"/x":{"get":{"description":"d","responses":{"200":{}}}}}}`, "attribute openapi is missing"},
		"openapi 2.0":              {`{"openapi":"2.0","paths":{"/x":{"get":{"description":"d","responses":{"200":{}}}}}}`, "attribute openapi is '2.0'; versions 3.0.x are read"},
		"openapi is a number":      {"openapi: 3.0\npaths: {/x: {get: {description: d, responses: {200: {}}}}}", "attribute openapi is not of type `string`"},
		"no paths":                 {`{"openapi":"3.0.0"}`, "attribute paths is missing"},
		"paths is a list":          {`{"openapi":"3.0.0","paths":[]}`, "attribute paths is not of type `object`"},
		"no path":                  {`{"openapi":"3.0.0","paths":{}}`, "attribute paths has no path"},
		"path without slash":       {operation("x", "get", "", ""), "attribute paths.'x' does not begin with /"},
		"path without operation":   {`{"openapi":"3.0.0","paths":{"/x":{}}}`, "attribute paths.'/x' has no operation"},
		"path is null":             {`{"openapi":"3.0.0","paths":{"/x":null}}`, "attribute paths.'/x' is not of type `object`"},
		"unknown method":           {operation("/x", "fetch", "", ""), "attribute paths.'/x'.fetch is unexpected"},
		"brace":                    {operation("/x/{id", "get", "", ""), "attribute paths.'/x/{id' has a brace without its other"},
		"operation is a text":      {`{"openapi":"3.0.0","paths":{"/x":{"get":"d"}}}`, "attribute paths.'/x'(get) is not of type `object`"},
		"no description":           {`{"openapi":"3.0.0","paths":{"/x":{"get":{"responses":{"200":{}}}}}}`, "attribute paths.'/x'(get).description is missing"},
		"empty description":        {`{"openapi":"3.0.0","paths":{"/x":{"get":{"description":" ","responses":{"200":{}}}}}}`, "attribute paths.'/x'(get).description is empty"},
		"no responses":             {`{"openapi":"3.0.0","paths":{"/x":{"get":{"description":"d"}}}}`, "attribute paths.'/x'(get).responses is missing"},
		"responses without status": {`{"openapi":"3.0.0","paths":{"/x":{"get":{"description":"d","responses":{}}}}}`, "attribute paths.'/x'(get).responses has no status code"},
		"wrong status":             {`{"openapi":"3.0.0","paths":{"/x":{"get":{"description":"d","responses":{"OK":{}}}}}}`, "attribute paths.'/x'(get).responses.OK is no status code"},
		"response media without schema": {`{"openapi":"3.0.0","paths":{"/x":{"get":{"description":"d","responses":{"200":{"content":{"text/plain":{}}}}}}}}`,
			"attribute paths.'/x'(get).responses.200.content.'text/plain'.schema is missing"},
		"unknown ref in an answer": {`{"openapi":"3.0.0","paths":{"/x":{"get":{"description":"d","responses":{"200":{"content":{"application/json":{"schema":{"items":{"$ref":"#/components/schemas/No"}}}}}}}}}}`,
			"attribute paths.'/x'(get).responses.200.content.'application/json'.schema.items.$ref is '#/components/schemas/No', which the document does not have"},
		"operationId form":        {operation("/x", "get", `,"operationId":"get x"`, ""), "attribute paths.'/x'(get).operationId is 'get x', not letters, digits, `_` and `-`"},
		"operationId underscores": {operation("/x", "get", `,"operationId":"get__x"`, ""), "attribute paths.'/x'(get).operationId contains `__`"},
		"operationId is a number": {operation("/x", "get", `,"operationId":7`, ""), "attribute paths.'/x'(get).operationId is not of type `string`"},
		"operationId twice": {`{"openapi":"3.0.0","paths":{"/x":{"get":{"description":"d","operationId":"a","responses":{"200":{}}},"post":{"description":"d","operationId":"a","responses":{"200":{}}}}}}`,
			"attribute paths.'/x'(post).operationId is repeated: 'a' is also that of paths.'/x'(get)"},
		"confirmation":             {operation("/x", "get", `,"x-requireConfirmation":true`, ""), "attribute paths.'/x'(get).x-requireConfirmation is not ENABLED or DISABLED"},
		"confirmation word":        {operation("/x", "get", `,"x-requireConfirmation":"YES"`, ""), "attribute paths.'/x'(get).x-requireConfirmation is 'YES', not ENABLED or DISABLED"},
		"parameters is an object":  {operation("/x", "get", `,"parameters":{}`, ""), "attribute paths.'/x'(get).parameters is not of type `array`"},
		"parameter without name":   {operation("/x", "get", `,"parameters":[{"in":"query","description":"d"}]`, ""), "attribute paths.'/x'(get).parameters.[0].name is missing"},
		"parameter without in":     {operation("/x", "get", `,"parameters":[{"name":"q","description":"d"}]`, ""), q + ".in is missing"},
		"parameter in body":        {operation("/x", "get", `,"parameters":[{"name":"q","in":"body","description":"d"}]`, ""), q + ".in is 'body', not one of"},
		"parameter not described":  {operation("/x", "get", `,"parameters":[{"name":"q","in":"query","schema":{"type":"string"}}]`, ""), q + ".description is missing"},
		"parameter twice":          {operation("/x", "get", `,"parameters":[{"name":"q","in":"query","description":"d"},{"name":"q","in":"query","description":"d"}]`, ""), q + " is repeated"},
		"parameter of the path":    {operation("/x/{id}", "get", "", ""), "attribute paths.'/x/{id}'(get).parameters has no parameter 'id' in path, which the path names"},
		"required is a text":       {query(`,"required":"yes"`), q + ".required is not of type `boolean`"},
		"unknown type":             {query(`,"schema":{"type":"file"}`), q + ".schema.type is 'file', not one of array, boolean, integer, number, object, string"},
		"no type":                  {query(`,"schema":{}`), q + ".schema.type is missing"},
		"type is a number":         {query(`,"schema":{"type":7}`), q + ".schema.type is not of type `string`"},
		"enum is a text":           {query(`,"schema":{"type":"string","enum":"a"}`), q + ".schema.enum is not a list of values"},
		"minimum is a text":        {query(`,"schema":{"type":"integer","minimum":"1"}`), q + ".schema.minimum is not of type `number`"},
		"schema is a list":         {query(`,"schema":[]`), q + ".schema is not of type `object`"},
		"body on get":              {operation("/x", "get", body(`{}`), ""), "attribute paths.'/x'(get).requestBody is not supported for GET"},
		"body on delete":           {operation("/x", "delete", body(`{}`), ""), "attribute paths.'/x'(delete).requestBody is not supported for DELETE"},
		"body without content":     {operation("/x", "post", `,"requestBody":{}`, ""), "attribute paths.'/x'(post).requestBody.content is missing"},
		"body without media":       {operation("/x", "post", `,"requestBody":{"content":{}}`, ""), "attribute paths.'/x'(post).requestBody.content has no media type"},
		"body of no type":          {operation("/x", "post", `,"requestBody":{"content":{"":{"schema":{"properties":{"a":{"type":"string"}}}}}}`, ""), "attribute paths.'/x'(post).requestBody.content.'' is no media type"},
		"body without schema":      {operation("/x", "post", `,"requestBody":{"content":{"application/json":{}}}`, ""), inBody + " is missing"},
		"body without properties":  {operation("/x", "post", body(`{"type":"object"}`), ""), inBody + ".properties is missing"},
		"body is a list":           {operation("/x", "post", body(`{"type":"array","items":{"type":"string"}}`), ""), inBody + ".type is 'array'; the body of an action is an object"},
		"property without type":    {operation("/x", "post", body(`{"properties":{"a":{"description":"d"}}}`), ""), inBody + ".properties.a.type is missing"},
		"required of a property":   {operation("/x", "post", body(`{"properties":{"a":{"type":"string","required":true}}}`), ""), inBody + ".properties.a.required is not of type `array`"},
		"unknown ref":              {operation("/x", "post", body(`{"$ref":"#/components/schemas/No"}`), ""), inBody + ".$ref is '#/components/schemas/No', which the document does not have"},
		"remote ref":               {operation("/x", "post", body(`{"$ref":"https://example.com/a.json#/A"}`), ""), inBody + ".$ref is 'https://example.com/a.json#/A'; only references inside the document are followed"},
		"file ref":                 {operation("/x", "post", body(`{"$ref":"other.yaml"}`), ""), inBody + ".$ref is 'other.yaml'; only references inside"},
		"ref is a number":          {operation("/x", "post", body(`{"$ref":7}`), ""), inBody + ".$ref is not of type `string`"},
		"refs in a circle":         {operation("/x", "post", body(`{"$ref":"#/components/schemas/A"}`), components(`"A":{"$ref":"#/components/schemas/B"},"B":{"$ref":"#/components/schemas/A"}`)), "goes in a circle"},
		"schema that holds itself": {operation("/x", "post", body(`{"$ref":"#/components/schemas/A"}`), components(`"A":{"type":"object","properties":{"next":{"$ref":"#/components/schemas/A"}}}`)), "attribute components.schemas.A holds itself"},
		"allOf that does not fit":  {operation("/x", "post", body(`{"properties":{"a":{"allOf":[{"type":"string"},{"type":"integer"}]}}}`), ""), inBody + `.properties.a.allOf.[1].type does not fit the other type, "string"`},
		"allOf is an object":       {operation("/x", "post", body(`{"allOf":{}}`), ""), inBody + ".allOf is not a list of schemas"},
		"key twice in json":        {`{"openapi":"3.0.0","paths":{"/x":{"get":{"description":"d","description":"e","responses":{"200":{}}}}}}`, "attribute paths.'/x'.get.description is repeated"},
		"key twice in yaml":        {"openapi: 3.0.0\npaths:\n  /x:\n    get:\n      description: d\n      description: e\n      responses: {200: {}}\n", "description"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := OpenAPI("g", []byte(c.doc))
			e, ok := errors.AsType[*apierr.Error](err)
			if !ok || e.Kind != apierr.Validation || got != nil {
				t.Fatalf("got %v, %v", got, err)
			}
			if !strings.HasPrefix(e.Message, "Failed to create OpenAPI 3 model from the JSON/YAML object that you provided for action: g {APISchemaException=[") || !strings.Contains(e.Message, c.want) {
				t.Errorf("got  %s\nwant %s", e.Message, c.want)
			}
		})
	}
}

func TestTheFormOfADocumentIsTaken(t *testing.T) {
	ok := plan.Action{Path: "/x", Verb: "GET", Description: "d", Returns: "ok"}
	with := func(f func(*plan.Action)) []plan.Action { a := ok; f(&a); return []plan.Action{a} }
	param := func(p plan.Parameter) []plan.Action {
		return with(func(a *plan.Action) { a.Parameters = []plan.Parameter{p} })
	}
	inPost := func(p ...plan.Parameter) []plan.Action {
		return with(func(a *plan.Action) { a.Verb, a.Body, a.MediaType = "POST", p, "application/json" })
	}
	for name, c := range map[string]struct {
		doc  string
		want []plan.Action
	}{
		"the least":              {`{"openapi":"3.0.0","paths":{"/x":{"get":{"description":"d","responses":{"204":{}}}}}}`, with(func(a *plan.Action) { a.Returns = "" })},
		"openapi 3.1":            {strings.Replace(operation("/x", "get", "", ""), "3.0.3", "3.1.0", 1), with(func(*plan.Action) {})},
		"extensions":             {operation("/x", "get", `,"x-mine":{"a":1}`, `,"x-other":7`), with(func(*plan.Action) {})},
		"flow yaml":              {"{openapi: 3.0.0, paths: {/x: {get: {description: d, responses: {200: {description: ok}}}}}}", with(func(*plan.Action) {})},
		"byte order mark":        {"\xef\xbb\xbf" + operation("/x", "get", "", ""), with(func(*plan.Action) {})},
		"confirmation":           {operation("/x", "get", `,"x-requireConfirmation":"ENABLED"`, ""), with(func(a *plan.Action) { a.Confirm = true })},
		"no confirmation":        {operation("/x", "get", `,"x-requireConfirmation":"DISABLED"`, ""), with(func(*plan.Action) {})},
		"parameter of no schema": {operation("/x", "get", `,"parameters":[{"name":"q","in":"query","description":"d"}]`, ""), param(plan.Parameter{Name: "q", Type: "string", Description: "d"})},
		"enum": {operation("/x", "get", `,"parameters":[{"name":"q","in":"query","description":"d","required":true,"schema":{"type":"string","enum":["b","a"]}}]`, ""),
			param(plan.Parameter{Name: "q", Type: "string", Description: "d", Required: true, Schema: json.RawMessage(`{"type":"string","enum":["b","a"]}`)})},
		"description in the schema": {operation("/x", "get", `,"parameters":[{"name":"q","in":"query","schema":{"type":"integer","description":"s"}}]`, ""), param(plan.Parameter{Name: "q", Type: "integer", Description: "s"})},
		"parameter by reference": {operation("/x", "get", `,"parameters":[{"$ref":"#/components/parameters/Q"}]`, `,"components":{"parameters":{"Q":{"name":"q","in":"header","description":"d"}}}`),
			param(plan.Parameter{Name: "q", Type: "string", Description: "d"})},
		"parameter as content": {operation("/x", "get", `,"parameters":[{"name":"q","in":"query","description":"d","content":{"application/json":{"schema":{"type":"object"}}}}]`, ""), param(plan.Parameter{Name: "q", Type: "object", Description: "d"})},
		"parameters of the path item": {`{"openapi":"3.0.0","paths":{"/x/{id}":{"parameters":[{"name":"id","in":"path","description":"shared"},{"name":"q","in":"query","description":"shared"}],"get":{"description":"d","parameters":[{"name":"q","in":"query","description":"own"}],"responses":{"200":{"description":"ok"}}}}}}`,
			with(func(a *plan.Action) {
				a.Path = "/x/{id}"
				a.Parameters = []plan.Parameter{{Name: "id", Type: "string", Description: "shared", Required: true}, {Name: "q", Type: "string", Description: "own"}}
			})},
		"path item by reference": {`{"openapi":"3.0.0","paths":{"/x":{"$ref":"#/x-items/a~1b"}},"x-items":{"a/b":{"get":{"description":"d","responses":{"200":{"$ref":"#/components/responses/R"}}}}},"components":{"responses":{"R":{"description":"ok"}}}}`, with(func(*plan.Action) {})},
		"body by reference": {operation("/x", "post", `,"requestBody":{"$ref":"#/components/requestBodies/B"}`, `,"components":{"requestBodies":{"B":{"required":true,"content":{"text/csv":{"schema":{"type":"object","properties":{"a":{"type":"boolean"}}}}}}}}`),
			with(func(a *plan.Action) {
				a.Verb, a.MediaType, a.BodyRequired, a.Body = "POST", "text/csv", true, []plan.Parameter{{Name: "a", Type: "boolean"}}
			})},
		"json is preferred": {operation("/x", "post", `,"requestBody":{"content":{"text/csv":{"schema":{}},"application/vnd.x+json":{"schema":{"properties":{"a":{"type":"number"}}}}}}`, ""),
			with(func(a *plan.Action) {
				a.Verb, a.MediaType, a.Body = "POST", "application/vnd.x+json", []plan.Parameter{{Name: "a", Type: "number"}}
			})},
		"empty body": {operation("/x", "post", body(`{"type":"object","properties":{}}`), ""), with(func(a *plan.Action) { a.Verb = "POST" })},
		"nested schemas written out": {operation("/x", "post", body(`{"properties":{"o":{"$ref":"#/components/schemas/O"}},"required":["o"]}`), components(`"O":{"type":"object","description":"an order","xml":{"name":"o"},"properties":{"n":{"$ref":"#/components/schemas/N"},"m":{"$ref":"#/components/schemas/N"}}},"N":{"type":"integer","minimum":1,"exclusiveMinimum":true,"nullable":true}`)),
			inPost(plan.Parameter{Name: "o", Type: "object", Description: "an order", Required: true, Schema: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer","exclusiveMinimum":1},"m":{"type":"integer","exclusiveMinimum":1}}}`)})},
		"allOf is merged": {operation("/x", "post", body(`{"allOf":[{"type":"object","properties":{"a":{"type":"string","minLength":1}},"required":["a"]},{"properties":{"a":{"minLength":2,"description":"d"},"b":{"type":"number"}},"required":["b","a"]}]}`), ""),
			inPost(plan.Parameter{Name: "a", Type: "string", Description: "d", Required: true, Schema: json.RawMessage(`{"type":"string","minLength":1,"allOf":[{"minLength":2}]}`)}, plan.Parameter{Name: "b", Type: "number", Required: true})},
		"oneOf is passed on": {operation("/x", "post", body(`{"properties":{"a":{"oneOf":[{"type":"string"},{"type":"integer"}]},"b":{"anyOf":[{"type":"integer","minimum":1},{"type":"integer","maximum":9}]}}}`), ""),
			inPost(plan.Parameter{Name: "a", Type: "string", Schema: json.RawMessage(`{"oneOf":[{"type":"string"},{"type":"integer"}]}`)}, plan.Parameter{Name: "b", Type: "integer", Schema: json.RawMessage(`{"anyOf":[{"type":"integer","minimum":1},{"type":"integer","maximum":9}]}`)})},
		"null is left out": {operation("/x", "post", body(`{"properties":{"a":{"anyOf":[{"type":"string"},{"type":"null"}]},"b":{"type":["integer","null"]}}}`), ""),
			inPost(plan.Parameter{Name: "a", Type: "string"}, plan.Parameter{Name: "b", Type: "integer"})},
		"read-only is left out": {operation("/x", "post", body(`{"properties":{"id":{"type":"string","readOnly":true},"a":{"type":"string"}},"required":["id","a"]}`), ""), inPost(plan.Parameter{Name: "a", Type: "string", Required: true})},
		"read-only in a member": {operation("/x", "post", body(`{"properties":{"o":{"type":"object","required":["id"],"properties":{"id":{"type":"string","readOnly":true},"a":{"type":"string"}}}}}`), ""),
			inPost(plan.Parameter{Name: "o", Type: "object", Schema: json.RawMessage(`{"type":"object","properties":{"a":{"type":"string"}}}`)})},
		"big numbers stay": {operation("/x", "post", body(`{"properties":{"a":{"type":"integer","maximum":9007199254740993}}}`), ""), inPost(plan.Parameter{Name: "a", Type: "integer", Schema: json.RawMessage(`{"type":"integer","maximum":9007199254740993}`)})},
		"yaml anchors and merges": {"openapi: 3.0.0\nx-op: &op\n  description: d\n  responses: &r\n    200: {description: ok}\npaths:\n  /x:\n    get:\n      <<: *op\n      responses: *r\n",
			with(func(*plan.Action) {})},
		"an answer that holds itself": {`{"openapi":"3.0.0","paths":{"/x":{"get":{"description":"d","responses":{"200":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/T"}}}}}}}},"components":{"schemas":{"T":{"properties":{"name":{"type":"string"},"kids":{"type":"array","items":{"$ref":"#/components/schemas/T"}}}}}}}`,
			with(func(a *plan.Action) {
				a.Returns = "object {name: string, kids: list of object {name: string, kids: list of object {name: …, kids: …}}}"
			})},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := OpenAPI("g", []byte(c.doc))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAProblemBehindAReferenceIsNamedOnce(t *testing.T) {
	_, err := OpenAPI("g", []byte(operation("/x", "post", body(`{"properties":{"a":{"$ref":"#/components/schemas/A"},"b":{"$ref":"#/components/schemas/A"}}}`), components(`"A":{"type":"file"}`))))
	if err == nil || strings.Count(err.Error(), "attribute components.schemas.A.type is 'file'") != 1 {
		t.Errorf("got %v", err)
	}
}

func TestActionsStandInTheOrderOfTheDocument(t *testing.T) {
	const doc = "openapi: 3.0.0\npaths:\n  /z: {post: &o {description: d, responses: {200: {}}}, get: *o}\n  /a: {put: *o}\n  /m: {delete: *o}\n"
	for range 5 {
		got, err := OpenAPI("g", []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		for i := range got {
			order = append(order, got[i].Verb+got[i].Path)
		}
		if d := cmp.Diff([]string{"POST/z", "GET/z", "PUT/a", "DELETE/m"}, order); d != "" {
			t.Fatal(d)
		}
	}
}

func TestAGroupHasElevenOperations(t *testing.T) {
	doc := func(n int) []byte {
		var w strings.Builder
		w.WriteString("openapi: 3.0.0\npaths:\n")
		for i := range n {
			w.WriteString("  /p" + index(i) + ": {get: {description: d, responses: {200: {}}}}\n")
		}
		return []byte(w.String())
	}
	if got, err := OpenAPI("g", doc(MaxOperations)); err != nil || len(got) != MaxOperations {
		t.Fatalf("got %d, %v", len(got), err)
	}
	if _, err := OpenAPI("g", doc(MaxOperations+1)); apierr.KindOf(err) != apierr.ServiceQuotaExceeded {
		t.Fatalf("got %v", err)
	}
}

func TestAGroupsNameHasNoTwoUnderscores(t *testing.T) {
	if _, err := OpenAPI("a__b", insurance(t)); err == nil || !strings.Contains(err.Error(), "attribute actionGroupName contains `__`") {
		t.Errorf("got %v", err)
	}
}
