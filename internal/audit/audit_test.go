package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type sink struct {
	mu   sync.Mutex
	got  []string
	wait func(context.Context) error
}

func (s *sink) Write(ctx context.Context, batch []*Record) error {
	if s.wait != nil {
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range batch {
		s.got = append(s.got, r.ID)
	}
	return nil
}

func TestRecordAsCloudTrailWritesIt(t *testing.T) {
	r := Record{
		ID: "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111", RequestID: "a1b2c3d4-5678-90ab-cdef-EXAMPLE22222", Time: time.Date(2023, 10, 11, 21, 58, 59, 9, time.UTC),
		Account: "111122223333", Region: "us-west-2", Source: "bedrock.amazonaws.com", Operation: "InvokeModel",
		Identity: Identity{Type: "IAMUser", PrincipalID: "AROAIKFHPEXAMPLE", ARN: "arn:aws:iam::111122223333:user/userxyz",
			Account: "111122223333", AccessKeyID: "AKIAIOSFODNN7EXAMPLE", UserName: "userxyz"},
		SourceIP: "192.0.2.0", UserAgent: "Boto3/1.28.62", Parameters: map[string]any{"modelId": "stability.stable-diffusion-xl-v0"},
		TLS: &TLS{"TLSv1.2", "cipher", "bedrock-runtime.us-west-2.amazonaws.com"},
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"eventVersion":"1.08",
 "userIdentity":{"type":"IAMUser","principalId":"AROAIKFHPEXAMPLE","arn":"arn:aws:iam::111122223333:user/userxyz",
                 "accountId":"111122223333","accessKeyId":"AKIAIOSFODNN7EXAMPLE","userName":"userxyz"},
 "eventTime":"2023-10-11T21:58:59Z","eventSource":"bedrock.amazonaws.com","eventName":"InvokeModel","awsRegion":"us-west-2",
 "sourceIPAddress":"192.0.2.0","userAgent":"Boto3/1.28.62",
 "requestParameters":{"modelId":"stability.stable-diffusion-xl-v0"},"responseElements":null,
 "requestID":"a1b2c3d4-5678-90ab-cdef-EXAMPLE22222","eventID":"a1b2c3d4-5678-90ab-cdef-EXAMPLE11111",
 "readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management",
 "tlsDetails":{"tlsVersion":"TLSv1.2","cipherSuite":"cipher","clientProvidedHostHeader":"bedrock-runtime.us-west-2.amazonaws.com"}}`
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(want), &x), json.Unmarshal(b, &y)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(x, y); d != "" {
		t.Errorf("event (-want +got):\n%s", d)
	}
	r.Data, r.ErrorCode, r.Resources = true, "AccessDenied", []Resource{{"arn:a", "AWS::Bedrock::AgentAlias", "1"}}
	r.Identity.Session = &Session{IssuerType: "Role", MFA: true}
	b, _ = json.Marshal(&r)
	var got struct {
		EventCategory, ErrorCode string
		ManagementEvent          bool
		Resources                []struct{ ARN, Type string }
		UserIdentity             struct {
			SessionContext struct {
				Attributes struct{ MFAAuthenticated string }
			}
		}
	}
	if err := json.Unmarshal(b, &got); err != nil || got.EventCategory != "Data" || got.ManagementEvent || got.ErrorCode != "AccessDenied" ||
		len(got.Resources) != 1 || got.UserIdentity.SessionContext.Attributes.MFAAuthenticated != "true" {
		t.Errorf("data event: %s", b)
	}
}

func TestAllRecordsArriveInOrderAndTheLastOnesAtTheEnd(t *testing.T) {
	s := &sink{}
	trail := New(Config{Sinks: []Sink{s}})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- trail.Run(ctx) }()
	var want []string
	for i := range 2000 {
		want = append(want, fmt.Sprint(i))
		trail.Record(&Record{ID: fmt.Sprint(i)})
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, s.got); d != "" || trail.Dropped() != 0 {
		t.Errorf("records (-want +got), %d dropped:\n%s", trail.Dropped(), d)
	}
	trail.Record(&Record{})
	if trail.Dropped() != 1 {
		t.Error("a record after the end is not counted as dropped")
	}
	(*Trail)(nil).Record(&Record{})
}

func TestAHungSinkBlocksNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := &sink{wait: func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }}
		good := &sink{}
		trail := New(Config{Sinks: []Sink{hung, good}, Buffer: 10})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- trail.Run(ctx) }()
		trail.Record(&Record{})
		synctest.Wait() // Run waits at the sink
		start := time.Now()
		for range 100 {
			trail.Record(&Record{})
		}
		if time.Since(start) != 0 || trail.Dropped() != 90 {
			t.Errorf("100 records took %v, %d dropped; want none waiting and 90 dropped", time.Since(start), trail.Dropped())
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if end := time.Since(start); end > 11*time.Second {
			t.Errorf("the end took %v", end)
		}
		if len(good.got) != 11 || trail.Failed() != 11 {
			t.Errorf("the other sink got %d, %d failed; want 11 of each", len(good.got), trail.Failed())
		}
	})
}

func TestRingLookup(t *testing.T) {
	g := NewRing(5)
	if got := g.Lookup(Query{}); got != nil {
		t.Errorf("empty ring: %v", got)
	}
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 8 {
		err := g.Write(t.Context(), []*Record{{
			ID: fmt.Sprint(i), Time: t0.Add(time.Duration(i) * time.Second), Account: fmt.Sprint(i % 2), Region: "r", Operation: []string{"GetAgent", "InvokeAgent"}[i%2],
			ReadOnly: i%2 == 0, Source: "s", Identity: Identity{UserName: "u", AccessKeyID: fmt.Sprint("k", i)},
			Resources: []Resource{{ARN: fmt.Sprint("arn", i), Type: "T"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		q    Query
		want []string
	}{
		{Query{}, []string{"7", "6", "5", "4", "3"}},
		{Query{Limit: 2}, []string{"7", "6"}},
		{Query{Account: "1"}, []string{"7", "5", "3"}},
		{Query{Region: "other"}, nil},
		{Query{From: t0.Add(4 * time.Second), To: t0.Add(5 * time.Second)}, []string{"5", "4"}},
		{Query{Attribute: EventName, Value: "GetAgent"}, []string{"6", "4"}},
		{Query{Attribute: EventID, Value: "3"}, []string{"3"}},
		{Query{Attribute: ReadOnly, Value: "false", Limit: 1}, []string{"7"}},
		{Query{Attribute: AccessKeyID, Value: "k4"}, []string{"4"}},
		{Query{Attribute: Username, Value: "nobody"}, nil},
		{Query{Attribute: EventSource, Value: "s", Limit: 1}, []string{"7"}},
		{Query{Attribute: ResourceName, Value: "arn5"}, []string{"5"}},
		{Query{Attribute: ResourceType, Value: "T", Limit: 1}, []string{"7"}},
		{Query{Attribute: "Weather", Value: "T"}, nil},
	} {
		var got []string
		for _, r := range g.Lookup(c.q) {
			got = append(got, r.ID)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%+v (-want +got):\n%s", c.q, d)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	trail := New(Config{Sinks: []Sink{NewRing(1000)}})
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- trail.Run(ctx) }()
	r := &Record{ID: "x"}
	b.ReportAllocs()
	for b.Loop() {
		trail.Record(r)
	}
	stop()
	<-done
	b.ReportMetric(float64(trail.Dropped())/float64(b.N), "dropped/op")
}
