package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2023, 8, 11, 12, 34, 56, 7, time.UTC)

func ev(id string) Event {
	return Event{ID: id, DetailType: CustomizationJob, Account: "123412341234", Region: "us-east-1", Time: at,
		Resources: []string{"arn:aws:bedrock:us-east-1:123412341234:model-customization-job/a"}, Detail: json.RawMessage(`{"jobStatus":"Failed"}`)}
}

func TestEventAsEventBridgeWritesIt(t *testing.T) {
	b, err := json.Marshal(ev("u"))
	const want = `{"version":"0","id":"u","detail-type":"Model Customization Job State Change","source":"aws.bedrock","account":"123412341234","time":"2023-08-11T12:34:56Z","region":"us-east-1","resources":["arn:aws:bedrock:us-east-1:123412341234:model-customization-job/a"],"detail":{"jobStatus":"Failed"}}`
	if err != nil || string(b) != want {
		t.Errorf("got  %s (%v)\nwant %s", b, err, want)
	}
	b, _ = json.Marshal(Event{})
	var bare map[string]any
	if err := json.Unmarshal(b, &bare); err != nil || bare["resources"] == nil || bare["detail"] == nil {
		t.Errorf("bare event: %s", b)
	}
}

func TestBus(t *testing.T) {
	m := &Memory{Keep: 3}
	all := m.Subscribe(nil, 100)
	odd := m.Subscribe(func(e *Event) bool { return e.ID == "1" || e.ID == "3" }, 1)
	for i := range 10 {
		if err := m.Publish(t.Context(), ev(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	ids := func(s *Subscription) (out []string) {
		s.Close()
		s.Close()
		for e := range s.C {
			out = append(out, e.ID)
		}
		return out
	}
	if err := m.Publish(t.Context(), ev("x")); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "x"}, ids(all)); d != "" {
		t.Errorf("all (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"1"}, ids(odd)); d != "" || odd.Dropped() != 1 {
		t.Errorf("odd, %d dropped (-want +got):\n%s", odd.Dropped(), d)
	}
	if err := m.Publish(t.Context(), ev("after")); err != nil {
		t.Errorf("nobody listens: %v", err)
	}
	var got []string
	for _, e := range m.Recent(99) {
		got = append(got, e.ID)
	}
	if d := cmp.Diff([]string{"after", "x", "9"}, got); d != "" {
		t.Errorf("recent (-want +got):\n%s", d)
	}
	if len(m.Recent(-1)) != 0 {
		t.Error("less than none")
	}
	if err := m.Publish(t.Context(), Event{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("empty event: %v", err)
	}
	bad := ev("b")
	bad.Detail = json.RawMessage(`{"cut`)
	if m.Publish(t.Context(), bad) == nil {
		t.Error("a detail that is no JSON is taken")
	}
}

func TestAllListenersSeeOneOrder(t *testing.T) {
	m := &Memory{}
	a, b := m.Subscribe(nil, 1000), m.Subscribe(nil, 1000)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 100 {
				if err := m.Publish(t.Context(), ev(fmt.Sprint(w, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	a.Close()
	b.Close()
	var x, y []string
	for e := range a.C {
		x = append(x, e.ID)
	}
	for e := range b.C {
		y = append(y, e.ID)
	}
	if len(x) != 400 || !cmp.Equal(x, y) {
		t.Errorf("%d and %d events, in one order: %v", len(x), len(y), cmp.Equal(x, y))
	}
}
