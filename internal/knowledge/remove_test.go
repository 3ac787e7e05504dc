package knowledge

import (
	"errors"
	"slices"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/apierr"
	"github.com/outcrop-dev/outcrop/internal/job"
	"github.com/outcrop-dev/outcrop/internal/store"

	api "github.com/outcrop-dev/outcrop/internal/api/bedrockagent"
)

type (
	record     = store.Record[sourceRow]
	baseRecord = store.Record[baseRow]
	tx         = store.Tx
	columns    = store.Columns
)

func TestDeletionPolicies(t *testing.T) {
	p := open(t, Quotas{})
	id := p.base(t, "k")
	gone := p.source(t, id, "gone", "", "")
	kept := p.source(t, id, "kept", "", api.DataDeletionPolicyRetain)
	stays := p.source(t, id, "stays", "", "")
	for _, s := range []string{gone, kept, stays} {
		p.fill(t, id, s, 2)
	}
	p.fill(t, id, gone, batch+3) // more than one transaction takes
	for _, s := range []string{gone, kept} {
		out, err := p.DeleteDataSource(p.ctx, &api.DeleteDataSourceInput{KnowledgeBaseId: id, DataSourceId: s})
		if err != nil || out.Status != api.DataSourceStatusDeleting || out.DataSourceId != s || out.KnowledgeBaseId != id {
			t.Fatalf("%+v, %v", out, err)
		}
		if st := p.sourceStatus(t, id, s); st != api.DataSourceStatusDeleting {
			t.Errorf("a poll sees %s", st)
		}
		want(t, "twice", p.deletedSource(id, s), apierr.Conflict, "DELETING")
		_, err = p.UpdateDataSource(p.ctx, &api.UpdateDataSourceInput{KnowledgeBaseId: id, DataSourceId: s, Name: "x", DataSourceConfiguration: newSource(id, "").DataSourceConfiguration})
		want(t, "an update", err, apierr.Conflict, "DELETING")
	}
	err := p.store.View(p.ctx, func(tx *store.Tx) error {
		var early int
		err := tx.QueryRow(`SELECT COUNT(*) FROM job WHERE kind = ? AND scheduled_at < created + ?`, []any{deletionJob, passes.Microseconds()}, &early)
		if early > 0 {
			t.Errorf("%d deletions would pass too soon to be seen", early)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.work(t)
	for _, s := range []string{gone, kept} {
		until(t, "deleted", func() bool { return p.sourceStatus(t, id, s) == "gone" })
	}
	for s, n := range map[string]int{gone: 0, kept: 2, stays: 2} {
		until(t, "the documents are as the policy says", func() bool { return p.documents(t, id, s) == n })
	}
	p.mu.Lock()
	forgot := slices.Clone(p.forgot)
	p.mu.Unlock()
	slices.Sort(forgot)
	expect := []string{id + "/" + gone, id + "/" + kept}
	slices.Sort(expect)
	if !slices.Equal(forgot, expect) {
		t.Errorf("forgot %v, want %v", forgot, expect)
	}
	want(t, "nothing", p.deletedSource(id, gone), apierr.ResourceNotFound, "")
	if s := p.status(t, id); s != api.KnowledgeBaseStatusActive {
		t.Errorf("the knowledge base is %s", s)
	}
}

func TestDeletionOfAKnowledgeBase(t *testing.T) {
	p := open(t, Quotas{})
	p.work(t)
	for _, c := range []struct {
		name   string
		policy api.DataDeletionPolicy
		left   int // -1: no index
	}{{"all", "", -1}, {"retained", api.DataDeletionPolicyRetain, 2}} {
		in := newBase(c.name)
		in.Tags = map[string]string{"a": "b"}
		out, err := p.CreateKnowledgeBase(p.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		p.pass()
		id := out.KnowledgeBase.KnowledgeBaseId
		s1, s2 := p.source(t, id, "one", keyA, c.policy), p.source(t, id, "two", "", c.policy)
		p.fill(t, id, s1, 2)
		p.fill(t, id, s2, 2)
		if err := p.deletedBase(id); err != nil {
			t.Fatal(err)
		}
		if s := p.status(t, id); s != api.KnowledgeBaseStatusDeleting && s != "gone" {
			t.Errorf("a poll sees %s", s)
		}
		until(t, "gone", func() bool { return p.status(t, id) == "gone" })
		for _, s := range []string{s1, s2} {
			if st := p.sourceStatus(t, id, s); st != "gone" {
				t.Errorf("a data source is %s", st)
			}
			until(t, "the index is as the policy says", func() bool { return p.documents(t, id, s) == c.left })
			if !slices.Contains(p.forgot, id+"/"+s) {
				t.Errorf("%s is not forgotten", s)
			}
		}
		until(t, "released", func() bool {
			p.shelf.mu.Lock()
			defer p.shelf.mu.Unlock()
			return slices.Contains(p.shelf.released, id)
		})
		err = p.store.View(p.ctx, func(tx *store.Tx) error {
			tags, err := tx.Tags(out.KnowledgeBase.KnowledgeBaseArn)
			if len(tags) > 0 {
				t.Errorf("tags %v", tags)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.CreateKnowledgeBase(p.ctx, newBase(c.name)); err != nil {
			t.Errorf("the name is not free: %v", err)
		}
	}
	want(t, "nothing", p.deletedBase("NOTTHERE00"), apierr.ResourceNotFound, "")
}

func TestWhatMayNotBeDeletedSaysSo(t *testing.T) {
	p := open(t, Quotas{})
	p.work(t)
	id := p.base(t, "k")
	source := p.source(t, id, "s", "", "")
	p.fill(t, id, source, 3)
	p.roles.refuse("assume", apierr.New(apierr.AccessDenied, "the role is gone"))

	asked := p.roles.assumed()
	if err := p.deletedSource(id, source); err != nil {
		t.Fatal(err)
	}
	until(t, "it fails", func() bool { return p.sourceStatus(t, id, source) == api.DataSourceStatusDeleteUnsuccessful })
	got, err := p.GetDataSource(p.ctx, &api.GetDataSourceInput{KnowledgeBaseId: id, DataSourceId: source})
	if err != nil || !slices.Equal(got.DataSource.FailureReasons, []string{"the role is gone"}) {
		t.Errorf("reasons %v, %v", got.DataSource.FailureReasons, err)
	}
	if n := p.roles.assumed() - asked; n != 1 {
		t.Errorf("what is refused was tried %d times", n)
	}
	if err := p.deletedBase(id); err != nil {
		t.Fatal(err)
	}
	until(t, "it fails too", func() bool { return p.status(t, id) == api.KnowledgeBaseStatusDeleteUnsuccessful })
	whole, err := p.GetKnowledgeBase(p.ctx, &api.GetKnowledgeBaseInput{KnowledgeBaseId: id})
	if err != nil || !slices.Equal(whole.KnowledgeBase.FailureReasons, []string{"the role is gone"}) {
		t.Errorf("reasons %v, %v", whole.KnowledgeBase.FailureReasons, err)
	}
	if n := p.documents(t, id, source); n != 3 {
		t.Errorf("%d documents", n)
	}
	_, err = p.CreateDataSource(p.ctx, newSource(id, "t"))
	want(t, "a new source", err, apierr.Conflict, "DELETE_UNSUCCESSFUL")

	// With the documents to be kept, nobody needs the role.
	_, err = p.UpdateDataSource(p.ctx, &api.UpdateDataSourceInput{
		KnowledgeBaseId: id, DataSourceId: source, Name: "s", DataSourceConfiguration: newSource(id, "").DataSourceConfiguration, DataDeletionPolicy: api.DataDeletionPolicyRetain,
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := p.sourceStatus(t, id, source); s != api.DataSourceStatusAvailable {
		t.Errorf("after the update it is %s", s)
	}
	if err := p.deletedBase(id); err != nil {
		t.Fatal(err)
	}
	until(t, "gone", func() bool { return p.status(t, id) == "gone" })
	if n := p.documents(t, id, source); n != 3 {
		t.Errorf("%d documents are retained", n)
	}
}

func TestAFailureThatPassesIsTriedAgain(t *testing.T) {
	p := open(t, Quotas{})
	p.work(t)
	id := p.base(t, "k")
	source := p.source(t, id, "s", "", "")
	p.fill(t, id, source, 3)
	paused := make(chan chan error)
	p.shelf.set(func() { p.shelf.paused = paused })
	if err := p.deletedSource(id, source); err != nil {
		t.Fatal(err)
	}
	(<-paused) <- errors.New("the disk is busy")
	if s := p.sourceStatus(t, id, source); s != api.DataSourceStatusDeleting {
		t.Errorf("between two attempts it is %s", s)
	}
	(<-paused) <- nil
	until(t, "gone", func() bool { return p.sourceStatus(t, id, source) == "gone" })
	if n := p.documents(t, id, source); n != 0 {
		t.Errorf("%d documents", n)
	}
}

func TestADeletionOutlivesItsProcess(t *testing.T) {
	p := open(t, Quotas{})
	stop := p.work(t)
	id := p.base(t, "k")
	first, second := p.source(t, id, "one", "", ""), p.source(t, id, "two", "", "")
	p.fill(t, id, first, 2)
	p.fill(t, id, second, 2)
	paused := make(chan chan error)
	p.shelf.set(func() { p.shelf.paused = paused })
	if err := p.deletedBase(id); err != nil {
		t.Fatal(err)
	}
	(<-paused) <- nil // the first goes
	<-paused          // and in the second it ends
	stop()
	if p.sourceStatus(t, id, first) != "gone" || p.sourceStatus(t, id, second) != api.DataSourceStatusDeleting || p.status(t, id) != api.KnowledgeBaseStatusDeleting {
		t.Errorf("left: %s, %s, %s", p.sourceStatus(t, id, first), p.sourceStatus(t, id, second), p.status(t, id))
	}
	// A last document of a sync that had not seen it yet.
	p.fill(t, id, first, 1)
	p.restart(t)
	until(t, "gone", func() bool { return p.status(t, id) == "gone" })
	until(t, "the index went, so it was empty", func() bool { return p.documents(t, id, first) == -1 })
}

// The index goes only when no row names it any more, by a job that was written with the
// row's end: a process that ends between the two leaves it to the next one.
func TestAReleaseOutlivesItsProcess(t *testing.T) {
	p := open(t, Quotas{})
	room := p.room
	stop := p.run(t, slices.DeleteFunc(Jobs(func() *Room { return room }), func(k job.Kind) bool { return k.Name == releaseJob }))
	id := p.base(t, "k")
	source := p.source(t, id, "s", "", "")
	p.fill(t, id, source, 2)
	if err := p.deletedBase(id); err != nil {
		t.Fatal(err)
	}
	until(t, "gone", func() bool { return p.status(t, id) == "gone" })
	stop()
	if n := p.documents(t, id, source); n != 0 {
		t.Errorf("before its release the index holds %d documents", n)
	}
	p.restart(t)
	until(t, "the index went", func() bool { return p.documents(t, id, source) == -1 })
}

func TestAnIndexThatIsGoneHoldsNothing(t *testing.T) {
	p := open(t, Quotas{})
	p.work(t)
	id := p.base(t, "k")
	source := p.source(t, id, "s", "", "")
	if err := p.shelf.store.Drop(p.ctx, name(p.got(t, id))); err != nil {
		t.Fatal(err)
	}
	if err := p.deletedSource(id, source); err != nil {
		t.Fatal(err)
	}
	until(t, "gone", func() bool { return p.sourceStatus(t, id, source) == "gone" })
}

func TestStatesOfDataSources(t *testing.T) {
	steps := map[api.DataSourceStatus]map[event]api.DataSourceStatus{
		api.DataSourceStatusAvailable:          {update: api.DataSourceStatusAvailable, remove: api.DataSourceStatusDeleting},
		api.DataSourceStatusDeleting:           {fail: api.DataSourceStatusDeleteUnsuccessful},
		api.DataSourceStatusDeleteUnsuccessful: {update: api.DataSourceStatusAvailable, remove: api.DataSourceStatusDeleting},
	}
	for from, on := range steps {
		for _, e := range []event{settle, update, remove, fail} {
			got, err := sourceStates.Next(from, e)
			if to, ok := on[e]; ok != (err == nil) || ok && got != to {
				t.Errorf("%s on %s: %s, %v; want %q", from, e, got, err, to)
			}
		}
	}
}

// restart lets another process go on where this one has stopped.
func (p *place) restart(t *testing.T) {
	t.Helper()
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.shelf.store.Close(); err != nil {
		t.Fatal(err)
	}
	p.start(t, Quotas{})
	p.work(t)
}
