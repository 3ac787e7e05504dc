//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"os"
	"strconv"
	"sync"
	"time"
)

// How often the watcher looks: seldom where the kernel holds a hard limit, often
// where the watcher is all there is.
const (
	lookSeldom = 200 * time.Millisecond
	lookOften  = 25 * time.Millisecond
)

// watcher counts the resident memory of a jail and calls over once when it
// exceeds the limit.
type watcher struct {
	pid   int // the stage
	limit int64
	over  func()
	quit  chan struct{}
	ended chan struct{}

	mu        sync.Mutex
	now, peak int64
	looked    time.Time
}

func watch(pid int, limit int64, box *cgroup, over func()) *watcher {
	w := &watcher{pid: pid, limit: limit, over: over, quit: make(chan struct{}), ended: make(chan struct{})}
	every := lookSeldom
	if !box.limitsMemory() {
		every = lookOften
	}
	go func() {
		defer close(w.ended)
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-w.quit:
				return
			case <-t.C:
			}
			if w.look() > w.limit {
				w.over()
				return
			}
		}
	}()
	return w
}

func (w *watcher) stop() {
	close(w.quit)
	<-w.ended
}

// look measures once.
func (w *watcher) look() int64 {
	ids, err := tree(w.pid)
	if err != nil {
		return 0
	}
	var sum int64
	for _, id := range ids {
		sum += resident(id)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now, w.peak, w.looked = sum, max(w.peak, sum), time.Now()
	return sum
}

// last measures when the end is near, so that short programs have a number too.
func (w *watcher) last() { w.look() }

// memory is never older than a tenth of a second; asking more often costs nothing.
func (w *watcher) memory() (now, peak int64) {
	w.mu.Lock()
	old := time.Since(w.looked) > 100*time.Millisecond
	w.mu.Unlock()
	select {
	case <-w.quit:
	default:
		if old {
			w.look()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now, w.peak
}

// tree lists the processes below pid, without it.
func tree(pid int) ([]int, error) {
	var out []int
	queue := []int{pid}
	for len(queue) > 0 && len(out) < 4096 {
		dir := "/proc/" + strconv.Itoa(queue[0]) + "/task"
		tasks, err := os.ReadDir(dir)
		if err != nil && queue[0] == pid {
			return nil, err
		}
		queue = queue[1:]
		for _, t := range tasks {
			b, err := os.ReadFile(dir + "/" + t.Name() + "/children")
			if err != nil {
				continue
			}
			for f := range bytes.FieldsSeq(b) {
				if id, err := strconv.Atoi(string(f)); err == nil {
					out = append(out, id)
					queue = append(queue, id)
				}
			}
		}
	}
	return out, nil
}

var pageSize = int64(os.Getpagesize())

// resident is the memory of one process in RAM, in bytes.
func resident(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	i := 0
	for f := range bytes.FieldsSeq(b) {
		if i == 1 {
			n, _ := strconv.ParseInt(string(f), 10, 64)
			return n * pageSize
		}
		i++
	}
	return 0
}
