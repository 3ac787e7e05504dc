package queryxml

import (
	"encoding/xml"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/api/iam"
	"github.com/outcrop-dev/outcrop/internal/api/sts"
	"github.com/outcrop-dev/outcrop/internal/apierr"
)

func fault(err error) *apierr.Error {
	e, _ := errors.AsType[*apierr.Error](err)
	return e
}

func decode(t *testing.T, svc *api.Service, text string) (any, error) {
	t.Helper()
	f, err := Parse(text, nil)
	if err != nil {
		return nil, err
	}
	op := svc.Operation(f.Get("Action"))
	if op == nil {
		t.Fatalf("no operation in %s", text)
	}
	return f.Decode(svc, op)
}

func TestAFormBecomesTheInput(t *testing.T) {
	for name, c := range map[string]struct {
		svc  *api.Service
		text string
		want any
	}{
		"scalars and lists of structures": {&iam.Service, "Action=CreateRole&Version=2010-05-08&RoleName=r&AssumeRolePolicyDocument=%7B%7D&MaxSessionDuration=7200&Tags.member.1.Key=a+b&Tags.member.1.Value=%C3%A9&Tags.member.2.Key=c&Tags.member.2.Value=",
			&iam.CreateRoleInput{RoleName: "r", AssumeRolePolicyDocument: "{}", MaxSessionDuration: new(7200), Tags: []iam.Tag{{Key: "a b", Value: "é"}, {Key: "c"}}}},
		"numbers give the order, gaps close": {&sts.Service, "Action=AssumeRole&RoleArn=arn:aws:iam::123456789012:role/r&RoleSessionName=abc&TransitiveTagKeys.member.10=k10&TransitiveTagKeys.member.9=k9",
			&sts.AssumeRoleInput{RoleArn: "arn:aws:iam::123456789012:role/r", RoleSessionName: "abc", TransitiveTagKeys: []string{"k9", "k10"}}},
		"an empty list":            {&iam.Service, "Action=UntagRole&RoleName=r&TagKeys=", &iam.UntagRoleInput{RoleName: "r", TagKeys: []string{}}},
		"booleans in any case":     {&iam.Service, "Action=ListPolicies&OnlyAttached=TRUE", &iam.ListPoliciesInput{OnlyAttached: new(true)}},
		"unknown names are passed": {&iam.Service, "Action=GetUser&Nonsense.member.1=x&UserName=u", &iam.GetUserInput{UserName: new("u")}},
		"the last of equal names":  {&iam.Service, "Action=GetUser&UserName=u&UserName=v", &iam.GetUserInput{UserName: new("v")}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decode(t, c.svc, c.text)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTheBodyWinsOverTheQuery(t *testing.T) {
	f, err := Parse("Action=GetUser&UserName=query", []byte("UserName=body"))
	if err != nil || f.Get("UserName") != "body" || f.Get("Action") != "GetUser" {
		t.Fatal(f, err)
	}
}

func TestWhatCannotBeReadIsMalformed(t *testing.T) {
	deep := strings.Repeat("a.", 40) + "b=1"
	many := strings.Repeat("a=1&", maxParameters+1)
	for name, text := range map[string]string{
		"bad escape": "Action=%zz", "not UTF-8": "Action=%ff", "deep": deep, "many": many,
		"no number":          "Action=CreateRole&Tags.member.x.Key=1",
		"negative number":    "Action=CreateRole&Tags.member.-1.Key=1",
		"padded number":      "Action=CreateRole&Tags.member.01.Key=1",
		"no member":          "Action=CreateRole&Tags.1.Key=a",
		"list is a value":    "Action=CreateRole&Tags=x",
		"value is a list":    "Action=CreateRole&RoleName.member.1=x",
		"word for a number":  "Action=CreateRole&MaxSessionDuration=long",
		"word for a boolean": "Action=ListPolicies&OnlyAttached=maybe",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decode(t, &iam.Service, text)
			if apierr.KindOf(err) != apierr.Serialization {
				t.Fatal(err)
			}
			if f := FaultOf(&iam.Service, fault(err)); f.Code != "MalformedInput" || f.Status != 400 {
				t.Fatal(f)
			}
		})
	}
}

func TestConstraintsAreNamedAsIAMDoes(t *testing.T) {
	in, err := decode(t, &iam.Service, "Action=CreateRole&RoleName=a%20b&Tags.member.1.Key=&Tags.member.1.Value=v&MaxSessionDuration=5")
	want := "5 validation errors detected: Value null at 'assumeRolePolicyDocument' failed to satisfy constraint: Member must not be null; " +
		"Value '5' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600; " +
		"Value 'a b' at 'roleName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]+; " +
		"Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
		"Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+"
	e := fault(err)
	if e == nil || e.Message != want {
		t.Fatalf("%v\nwant %s", err, want)
	}
	if in.(*iam.CreateRoleInput).RoleName != "a b" {
		t.Error("the input is needed to ask for permission")
	}
	if f := FaultOf(&iam.Service, e); f.Code != "ValidationError" || f.Status != 400 {
		t.Error(f)
	}
}

func TestAnswers(t *testing.T) {
	at := time.Date(2026, 11, 25, 8, 9, 10, 999, time.UTC)
	for name, c := range map[string]struct {
		op   string
		out  any
		want string
	}{
		"structure": {"GetRole", &iam.GetRoleOutput{Role: &iam.Role{Path: "/a/", RoleName: "r<>&\"", RoleId: "AROA", Arn: "arn", CreateDate: at, AssumeRolePolicyDocument: new("%7B%7D"), MaxSessionDuration: new(3600)}},
			`<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetRoleResult><Role><Arn>arn</Arn><AssumeRolePolicyDocument>%7B%7D</AssumeRolePolicyDocument><CreateDate>2026-11-25T08:09:10Z</CreateDate><MaxSessionDuration>3600</MaxSessionDuration><Path>/a/</Path><RoleId>AROA</RoleId><RoleName>r&lt;&gt;&amp;&#34;</RoleName></Role></GetRoleResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></GetRoleResponse>`},
		"lists": {"ListAttachedRolePolicies", &iam.ListAttachedRolePoliciesOutput{IsTruncated: new(false), AttachedPolicies: []iam.AttachedPolicy{{PolicyName: new("p"), PolicyArn: new("a")}}},
			`<ListAttachedRolePoliciesResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListAttachedRolePoliciesResult><AttachedPolicies><member><PolicyArn>a</PolicyArn><PolicyName>p</PolicyName></member></AttachedPolicies><IsTruncated>false</IsTruncated></ListAttachedRolePoliciesResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></ListAttachedRolePoliciesResponse>`},
		"no result": {"DeleteRole", &iam.DeleteRoleOutput{},
			`<DeleteRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></DeleteRoleResponse>`},
		"empty and absent": {"ListRoles", &iam.ListRolesOutput{Roles: []iam.Role{}},
			`<ListRolesResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListRolesResult><Roles></Roles></ListRolesResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></ListRolesResponse>`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Encode(&iam.Service, iam.Service.Operation(c.op), c.out, "id")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, string(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestFlattenedAndRenamedListsAndMaps(t *testing.T) {
	svc := &api.Service{Name: "x", XMLNamespace: "urn:x", Shapes: []api.Shape{
		{Name: "In", Kind: api.Structure, Members: []api.Member{{Name: "L", Wire: "Item", Shape: 1}, {Name: "M", Wire: "Attr", Shape: 2}, {Name: "P", Wire: "P", Shape: 5}}},
		{Name: "L", Kind: api.List, Elem: 3, Flattened: true},
		{Name: "M", Kind: api.Map, Key: 3, Elem: 4, KeyWire: "Name", ElemWire: "Val", Flattened: true},
		{Name: "S", Kind: api.String},
		{Name: "I", Kind: api.Integer},
		{Name: "P", Kind: api.Map, Key: 3, Elem: 4},
	}}
	type In struct {
		L []string
		M map[string]int
		P map[string]int
	}
	op := &api.Operation{Name: "Op", Input: 0, Output: 0, Result: "OpResult", NewInput: func() any { return new(In) }}
	f, err := Parse("Item.1=a&Item.2=b&Attr.1.Name=k&Attr.1.Val=7&P.entry.1.key=z&P.entry.1.value=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := f.Decode(svc, op)
	if err != nil {
		t.Fatal(err)
	}
	want := &In{L: []string{"a", "b"}, M: map[string]int{"k": 7}, P: map[string]int{"z": 1}}
	if d := cmp.Diff(want, in); d != "" {
		t.Fatal(d)
	}
	b, err := Encode(svc, op, in, "id")
	if err != nil {
		t.Fatal(err)
	}
	const text = `<OpResponse xmlns="urn:x"><OpResult><Item>a</Item><Item>b</Item><Attr><Name>k</Name><Val>7</Val></Attr><P><entry><key>z</key><value>1</value></entry></P></OpResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></OpResponse>`
	if d := cmp.Diff(text, string(b)); d != "" {
		t.Error(d)
	}
}

func TestFaults(t *testing.T) {
	for kind, want := range map[apierr.Kind]Fault{
		"NoSuchEntity":          {"NoSuchEntity", 404, "m"},
		"NoSuchEntityException": {"NoSuchEntity", 404, "m"},
		"DeleteConflict":        {"DeleteConflict", 409, "m"},
		"LimitExceeded":         {"LimitExceeded", 409, "m"},
		apierr.AccessDenied:     {"AccessDenied", 403, "m"},
		apierr.Throttling:       {"Throttling", 400, "m"},
		apierr.InternalServer:   {"InternalFailure", 500, "m"},
		apierr.NotImplemented:   {"NotImplemented", 501, "m"},
		apierr.UnknownOperation: {"InvalidAction", 400, "m"},
		"OddException":          {"Odd", 400, "m"},
	} {
		got := FaultOf(&iam.Service, apierr.New(kind, "m"))
		if got != want {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
	const text = `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>no &lt;r&gt;</Message></Error><RequestId>id</RequestId></ErrorResponse>`
	if d := cmp.Diff(text, string(EncodeFault(&iam.Service, Fault{"NoSuchEntity", 404, "no <r>"}, "id"))); d != "" {
		t.Error(d)
	}
}

// Found by fuzzing so far: nothing.
func FuzzForm(f *testing.F) {
	f.Add("Action=CreateRole&RoleName=r&Tags.member.1.Key=a&Tags.member.1.Value=b")
	f.Add("Action=SimulatePrincipalPolicy&ContextEntries.member.1.ContextKeyValues.member.2=x&ActionNames.member.1=a:b")
	f.Add("Action=AssumeRole&Tags.member.999999999999999999999.Key=%41&Policy=%00")
	f.Fuzz(func(t *testing.T, text string) {
		form, err := Parse(text, []byte(text))
		if err != nil {
			return
		}
		for _, svc := range []*api.Service{&iam.Service, &sts.Service} {
			for i := range svc.Operations {
				op := &svc.Operations[i]
				in, err := form.Decode(svc, op)
				if err != nil {
					if apierr.KindOf(err) == apierr.InternalServer {
						t.Fatalf("%s: %v", op.Name, err)
					}
					b := EncodeFault(svc, FaultOf(svc, fault(err)), "id")
					var x struct{ Error struct{ Code string } }
					if err := xml.Unmarshal(b, &x); err != nil || x.Error.Code == "" {
						t.Fatalf("%s: %v in %s", op.Name, err, b)
					}
				} else if in == nil {
					t.Fatal("neither input nor error")
				}
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	v := url.Values{"Action": {"CreateRole"}, "RoleName": {"r"}, "AssumeRolePolicyDocument": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}]}`}, "Tags.member.1.Key": {"k"}, "Tags.member.1.Value": {"v"}}
	body := []byte(v.Encode())
	op := iam.Service.Operation("CreateRole")
	b.ReportAllocs()
	for b.Loop() {
		f, err := Parse("", body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Decode(&iam.Service, op); err != nil {
			b.Fatal(err)
		}
	}
}
