package eventstream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/google/go-cmp/cmp"
)

// every type, with values at the edges of their ranges.
func edgeHeaders() []Header {
	return []Header{
		{"true", BoolValue(true)}, {"false", BoolValue(false)},
		{"i8", Int8Value(-128)}, {"i16", Int16Value(-32768)}, {"i32", Int32Value(math.MinInt32)}, {"i64", Int64Value(math.MinInt64)},
		{"bytes", BytesValue([]byte{0, 1, 255})}, {"empty-bytes", BytesValue([]byte{})},
		{":event-type", StringValue("chunk")}, {"empty", StringValue("")}, {"한국어", StringValue("값 🎉")},
		{":date", TimeValue(time.Date(2026, 11, 25, 1, 2, 3, 4e6, time.UTC))},
		{"uuid", UUIDValue([16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})},
		{strings.Repeat("n", 255), StringValue(strings.Repeat("v", maxValue))},
	}
}

func sdkHeaders(t testing.TB, hs []Header) sdk.Headers {
	var out sdk.Headers
	for _, h := range hs {
		out = append(out, sdk.Header{Name: h.Name, Value: sdkValue(t, h.Value)})
	}
	return out
}

func sdkValue(t testing.TB, v Value) sdk.Value {
	switch v.Type {
	case True, False:
		return sdk.BoolValue(v.Type == True)
	case Int8:
		return sdk.Int8Value(int8(v.Int))
	case Int16:
		return sdk.Int16Value(int16(v.Int))
	case Int32:
		return sdk.Int32Value(int32(v.Int))
	case Int64:
		return sdk.Int64Value(v.Int)
	case Bytes:
		return sdk.BytesValue(v.Raw)
	case String:
		return sdk.StringValue(v.Str)
	case Timestamp:
		return sdk.TimestampValue(v.Time())
	case UUID:
		return sdk.UUIDValue([16]byte(v.Raw))
	}
	t.Fatalf("type %d", v.Type)
	return nil
}

func TestOurFramesAreTheSDKsFrames(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []Header
		payload []byte
	}{
		{"nothing", nil, nil},
		{"payload alone", nil, []byte("{}")},
		{"headers alone", edgeHeaders(), nil},
		{"all types", edgeHeaders(), []byte(`{"bytes":"aGVsbG8="}`)},
		{"a megabyte", edgeHeaders()[:3], bytes.Repeat([]byte("x"), 1<<20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours, err := AppendMessage([]byte("before"), c.headers, c.payload)
			if err != nil {
				t.Fatal(err)
			}
			ours = ours[len("before"):]
			var theirs bytes.Buffer
			if err := sdk.NewEncoder().Encode(&theirs, sdk.Message{Headers: sdkHeaders(t, c.headers), Payload: c.payload}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ours, theirs.Bytes()) {
				t.Fatalf("frames differ\nours   %x\ntheirs %x", ours[:min(len(ours), 200)], theirs.Bytes()[:min(theirs.Len(), 200)])
			}
			back, err := sdk.NewDecoder().Decode(bytes.NewReader(ours), nil)
			if err != nil {
				t.Fatalf("the SDK refuses our frame: %v", err)
			}
			if !bytes.Equal(back.Payload, c.payload) || len(back.Headers) != len(c.headers) {
				t.Fatal("the SDK read something else")
			}
			m, n, err := Parse(theirs.Bytes())
			if err != nil || n != theirs.Len() {
				t.Fatalf("Parse of the SDK's frame: n=%d of %d, %v", n, theirs.Len(), err)
			}
			if len(c.headers) > 0 {
				if diff := cmp.Diff(c.headers, m.Headers); diff != "" {
					t.Fatal(diff)
				}
			}
			if !bytes.Equal(m.Payload, c.payload) {
				t.Fatal("payload differs")
			}
		})
	}
}

func TestRandomFramesGoBothWays(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	word := func(most int) string {
		b := make([]byte, 1+rnd.IntN(most))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return string(b)
	}
	for range 2000 {
		var hs []Header
		for range rnd.IntN(6) {
			v := Value{Type: Type(rnd.IntN(10))}
			switch v.Type {
			case Int8:
				v.Int = int64(int8(rnd.Uint32()))
			case Int16:
				v.Int = int64(int16(rnd.Uint32()))
			case Int32:
				v.Int = int64(int32(rnd.Uint32()))
			case Int64:
				v.Int = int64(rnd.Uint64())
			case Timestamp:
				v.Int = rnd.Int64N(4e12)
			case String:
				v.Str = word(300)
			case Bytes:
				v.Raw = []byte(word(300))
			case UUID:
				v.Raw = []byte(word(1) + "123456789012345")
			case True, False:
			}
			hs = append(hs, Header{word(60), v})
		}
		payload := []byte(word(4000))
		ours, err := AppendMessage(nil, hs, payload)
		if err != nil {
			t.Fatal(err)
		}
		var theirs bytes.Buffer
		if err := sdk.NewEncoder().Encode(&theirs, sdk.Message{Headers: sdkHeaders(t, hs), Payload: payload}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours, theirs.Bytes()) {
			t.Fatalf("frames differ for %+v", hs)
		}
		m, _, err := Parse(ours)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(hs, m.Headers); diff != "" || !bytes.Equal(m.Payload, payload) {
			t.Fatal(diff)
		}
	}
}

func TestEventExceptionAndErrorSayWhatTheyAre(t *testing.T) {
	var stream []byte
	stream, err := AppendEvent(stream, "contentBlockDelta", "application/json", []byte(`{"x":1}`))
	if err != nil {
		t.Fatal(err)
	}
	stream, f := BeginEvent(stream, "chunk", "application/json")
	stream = append(stream, `{"by`...)
	stream = append(stream, `tes":""}`...)
	if stream, err = f.Finish(stream); err != nil {
		t.Fatal(err)
	}
	if stream, err = AppendException(stream, "throttlingException", "application/json", []byte(`{"message":"slow"}`)); err != nil {
		t.Fatal(err)
	}
	if stream, err = AppendError(stream, "InternalError", strings.Repeat("m", 40000)); err != nil {
		t.Fatal(err)
	}
	// One byte at a time: the decoder must neither read ahead nor lose its place.
	d := NewDecoder(iotest.OneByteReader(bytes.NewReader(stream)))
	for _, want := range []struct{ typ, name, payload string }{
		{"event", "contentBlockDelta", `{"x":1}`},
		{"event", "chunk", `{"bytes":""}`},
		{"exception", "throttlingException", `{"message":"slow"}`},
		{"error", "InternalError", ""},
	} {
		m, err := d.Next()
		if err != nil {
			t.Fatal(err)
		}
		typ, name := m.Kind()
		if typ != want.typ || name != want.name || string(m.Payload) != want.payload {
			t.Fatalf("got %s %s %s, want %+v", typ, name, m.Payload, want)
		}
		if typ == "event" && m.Text(HeaderContentType) != "application/json" {
			t.Fatal("no content type")
		}
	}
	for range 2 {
		if _, err := d.Next(); !errors.Is(err, io.EOF) {
			t.Fatalf("at the end: %v", err)
		}
	}
	dec := sdk.NewDecoder()
	r := bytes.NewReader(stream)
	for i := range 4 {
		if _, err := dec.Decode(r, nil); err != nil {
			t.Fatalf("the SDK refuses frame %d: %v", i, err)
		}
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	frame, err := AppendEvent(nil, "chunk", "application/json", []byte(`{"bytes":"aGk="}`))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(frame) * 8 {
		bad := bytes.Clone(frame)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := NewDecoder(bytes.NewReader(bad)).Next(); !errors.Is(err, ErrChecksum) {
			t.Fatalf("bit %d of byte %d: %v", i%8, i/8, err)
		}
	}
	for n := range len(frame) {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if _, err := NewDecoder(bytes.NewReader(frame[:n])).Next(); !errors.Is(err, want) {
			t.Fatalf("cut at %d: %v, want %v", n, err, want)
		}
		if _, _, err := Parse(frame[:n]); !errors.Is(err, want) {
			t.Fatalf("Parse cut at %d: %v, want %v", n, err, want)
		}
	}
}

// raw builds a frame with right checksums around lengths that may be wrong.
func raw(total, headersLen uint32, rest []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, total)
	b = binary.BigEndian.AppendUint32(b, headersLen)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	b = append(b, rest...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func TestLimits(t *testing.T) {
	big := make([]byte, MaxPayload)
	if _, err := AppendMessage(nil, nil, big); err != nil {
		t.Fatalf("the largest payload: %v", err)
	}
	for name, c := range map[string]struct {
		headers []Header
		payload []byte
		want    error
	}{
		"payload one too long": {nil, append(big, 0), ErrLimit},
		"empty name":           {[]Header{{"", StringValue("")}}, nil, ErrLimit},
		"long name":            {[]Header{{strings.Repeat("n", 256), StringValue("")}}, nil, ErrLimit},
		"long string":          {[]Header{{"n", StringValue(strings.Repeat("v", maxValue+1))}}, nil, ErrLimit},
		"long bytes":           {[]Header{{"n", BytesValue(make([]byte, maxValue+1))}}, nil, ErrLimit},
		"short uuid":           {[]Header{{"n", Value{Type: UUID, Raw: []byte("x")}}}, nil, ErrMalformed},
		"unknown type":         {[]Header{{"n", Value{Type: 10}}}, nil, ErrMalformed},
		"too many headers": {[]Header{
			{"a", BytesValue(big[:maxValue])}, {"b", BytesValue(big[:maxValue])}, {"c", BytesValue(big[:maxValue])}, {"d", BytesValue(big[:maxValue])}, {"e", BytesValue(big[:100])},
		}, nil, ErrLimit},
	} {
		dst := []byte("kept")
		out, err := AppendMessage(dst, c.headers, c.payload)
		if !errors.Is(err, c.want) || string(out) != "kept" {
			t.Errorf("%s: %v, dst %.20q", name, err, out)
		}
	}
	for name, c := range map[string]struct {
		frame []byte
		want  error
	}{
		"headers longer than the frame": {raw(16, 1, nil), ErrMalformed},
		"shorter than itself":           {raw(15, 0, nil), ErrMalformed},
		"headers over 128 KiB":          {raw(MaxHeaders+100, MaxHeaders+1, nil), ErrLimit},
		"payload over 16 MiB":           {raw(MaxPayload+minFrame+1, 0, nil), ErrLimit},
		"length overflow":               {raw(3, math.MaxUint32, nil), ErrLimit},
		"name runs out":                 {raw(16+2, 2, []byte{5, 'a'}), ErrMalformed},
		"name of no bytes":              {raw(16+2, 2, []byte{0, 0}), ErrMalformed},
		"value runs out":                {raw(16+5, 5, []byte{1, 'a', 7, 0, 9}), ErrMalformed},
		"type 10":                       {raw(16+3, 3, []byte{1, 'a', 10}), ErrMalformed},
	} {
		if _, err := NewDecoder(bytes.NewReader(c.frame)).Next(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestAPreludeAloneBuysNoMemory(t *testing.T) {
	claim := raw(MaxPayload+minFrame, 0, nil)[:preludeLen]
	d := NewDecoder(bytes.NewReader(claim))
	if _, err := d.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if cap(d.buf) > 2*readStep {
		t.Fatalf("twelve bytes made the decoder reserve %d", cap(d.buf))
	}
}

func TestReadErrorsKeepTheirCauseAndStay(t *testing.T) {
	cause := errors.New("cable pulled")
	d := NewDecoder(iotest.ErrReader(cause))
	for range 2 {
		if _, err := d.Next(); !errors.Is(err, cause) {
			t.Fatal(err)
		}
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, 4096)
	payload := []byte(`{"bytes":"aGVsbG8gd29ybGQ="}`)
	headers := []Header{{HeaderEventType, StringValue("chunk")}, {HeaderDate, TimeValue(time.Unix(1, 0))}}
	if n := testing.AllocsPerRun(100, func() {
		b, _ := AppendEvent(buf, "chunk", "application/json", payload)
		if _, err := AppendMessage(b, headers, payload); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// FuzzDecoder holds our decoder against the SDK's: what one reads the other
// must read, save our limits, and what is read must encode to the same bytes.
func FuzzDecoder(f *testing.F) {
	all, err := AppendMessage(nil, edgeHeaders()[:13], []byte("{}"))
	if err != nil {
		f.Fatal(err)
	}
	event, err := AppendEvent(nil, "chunk", "application/json", []byte(`{"bytes":""}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(all)
	f.Add(append(event, all...))
	f.Add(raw(16+5, 5, []byte{1, 'a', 7, 0, 9}))
	f.Add(raw(16, 1, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		// Give the fuzzer a way past the checksums: a frame made of its bytes.
		if len(data) > 2 && data[0] == 0xff {
			n := min(int(data[1]), len(data)-2)
			data = raw(uint32(len(data)-2+minFrame), uint32(n), data[2:])
		}
		d := NewDecoder(bytes.NewReader(data))
		r := bytes.NewReader(data)
		theirs := sdk.NewDecoder()
		for {
			at := len(data) - r.Len()
			m, err := d.Next()
			their, theirErr := theirs.Decode(r, nil)
			if err != nil {
				// The SDK takes a header cut short for the end of the headers. What
				// it reads whole, shown by writing the same bytes again, we must read;
				// but a header without a name has no meaning and is refused.
				var same bytes.Buffer
				nameless := slices.ContainsFunc(their.Headers, func(h sdk.Header) bool { return h.Name == "" })
				if theirErr == nil && !nameless && !errors.Is(err, ErrLimit) && sdk.NewEncoder().Encode(&same, their) == nil && bytes.HasPrefix(data[at:], same.Bytes()) {
					t.Fatalf("we refuse (%v) what the SDK reads: %+v", err, their)
				}
				return
			}
			if theirErr != nil {
				t.Fatalf("we read what the SDK refuses: %v", theirErr)
			}
			// Of two headers with one name the SDK keeps the last, we keep both.
			last := map[string]Value{}
			for _, h := range m.Headers {
				last[h.Name] = h.Value
			}
			if !bytes.Equal(m.Payload, their.Payload) || len(last) != len(their.Headers) {
				t.Fatalf("read differently: %+v and %+v", m, their)
			}
			for _, h := range their.Headers {
				if v, ok := last[h.Name]; !ok || !cmp.Equal(sdkValue(t, v), h.Value, cmp.Exporter(func(reflect.Type) bool { return true })) {
					t.Fatalf("header %q read differently: %+v and %+v", h.Name, v, h.Value)
				}
			}
			again, err := AppendMessage(nil, m.Headers, m.Payload)
			if err != nil {
				t.Fatalf("cannot write what was read: %v", err)
			}
			if back, _, err := Parse(again); err != nil || !cmp.Equal(back.Headers, m.Headers) {
				t.Fatalf("came back differently: %v", err)
			}
		}
	})
}

func BenchmarkAppendEvent(b *testing.B) {
	payload := []byte(`{"contentBlockIndex":0,"delta":{"text":"hello world"},"p":"abcdefghijklmnop"}`)
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := AppendEvent(buf, "contentBlockDelta", "application/json", payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecoder(b *testing.B) {
	frame, err := AppendEvent(nil, "chunk", "application/json", []byte(`{"bytes":"aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ="}`))
	if err != nil {
		b.Fatal(err)
	}
	r := bytes.NewReader(frame)
	d := NewDecoder(r)
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(frame)
		if _, err := d.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
