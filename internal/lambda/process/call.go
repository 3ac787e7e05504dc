package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/outcrop-dev/outcrop/internal/lambda"
)

// failure is the JSON of an error that the service itself tells.
func failure(kind, message string) []byte {
	b, _ := json.Marshal(struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}{kind, message})
	return b
}

// call runs one event to its end, or until ctx ends the wait.
func (r *Runtime) call(ctx context.Context, f *lambda.Function, in *lambda.Invocation) (*lambda.Result, error) {
	leave, err := r.admit(f)
	if err != nil {
		return nil, err
	}
	if len(in.Payload) == 0 {
		in.Payload = []byte("null")
	}
	if in.TraceID == "" {
		in.TraceID = traceID(r.cfg.Now())
	}
	job := &job{r: r, f: f, in: in, leave: leave}
	for {
		res, again, err := job.try(ctx)
		if again {
			continue
		}
		return res, err
	}
}

// traceID is a root in X-Ray's form that is not sampled.
func traceID(now time.Time) string {
	id := newID()
	id = id[:8] + id[9:13] + id[14:18] + id[19:23] + id[24:]
	return fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=0", now.Unix(), id[8:], id[:16])
}

// job is a call with what it needs to be finished by anybody.
type job struct {
	r     *Runtime
	f     *lambda.Function
	in    *lambda.Invocation
	leave func() // gives the place among the calls back; nil when given

	i     *instance
	cold  bool
	from  time.Time
	limit time.Duration // of the call
	init  time.Duration
	c     *call
}

func (j *job) release() {
	if j.leave != nil {
		j.leave()
		j.leave = nil
	}
}

// try takes an instance and runs the event on it. again is set when the instance
// had ended before it saw the event.
func (j *job) try(ctx context.Context) (res *lambda.Result, again bool, err error) {
	j.limit = j.f.Timeout
	i, started, err := j.r.take(ctx, j.f)
	if err != nil {
		j.release()
		return nil, false, err
	}
	j.i = i
	if started {
		j.cold = true
		if res, err := j.warmUp(ctx); res != nil || err != nil {
			j.release()
			return res, false, err
		}
	}
	j.from = j.r.cfg.Now()
	j.c = &call{in: j.in, arn: j.in.FunctionARN, deadline: j.from.Add(j.limit), done: make(chan outcome, 1)}
	j.i.log.begin(j.in.LogTail)
	j.i.log.service(fmt.Sprintf("START RequestId: %s Version: %s", j.in.RequestID, j.f.Version))
	if !j.i.dispatch(j.c) {
		j.i.kill()
		<-j.i.ended
		return nil, true, nil
	}
	timer := time.NewTimer(j.limit)
	select {
	case o := <-j.c.done:
		timer.Stop()
		return j.finish(o), false, nil
	case <-timer.C:
		return j.finish(j.timeout()), false, nil
	case <-ctx.Done():
		// The caller has gone, the function goes on: somebody must see it end.
		j.r.work.Go(func() {
			defer timer.Stop()
			select {
			case o := <-j.c.done:
				j.finish(o)
			case <-timer.C:
				j.finish(j.timeout())
			}
		})
		return nil, false, context.Cause(ctx)
	}
}

// warmUp waits for the init of a new instance. A result or an error is the end of
// the call. An init that takes too long is begun once more, inside the time of the
// call, as AWS does.
func (j *job) warmUp(ctx context.Context) (*lambda.Result, error) {
	from := j.r.cfg.Now()
	done, err := j.waitInit(ctx, j.r.cfg.InitTimeout)
	if err != nil {
		return nil, err
	}
	if !done {
		j.i.kill()
		<-j.i.ended // only now its log is ours
		j.i.note(fmt.Sprintf("INIT_REPORT Init Duration: %.2f ms\tPhase: init\tStatus: timeout", ms(j.r.cfg.InitTimeout)))
		again := j.r.cfg.Now()
		if done, err = j.restart(ctx); err != nil {
			return nil, err
		}
		if !done {
			took := j.f.Timeout
			j.i.kill()
			<-j.i.ended
			j.i.note(fmt.Sprintf("INIT_REPORT Init Duration: %.2f ms\tPhase: invoke\tStatus: timeout", ms(took)))
			j.from = j.r.cfg.Now().Add(-took)
			j.i.begin(j.in)
			return j.finish(j.timeoutOutcome()), nil
		}
		j.limit = max(j.f.Timeout-j.r.cfg.Now().Sub(again), time.Millisecond)
		from = again
	}
	i := j.i
	i.mu.Lock()
	startErr, initErr := i.startErr, i.initErr
	i.initTook = j.r.cfg.Now().Sub(from)
	j.init = i.initTook
	i.mu.Unlock()
	if startErr != nil {
		<-i.ended
		if e, ok := errors.AsType[*lambda.Error](startErr); ok {
			return nil, e
		}
		return nil, &lambda.Error{Kind: lambda.Service, Message: "The function could not be started", Err: startErr}
	}
	if initErr == nil {
		return nil, nil
	}
	<-i.ended // its last words are logged
	i.note(fmt.Sprintf("INIT_REPORT Init Duration: %.2f ms\tPhase: init\tStatus: error\tError Type: %s", ms(j.init), initErr.kind))
	j.from, j.init = from, 0 // the init is what is billed
	i.begin(j.in)
	return j.finish(*initErr), nil
}

// begin and note also work on an instance whose pipe never came to be.
func (i *instance) begin(in *lambda.Invocation) {
	if i.log != nil {
		i.log.begin(in.LogTail)
		i.log.service(fmt.Sprintf("START RequestId: %s Version: %s", in.RequestID, i.f.Version))
	}
}

func (i *instance) note(line string) {
	if i.log != nil {
		i.log.service(line)
	}
}

// waitInit waits until the instance is ready or failed; false after the time.
// When ctx ends first the instance is kept for others.
func (j *job) waitInit(ctx context.Context, most time.Duration) (bool, error) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-j.i.ready:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
	}
	i := j.i
	i.mu.Lock()
	ready := i.inited
	i.left = true
	i.mu.Unlock()
	if ready {
		select {
		case <-i.ended:
		default:
			j.r.idle(i)
		}
	} else {
		// Nobody else would end an init that hangs.
		j.r.work.Go(func() {
			t := time.NewTimer(j.r.cfg.InitTimeout)
			defer t.Stop()
			select {
			case <-i.ready:
			case <-t.C:
				i.kill()
			case <-i.ended:
			}
		})
	}
	return false, context.Cause(ctx)
}

// restart starts another instance in the place of one whose init hung.
func (j *job) restart(ctx context.Context) (bool, error) {
	j.r.mu.Lock()
	p := j.r.pools[j.f.QualifiedARN()]
	if p == nil {
		p = &pool{arn: j.f.ARN, revision: j.f.Revision, all: map[*instance]bool{}}
		j.r.pools[j.f.QualifiedARN()] = p
	}
	j.i = j.r.newInstance(p, j.f) //nolint:contextcheck // an instance lives as long as the runtime, not as the call
	j.r.mu.Unlock()
	return j.waitInit(ctx, j.f.Timeout)
}

// timeout ends a call that took too long, and its instance with it; an answer
// that came in the same moment wins.
func (j *job) timeout() outcome {
	if !j.i.abandon(j.c) {
		return <-j.c.done
	}
	o := j.timeoutOutcome()
	j.i.retire()
	j.i.kill()
	<-j.i.ended // what it printed last belongs to this call's log
	return o
}

func (j *job) timeoutOutcome() outcome {
	return outcome{failed: true, dead: true, kind: "Sandbox.Timedout",
		note: fmt.Sprintf("Task timed out after %.2f seconds", j.f.Timeout.Seconds())}
}

// retire keeps the instance from being taken again.
func (i *instance) retire() {
	i.rt.mu.Lock()
	i.retired = true
	i.rt.mu.Unlock()
}

// finish logs the end of a call and makes its result.
func (j *job) finish(o outcome) *lambda.Result {
	defer j.release()
	defer j.i.closed()
	took := j.r.cfg.Now().Sub(j.from)
	id := j.in.RequestID
	if o.kind == "Sandbox.Timedout" {
		took = j.f.Timeout
	}
	if o.dead {
		j.i.retire()
		j.i.kill()
		<-j.i.ended
	}
	log := j.i.log
	res := &lambda.Result{
		Status: 200, Payload: o.payload, Version: j.f.Version, RequestID: id, Duration: took,
		Billed: (took + j.init + time.Millisecond - 1).Truncate(time.Millisecond), Init: j.init,
	}
	status := ""
	if o.failed {
		res.FunctionError = lambda.UnhandledError
		if res.Payload == nil {
			message := "RequestId: " + id + " " + o.note
			if o.kind == "Sandbox.Timedout" {
				message = "RequestId: " + id + " Error: " + o.note
			}
			res.Payload = failure(o.kind, message)
		}
	}
	if o.kind == "Sandbox.Timedout" {
		res.Billed = took
		status = "Status: timeout"
	} else if o.dead {
		status = "Status: error\tError Type: " + o.kind
	}
	if log == nil {
		return res
	}
	log.drain()
	switch {
	case o.kind == "Sandbox.Timedout":
		log.service(fmt.Sprintf("%s %s %s", j.r.cfg.Now().UTC().Format("2006-01-02T15:04:05.000Z"), id, o.note))
	case o.note != "":
		log.service(fmt.Sprintf("RequestId: %s %s\n%s", id, o.note, o.kind))
	}
	if j.i.proc != nil {
		_, peak := j.i.proc.Memory()
		res.MaxMemoryMB = int((peak + 1<<20 - 1) >> 20)
		if o.kind == "Runtime.OutOfMemory" {
			res.MaxMemoryMB = j.f.MemoryMB
		}
	}
	init := ""
	if j.cold && j.init > 0 {
		init = fmt.Sprintf("\tInit Duration: %.2f ms", ms(j.init))
	}
	log.service("END RequestId: " + id)
	log.service(fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %d ms\tMemory Size: %d MB\tMax Memory Used: %d MB%s\t%s",
		id, ms(took), res.Billed.Milliseconds(), j.f.MemoryMB, res.MaxMemoryMB, init, status))
	res.LogTail = log.end()
	return res
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
