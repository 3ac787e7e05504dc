package logs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/call"
	"github.com/outcrop-dev/outcrop/internal/clock"
	"github.com/outcrop-dev/outcrop/internal/iam"
	"github.com/outcrop-dev/outcrop/internal/kms"
	"github.com/outcrop-dev/outcrop/internal/lambda"
	"github.com/outcrop-dev/outcrop/internal/logs"
	"github.com/outcrop-dev/outcrop/internal/store"
	"github.com/outcrop-dev/outcrop/internal/store/postgres"
	"github.com/outcrop-dev/outcrop/internal/store/sqlite"
	"github.com/outcrop-dev/outcrop/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var place = logs.Place{Account: iam.DefaultAccount, Region: "us-east-1"}

type house struct {
	*logs.Service

	t     testing.TB
	dir   string
	dsn   string
	clock clock.Clock
	store *store.Store
	keys  *kms.Service
	admin *iam.Principal
	cfg   logs.Config
	// commits counts transactions that wrote.
	mu      sync.Mutex
	commits int
}

func open(t testing.TB) *house {
	t.Helper()
	return openOn(t, "")
}

// openOn is open on a PostgreSQL database; "" is SQLite.
func openOn(t testing.TB, dsn string) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), dsn: dsn}
	h.start()
	t.Cleanup(h.end)
	return h
}

func (h *house) driver(ctx context.Context) (store.Driver, error) {
	if h.dsn != "" {
		return postgres.Open(ctx, postgres.Config{DSN: h.dsn})
	}
	return sqlite.Open(ctx, sqlite.Config{Dir: h.dir})
}

func (h *house) start() {
	h.t.Helper()
	ctx := context.Background()
	identity, err := iam.New(ctx, iam.Config{Store: &iam.MemoryStore{}})
	if err != nil {
		h.t.Fatal(err)
	}
	k, _ := identity.AdminKey()
	c, _ := identity.Credential(k.ID)
	h.admin = c.Principal
	d, err := h.driver(ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	local, err := store.OpenLocalSealer(h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	sealer := kms.NewSealer(local, nil)
	h.store, err = store.Open(ctx, store.Config{Driver: d, Sealer: sealer, Now: h.clock.Now, Hook: func(p string) error {
		if p == store.HookAfterCommit {
			h.mu.Lock()
			h.commits++
			h.mu.Unlock()
		}
		return nil
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	if h.keys, err = kms.New(ctx, kms.Config{Store: h.store, Policies: identity, Now: h.clock.Now}); err != nil {
		h.t.Fatal(err)
	}
	sealer.Use(h.keys)
	h.cfg = logs.Config{Store: h.store, Sealer: sealer, Keys: h.keys, Now: h.clock.Now}
	if h.Service, err = logs.New(h.cfg); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) end() {
	if err := errors.Join(h.Service.Close(), h.store.Close()); err != nil {
		h.t.Error(err)
	}
}

func (h *house) restart() { h.end(); h.start() }

func (h *house) request() context.Context {
	return call.With(h.t.Context(), &call.Call{Account: place.Account, Region: place.Region, Caller: h.admin, Service: "logs"})
}

func (h *house) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) make(group string, streams ...string) {
	h.t.Helper()
	h.ok(h.CreateGroup(h.request(), place, logs.GroupInput{Name: group}))
	for _, s := range streams {
		h.ok(h.CreateStream(h.request(), place, group, s))
	}
}

// ago is ms since 1970, so long before now.
func (h *house) ago(d time.Duration) int64 { return h.clock.Now().Add(-d).UnixMilli() }

func (h *house) put(group, stream string, at int64, messages ...string) {
	h.t.Helper()
	var events []logs.Event
	for i, m := range messages {
		events = append(events, logs.Event{At: at + int64(i), Message: m})
	}
	if r, err := h.Put(h.request(), place, group, stream, events); err != nil || r != (logs.Rejected{TooNew: -1, TooOld: -1, Expired: -1}) {
		h.t.Fatal(r, err)
	}
}

func texts(list []logs.Found) string {
	var out []string
	for _, e := range list {
		out = append(out, e.Message)
	}
	return strings.Join(out, " ")
}

func kind(t testing.TB, err error, want string) {
	t.Helper()
	name, text, _ := strings.Cut(want, ": ")
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || string(e.Kind) != name || (text != "" && e.Message != text) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestGetGoesBothWays(t *testing.T) { getGoesBothWays(t, open(t)) }

func getGoesBothWays(t *testing.T, h *house) {
	h.make("g", "s", "other")
	at := h.ago(time.Hour)
	h.put("g", "s", at, "1", "2", "3", "4", "5")
	h.put("g", "other", at, "x")
	get := func(in logs.GetInput) logs.Got {
		t.Helper()
		g, err := h.Get(h.request(), place, "g", "s", in)
		h.ok(err)
		return g
	}
	h.restart()
	head := get(logs.GetInput{FromHead: true, Limit: 2})
	second := get(logs.GetInput{Token: head.Forward, Limit: 2})
	last := get(logs.GetInput{Token: second.Forward, Limit: 2})
	end := get(logs.GetInput{Token: last.Forward, Limit: 2})
	if got := texts(head.Events) + "|" + texts(second.Events) + "|" + texts(last.Events) + "|" + texts(end.Events); got != "1 2|3 4|5|" {
		t.Errorf("forward: %s", got)
	}
	if end.Forward != last.Forward {
		t.Error("the token at the end is another one: a client would never stop")
	}
	if back := get(logs.GetInput{Token: last.Backward, Limit: 3}); texts(back.Events) != "2 3 4" {
		t.Errorf("backward: %s", texts(back.Events))
	}
	if tail := get(logs.GetInput{Limit: 2}); texts(tail.Events) != "4 5" {
		t.Errorf("the newest: %s", texts(tail.Events))
	}
	if some := get(logs.GetInput{FromHead: true, Start: new(at + 1), End: new(at + 3)}); texts(some.Events) != "2 3" {
		t.Errorf("between: %s", texts(some.Events))
	}
	// What comes later is behind the forward token.
	h.put("g", "s", at+10, "6")
	if more := get(logs.GetInput{Token: end.Forward}); texts(more.Events) != "6" {
		t.Errorf("later: %s", texts(more.Events))
	}
	for _, bad := range []string{"x", "f/1/s", "b/" + strings.Repeat("9", 56) + "/s", strings.TrimSuffix(head.Forward, "/s")} {
		_, err := h.Get(h.request(), place, "g", "s", logs.GetInput{Token: bad})
		kind(t, err, "InvalidParameterException: The specified nextToken is invalid.")
	}
	_, err := h.Get(h.request(), place, "g", "none", logs.GetInput{})
	kind(t, err, "ResourceNotFoundException: The specified log stream does not exist.")
	_, err = h.Get(h.request(), place, "none", "s", logs.GetInput{})
	kind(t, err, "ResourceNotFoundException: The specified log group does not exist.")
}

func TestFilterReadsAGroupOnce(t *testing.T) { filterReadsAGroupOnce(t, open(t)) }

func filterReadsAGroupOnce(t *testing.T, h *house) {
	h.make("g", "a/1", "a/2", "b")
	at := h.ago(time.Hour)
	for i := range 30 {
		h.put("g", []string{"a/1", "a/2", "b"}[i%3], at+int64(i), fmt.Sprintf("e%02d", i))
	}
	all := func(in logs.FilterInput) (out []string) {
		t.Helper()
		for range 100 {
			list, next, err := h.Filter(h.request(), place, "g", in)
			h.ok(err)
			for _, e := range list {
				out = append(out, e.Message)
			}
			if in.Token = next; next == "" {
				return out
			}
		}
		t.Fatal("no end of pages")
		return nil
	}
	if got := all(logs.FilterInput{Limit: 7}); len(got) != 30 || !slices.IsSorted(got) || len(slices.Compact(got)) != 30 {
		t.Errorf("%v", got)
	}
	if got := all(logs.FilterInput{Limit: 3, Prefix: "a/"}); len(got) != 20 {
		t.Errorf("prefix: %v", got)
	}
	if got := all(logs.FilterInput{Streams: []string{"a/1", "b"}, Pattern: "?e00 ?e01 ?e02"}); strings.Join(got, " ") != "e00 e02" {
		t.Errorf("streams and pattern: %v", got)
	}
	if got := all(logs.FilterInput{Start: new(at + 3), End: new(at + 5)}); strings.Join(got, " ") != "e03 e04 e05" {
		t.Errorf("both ends are included: %v", got)
	}
	_, _, err := h.Filter(h.request(), place, "g", logs.FilterInput{Streams: []string{"none"}})
	kind(t, err, "ResourceNotFoundException")
	_, _, err = h.Filter(h.request(), place, "g", logs.FilterInput{Token: "x"})
	kind(t, err, "InvalidParameterException")
}

func TestPutKeepsTheRules(t *testing.T) {
	h := open(t)
	h.make("g", "s")
	h.ok(h.SetRetention(h.request(), place, "g", 3))
	day := 24 * time.Hour
	put := func(events ...logs.Event) (logs.Rejected, error) { return h.Put(h.request(), place, "g", "s", events) }
	for name, c := range map[string]struct {
		events []logs.Event
		want   string
		reject logs.Rejected
	}{
		"in order":     {[]logs.Event{{At: h.ago(time.Hour)}, {At: h.ago(0)}}, "", logs.Rejected{TooNew: -1, TooOld: -1, Expired: -1}},
		"out of order": {[]logs.Event{{At: h.ago(0)}, {At: h.ago(time.Hour)}}, "InvalidParameterException: Log events in a single PutLogEvents request must be in chronological order.", logs.Rejected{TooNew: -1, TooOld: -1, Expired: -1}},
		"over a day":   {[]logs.Event{{At: h.ago(2 * day)}, {At: h.ago(0)}}, "InvalidParameterException: The batch of log events in a single PutLogEvents request cannot span more than 24 hours.", logs.Rejected{TooNew: -1, TooOld: -1, Expired: -1}},
		"too large":    {[]logs.Event{{At: h.ago(0), Message: strings.Repeat("x", 1<<20)}}, "InvalidParameterException", logs.Rejected{TooNew: -1, TooOld: -1, Expired: -1}},
		"too many":     {make([]logs.Event, 10001), "InvalidParameterException", logs.Rejected{TooNew: -1, TooOld: -1, Expired: -1}},
		"too new":      {[]logs.Event{{At: h.ago(0)}, {At: h.ago(-3 * time.Hour)}}, "", logs.Rejected{TooNew: 1, TooOld: -1, Expired: -1}},
		"too old":      {[]logs.Event{{At: h.ago(15 * day)}}, "", logs.Rejected{TooNew: -1, TooOld: 1, Expired: 1}},
		"expired":      {[]logs.Event{{At: h.ago(3*day + time.Hour)}, {At: h.ago(2*day + 2*time.Hour)}}, "", logs.Rejected{TooNew: -1, TooOld: -1, Expired: 1}},
	} {
		r, err := put(c.events...)
		if c.want != "" {
			kind(t, err, c.want)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if r != c.reject {
			t.Errorf("%s: rejected %+v, want %+v", name, r, c.reject)
		}
	}
	_, err := h.Put(h.request(), place, "g", "none", []logs.Event{{At: h.ago(0)}})
	kind(t, err, "ResourceNotFoundException: The specified log stream does not exist.")
}

func TestRetention(t *testing.T) { retention(t, open(t)) }

func retention(t *testing.T, h *house) {
	h.make("g", "s")
	h.make("forever", "s")
	at := h.ago(0)
	h.put("g", "s", at, "old")
	h.put("forever", "s", at, "old")
	h.ok(h.SetRetention(h.request(), place, "g", 1))
	kind(t, h.SetRetention(h.request(), place, "g", 2), "InvalidParameterException: 1 validation error detected: Value '2' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]")
	h.clock.Advance(23 * time.Hour)
	h.put("g", "s", h.ago(0), "young")
	h.ok(h.Sweep(h.request()))
	read := func(group string) string {
		t.Helper()
		list, _, err := h.Filter(h.request(), place, group, logs.FilterInput{})
		h.ok(err)
		return texts(list)
	}
	if got := read("g"); got != "old young" {
		t.Errorf("before its time: %s", got)
	}
	h.clock.Advance(2 * time.Hour)
	if got := read("g"); got != "young" {
		t.Errorf("after its time, before a sweep: %s", got)
	}
	h.ok(h.Sweep(h.request()))
	var n int
	h.ok(h.store.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM log_event WHERE log_group = 'g'`, nil, &n)
	}))
	if n != 1 || read("forever") != "old" {
		t.Errorf("%d rows after the sweep; for ever: %q", n, read("forever"))
	}
	g, err := h.Group(h.request(), place, "g")
	h.ok(err)
	if want := int64(len("young") + 26); g.Bytes != want {
		t.Errorf("%d bytes stored, want %d", g.Bytes, want)
	}
}

func TestDeleteAndList(t *testing.T) { deleteAndList(t, open(t)) }

func deleteAndList(t *testing.T, h *house) {
	for i := range 5 {
		h.make(fmt.Sprintf("g%d", i), "s1", "s2")
	}
	kind(t, h.CreateGroup(h.request(), place, logs.GroupInput{Name: "g1"}), "ResourceAlreadyExistsException: The specified log group already exists")
	kind(t, h.CreateStream(h.request(), place, "g1", "s1"), "ResourceAlreadyExistsException: The specified log stream already exists")
	at := h.ago(time.Hour)
	h.put("g1", "s1", at, "late")
	h.put("g1", "s2", at-1000, "early")
	h.ok(h.PutMetricFilter(h.request(), place, logs.MetricFilter{Group: "g1", Name: "f", Pattern: "ERROR", Transformations: []logs.Transformation{{Metric: "m", Namespace: "n", Value: "1"}}}))
	var names []string
	for after := ""; ; {
		list, next, err := h.Groups(h.request(), place, "g", "", "", after, 2)
		h.ok(err)
		for _, g := range list {
			names = append(names, g.Name)
		}
		if after = next; next == "" {
			break
		}
	}
	if strings.Join(names, " ") != "g0 g1 g2 g3 g4" {
		t.Errorf("groups %v", names)
	}
	for _, c := range []struct {
		byTime, desc bool
		want         string
	}{{false, false, "s1 s2"}, {false, true, "s2 s1"}, {true, false, "s2 s1"}, {true, true, "s1 s2"}} {
		var got []string
		for after := ""; ; {
			list, next, err := h.Streams(h.request(), place, "g1", "", c.byTime, c.desc, after, 1)
			h.ok(err)
			for _, s := range list {
				got = append(got, s.Name)
			}
			if after = next; next == "" {
				break
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if list, _, err := h.MetricFilters(h.request(), place, "", "", "m", "n", "", 10); err != nil || len(list) != 1 || list[0].Group != "g1" {
		t.Errorf("filters %v %v", list, err)
	}
	h.ok(h.Tag(h.request(), place, "g1", map[string]string{"a": "b"}))
	h.ok(h.DeleteStream(h.request(), place, "g1", "s2"))
	if list, _, err := h.Filter(h.request(), place, "g1", logs.FilterInput{}); err != nil || texts(list) != "late" {
		t.Errorf("after the stream's end: %v %v", list, err)
	}
	h.ok(h.DeleteGroup(h.request(), place, "g1"))
	kind(t, h.DeleteGroup(h.request(), place, "g1"), "ResourceNotFoundException: The specified log group does not exist.")
	// A group of the same name begins anew.
	h.make("g1", "s1")
	if list, _, err := h.Filter(h.request(), place, "g1", logs.FilterInput{}); err != nil || len(list) != 0 {
		t.Errorf("old events came back: %v %v", list, err)
	}
	if tags, err := h.Tags(h.request(), place, "g1"); err != nil || len(tags) != 0 {
		t.Errorf("old tags came back: %v %v", tags, err)
	}
}

func TestManyWritersShareCommits(t *testing.T) { manyWritersShareCommits(t, open(t)) }

func manyWritersShareCommits(t *testing.T, h *house) {
	h.make("g", "s")
	h.mu.Lock()
	before := h.commits
	h.mu.Unlock()
	const writers, each = 40, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := h.Put(h.request(), place, "g", "s", []logs.Event{{At: h.ago(0), Message: fmt.Sprintf("%d-%d", w, i)}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	list, _, err := h.Filter(h.request(), place, "g", logs.FilterInput{})
	h.ok(err)
	seen := map[string]bool{}
	for _, e := range list {
		seen[e.Message] = true
	}
	if len(list) != writers*each || len(seen) != writers*each {
		t.Errorf("%d events, %d different, of %d", len(list), len(seen), writers*each)
	}
	h.mu.Lock()
	n := h.commits - before
	h.mu.Unlock()
	if n >= writers*each {
		t.Errorf("%d commits for %d puts: nothing was shared", n, writers*each)
	}
}

func TestPutAnswersAfterTheCommit(t *testing.T) {
	h := open(t)
	h.make("g", "s")
	h.put("g", "s", h.ago(0), "there")
	// Another connection to the file sees it at once, without the writer's help.
	var n int
	h.ok(h.store.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM log_event`, nil, &n)
	}))
	if n != 1 {
		t.Errorf("%d rows when Put had answered", n)
	}
	h.ok(h.Close())
	_, err := h.Put(h.request(), place, "g", "s", []logs.Event{{At: h.ago(0)}})
	kind(t, err, "ServiceUnavailableException")
}

func TestFunctionsLog(t *testing.T) {
	h := open(t)
	f := &lambda.Function{ARN: "arn:aws:lambda:us-east-1:123456789012:function:f", Name: "f", Account: place.Account, Region: place.Region}
	sink := &logs.Sink{Logs: h.Service}
	const group, stream = "/aws/lambda/f", "2026/11/25/[$LATEST]0123"
	for i := range 25 {
		sink.Log(f, group, stream, []lambda.Line{{Time: h.clock.Now(), Message: fmt.Sprintf("line %d \xff", i)}})
	}
	h.ok(h.Service.Close()) // what is queued is written
	h.Service = nil
	var err error
	if h.Service, err = logs.New(h.cfg); err != nil {
		t.Fatal(err)
	}
	list, _, err := h.Filter(h.request(), place, group, logs.FilterInput{})
	h.ok(err)
	if len(list) != 25 || list[24].Message != "line 24 \uFFFD" || list[0].Stream != stream {
		t.Fatalf("%d lines: %+v", len(list), list)
	}
	// A group that was deleted comes back with the next lines.
	sink = &logs.Sink{Logs: h.Service}
	sink.Log(f, group, stream, []lambda.Line{{Time: h.clock.Now(), Message: "a"}})
	h.ok(h.DeleteGroup(h.request(), place, group))
	for i := range 100 {
		sink.Log(f, group, stream, []lambda.Line{{Time: h.clock.Now(), Message: "again"}})
		if list, _, err := h.Filter(h.request(), place, group, logs.FilterInput{Pattern: "again"}); err == nil && len(list) > 0 {
			break
		} else if i == 99 {
			t.Errorf("never again: %v %v", list, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	refusing := &logs.Sink{Logs: h.Service, Allow: func(_ context.Context, _ *lambda.Function, action, _ string) error {
		if action == "logs:CreateLogGroup" {
			return errors.New("not allowed")
		}
		return nil
	}}
	refusing.Log(f, "/aws/lambda/none", stream, []lambda.Line{{Message: "x"}})
	_, err = h.Group(h.request(), place, "/aws/lambda/none")
	kind(t, err, "ResourceNotFoundException")
}

func TestEventsUnderACustomerKey(t *testing.T) {
	h := open(t)
	admin := kms.Caller{Principal: h.admin, Account: place.Account, Region: place.Region}
	without, err := h.keys.CreateKey(t.Context(), admin, kms.CreateKeyInput{})
	h.ok(err)
	kind(t, h.CreateGroup(h.request(), place, logs.GroupInput{Name: "g", Key: without.ARN()}),
		"AccessDeniedException: The specified KMS key does not exist or is not allowed to be used with Arn 'arn:aws:logs:us-east-1:123456789012:log-group:g'")
	k, err := h.keys.CreateKey(t.Context(), admin, kms.CreateKeyInput{Policy: strings.Replace(kms.DefaultPolicy(place.Account, place.Region), `"Statement":[`,
		`"Statement":[{"Effect":"Allow","Principal":{"Service":"logs.us-east-1.amazonaws.com"},"Action":["kms:GenerateDataKey*","kms:Decrypt"],"Resource":"*","Condition":{"ArnLike":{"kms:EncryptionContext:aws:logs:arn":"arn:aws:logs:us-east-1:123456789012:log-group:g"}}},`, 1)})
	h.ok(err)
	kind(t, h.CreateGroup(h.request(), place, logs.GroupInput{Name: "other", Key: k.ID()}), "AccessDeniedException")
	h.ok(h.CreateGroup(h.request(), place, logs.GroupInput{Name: "g", Key: k.ID()}))
	h.ok(h.CreateStream(h.request(), place, "g", "s"))
	h.put("g", "s", h.ago(time.Minute), "canary-8842-log")
	list, _, err := h.Filter(h.request(), place, "g", logs.FilterInput{})
	h.ok(err)
	if texts(list) != "canary-8842-log" {
		t.Errorf("read %q", texts(list))
	}
	if holds(t, h.dir, "canary-8842-log") {
		t.Error("a file holds the plain text")
	}
	if !holds(t, h.dir, k.ARN()) {
		t.Error("the files do not even hold the key's ARN: the search proves nothing")
	}
	h.ok(h.keys.SetEnabled(t.Context(), admin, k.ID(), false))
	_, err = h.Put(h.request(), place, "g", "s", []logs.Event{{At: h.ago(0), Message: "x"}})
	kind(t, err, "AccessDeniedException: "+k.ARN()+" is disabled.")
	_, err = h.Get(h.request(), place, "g", "s", logs.GetInput{})
	kind(t, err, "AccessDeniedException: "+k.ARN()+" is disabled.")
	h.ok(h.SetKey(h.request(), place, "g", "")) // new events are under the house's key, old ones stay
	_, err = h.Put(h.request(), place, "g", "s", []logs.Event{{At: h.ago(0), Message: "free"}})
	h.ok(err)
	_, err = h.Get(h.request(), place, "g", "s", logs.GetInput{})
	kind(t, err, "AccessDeniedException")
	h.ok(h.keys.SetEnabled(t.Context(), admin, k.ID(), true))
	h.restart()
	got, err := h.Get(h.request(), place, "g", "s", logs.GetInput{FromHead: true})
	h.ok(err)
	if texts(got.Events) != "canary-8842-log free" {
		t.Errorf("read %q", texts(got.Events))
	}
}

func holds(t *testing.T, dir, s string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		found = found || bytes.Contains(b, []byte(s))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// What SQL does is the same on both databases.
func TestOnPostgres(t *testing.T) {
	server := storetest.StartPostgres(t)
	for _, c := range []struct {
		name string
		run  func(*testing.T, *house)
	}{
		{"get goes both ways", getGoesBothWays},
		{"filter reads a group once", filterReadsAGroupOnce},
		{"retention", retention},
		{"delete and list", deleteAndList},
		{"many writers share commits", manyWritersShareCommits},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, openOn(t, storetest.NewDatabase(t, server))) })
	}
}

func BenchmarkPut(b *testing.B) {
	h := open(b)
	h.make("g", "s")
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			events := make([]logs.Event, n)
			for i := range events {
				events[i] = logs.Event{At: h.ago(0), Message: "a line of a log that is about as long as lines of logs are, with a number at its end: 12345"}
			}
			for b.Loop() {
				if _, err := h.Put(h.request(), place, "g", "s", events); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
