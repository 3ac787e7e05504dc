package neighbour

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/api"
	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/test/outcroptest"
)

// Every operation of the tables, with all members set, from boto3 to the input
// struct and from the output struct to boto3. Both sides say what they saw.
func TestBotoAndTheCodecsAgreeOnEveryOperation(t *testing.T) {
	py := outcroptest.PythonWith(t, "boto3")
	if _, err := os.ReadFile("testdata/mirror.py"); err != nil { // so that a change runs the test again
		t.Fatal(err)
	}
	tables := map[string]*table{}
	var names []string
	want := 0
	for _, name := range slices.Sorted(maps.Keys(Tables)) {
		tb, err := newTable(&Config{}, Tables[name], nil)
		if err != nil {
			t.Fatal(err)
		}
		tables[name] = tb
		for _, op := range Tables[name].Operations {
			names = append(names, name+"."+op.Name)
			want++
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scope, _ := sigv4.ScopeOf(r)
		tb := tables[scope.Service]
		body, err := io.ReadAll(r.Body)
		if tb == nil || err != nil {
			http.Error(w, "no such service", http.StatusBadGateway)
			return
		}
		x := &request{Exchange: &Exchange{W: w, R: r, Call: &call.Call{RequestID: "id"}}, t: tb, bytes: body}
		if err := mirror(tb, x); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	}))
	defer s.Close()
	// boto3 reads the models that the tables were made from, whatever its own are.
	data := t.TempDir()
	for name, svc := range Tables {
		b, err := os.ReadFile(filepath.Join("..", "..", "cmd", "apigen", "models", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(data, name, svc.APIVersion)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "service-2.json"), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), py, "testdata/mirror.py")
	cmd.Stdin = strings.NewReader(strings.Join(names, "\n"))
	cmd.Env = outcroptest.Client(s.URL, "AKIAQQQQQQQQQQQQQQQQ", "x", "", "AWS_DATA_PATH="+data)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), fmt.Sprintf("%d operations agree", want)) || want < 180 {
		t.Fatalf("%d operations: %v\n%s", want, err, out)
	}
}

// mirror answers an operation with every member set, and in headers what it read
// and what it wrote.
func mirror(tb *table, x *request) error {
	op, err := tb.wire.find(x)
	if err != nil {
		return err
	}
	x.op = op
	in, err := tb.wire.decode(x)
	if in == nil || err != nil && apierr.KindOf(err) != apierr.Validation {
		return fmt.Errorf("decode %s: %w", op.Name, err)
	}
	// The output's Go type is that of what Call returns.
	out := outputOf(tb.svc, op)
	fill(tb.svc, op.Output, out.Elem(), 0)
	a, err := tb.wire.encode(x, out.Interface())
	if err != nil {
		return err
	}
	h := x.W.Header()
	maps.Copy(h, a.header)
	for name, v := range map[string]any{"X-Mirror-In": plain(tb.svc, op.Input, reflect.ValueOf(in).Elem()), "X-Mirror-Out": plain(tb.svc, op.Output, out.Elem())} {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		h.Set(name, base64.StdEncoding.EncodeToString(b))
	}
	x.W.WriteHeader(a.status)
	_, err = x.W.Write(a.body)
	if a.status == http.StatusNoContent {
		return nil
	}
	return err
}

// outputOf makes a zero output: the method of Unimplemented has its type.
func outputOf(svc *api.Service, op *api.Operation) reflect.Value {
	m, ok := reflect.TypeOf(unimplemented[svc.Name]).MethodByName(op.Name)
	if !ok {
		panic(op.Name)
	}
	return reflect.New(m.Type.Out(0).Elem())
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fill sets every member, nested ones to a depth; of a union the first.
func fill(svc *api.Service, id api.ShapeID, v reflect.Value, depth int) {
	s := &svc.Shapes[id]
	switch s.Kind {
	case api.Structure, api.Union:
		for i := range s.Members {
			f, m := v.Field(i), &s.Members[i]
			kind := svc.Shapes[m.Shape].Kind
			if depth > 3 && !m.Required && (kind == api.Structure || kind == api.List || kind == api.Map || kind == api.Union) {
				continue
			}
			if f.Kind() == reflect.Pointer {
				f.Set(reflect.New(f.Type().Elem()))
				f = f.Elem()
			}
			fill(svc, m.Shape, f, depth+1)
			if m.In == api.Header && f.Kind() == reflect.String {
				f.SetString("plain header")
			}
			if m.In == api.StatusCode {
				f.SetInt(202)
			}
			if s.Kind == api.Union {
				return
			}
		}
	case api.List:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(svc, s.Elem, v.Index(i), depth+1)
		}
	case api.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(svc, s.Key, k, depth+1)
			fill(svc, s.Elem, e, depth+1)
			if len(svc.Shapes[s.Key].Enum) == 0 {
				k.SetString(fmt.Sprint(k, v.Len()))
			}
			v.SetMapIndex(k, e)
		}
	case api.String:
		v.SetString("a <b> & \"c\" é+%20\u2028 ]]>")
		if len(s.Enum) > 0 {
			v.SetString(s.Enum[len(s.Enum)-1])
		}
	case api.Integer, api.Long:
		v.SetInt(-7)
	case api.Float, api.Double:
		v.SetFloat(1.25)
	case api.Boolean:
		v.SetBool(true)
	case api.Timestamp:
		v.Set(reflect.ValueOf(at))
	case api.Blob:
		v.SetBytes([]byte{0, 1, 0xff})
	case api.Document:
		v.SetBytes([]byte(`{"a":1}`))
	}
}

// plain is a value as JSON says it, by the names of the model; both sides write
// times in seconds and bytes in base64.
func plain(svc *api.Service, id api.ShapeID, v reflect.Value) any {
	s := &svc.Shapes[id]
	switch s.Kind {
	case api.Structure, api.Union:
		out := map[string]any{}
		for i := range s.Members {
			f := v.Field(i)
			switch f.Kind() {
			case reflect.Pointer, reflect.Slice, reflect.Map:
				if f.IsNil() {
					continue
				}
			}
			if f.Kind() == reflect.Pointer {
				f = f.Elem()
			}
			out[s.Members[i].Name] = plain(svc, s.Members[i].Shape, f)
		}
		return out
	case api.List:
		out := make([]any, 0, v.Len())
		for i := range v.Len() {
			out = append(out, plain(svc, s.Elem, v.Index(i)))
		}
		return out
	case api.Map:
		out := map[string]any{}
		for _, k := range v.MapKeys() {
			out[k.String()] = plain(svc, s.Elem, v.MapIndex(k))
		}
		return out
	case api.Timestamp:
		return v.Interface().(time.Time).Unix()
	}
	return v.Interface() // []byte is base64 in JSON
}
