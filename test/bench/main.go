// Command bench measures what the server adds to the engine behind it, and
// writes the table of docs/benchmarks.md.
//
// Three processes share the machine: this load generator, a stub engine (this
// program again), and the server under test. Each figure stands beside the same
// figure without the server, from the same run: compare the columns, not two
// runs. Requests are signed one by one before the clock starts, all different;
// what was sent is compared with what the server's log and metrics counted.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	stub := flag.Bool("stub", false, "be the stub engine (internal)")
	bin := flag.String("bin", "bin/outcrop", "server to measure")
	seconds := flag.Int("seconds", 5, "length of each load")
	out := flag.String("write", "", "also write the table to this file")
	only := flag.String("only", "", "gateway, account or agents: measure one part, for work on it")
	flag.Parse()
	if *stub {
		log.Fatal(serveStub())
	}
	if *only != "" && *out != "" {
		log.Fatal("bench: -write takes the whole table, so -only cannot be with it")
	}
	table, err := measure(*bin, time.Duration(*seconds)*time.Second, *only)
	if table != "" {
		fmt.Print(table)
	}
	if err != nil {
		log.Fatal("bench: ", err)
	}
	if *out != "" {
		if err := os.WriteFile(*out, []byte(table), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

func measure(bin string, length time.Duration, only string) (string, error) {
	engine, stopEngine, err := startStub()
	if err != nil {
		return "", err
	}
	defer stopEngine()
	var gateway, account, agents table
	if only == "" || only == "gateway" {
		if err := measureGateway(&gateway, bin, engine, length); err != nil {
			return "", err
		}
	}
	if only == "" || only == "account" {
		if err := measureAccount(&account, bin, engine, length); err != nil {
			return "", err
		}
	}
	if only == "" || only == "agents" {
		if err := measureAgents(&agents, bin); err != nil {
			return "", err
		}
	}
	return markdown(&gateway, &account, &agents), errors.Join(gateway.err(), account.err(), agents.err())
}

// measureAccount is what a program's account costs: permissions, S3, Lambda.
func measureAccount(t *table, bin, engine string, length time.Duration) error {
	if err := measureDecisions(t); err != nil {
		return err
	}
	s, err := startServer(bin, engine)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := measureS3(t, s, length); err != nil {
		return err
	}
	if err := measureLambda(t, s); err != nil {
		return err
	}
	return s.stop()
}

func measureGateway(t *table, bin, engine string, length time.Duration) error {
	s, err := startServer(bin, engine)
	if err != nil {
		return err
	}
	defer s.stop()
	raw := func(n int, stream bool) [][]byte { return rawRequests(engine, n, stream) }
	signed := func(n int, stream bool) ([][]byte, error) { return s.requests(n, stream) }

	// One client: the added latency.
	rawOne := drive(engine, raw(3000, false), 1, length)
	reqs, err := signed(3000, false)
	if err != nil {
		return err
	}
	viaOne := drive(s.addr, reqs, 1, length)
	t.row("Converse, 1 client, p50", ms(rawOne.p50()), ms(viaOne.p50()), "added "+ms(viaOne.p50()-rawOne.p50()), "≤ 0.25 ms added", viaOne.p50()-rawOne.p50() <= 250*time.Microsecond)
	t.row("Converse, 1 client, p99", ms(rawOne.p99()), ms(viaOne.p99()), "added "+ms(viaOne.p99()-rawOne.p99()), "", true)

	// Many clients: throughput.
	n := int(length.Seconds() * 30_000)
	rawMany := drive(engine, raw(n, false), 32, length)
	if reqs, err = signed(n, false); err != nil {
		return err
	}
	viaMany := drive(s.addr, reqs, 32, length)
	t.row("Converse, 32 clients", rate(rawMany), rate(viaMany), fmt.Sprintf("%.0f %%", 100*viaMany.perSecond()/rawMany.perSecond()), "≥ 10 000/s", viaMany.perSecond() >= 10_000)
	t.row("Converse, 32 clients, p99", ms(rawMany.p99()), ms(viaMany.p99()), "", "", true)

	// Streams: the first token, and the pace of a paced engine.
	rawStream := drive(engine, raw(40, true), 1, time.Minute)
	if reqs, err = signed(40, true); err != nil {
		return err
	}
	viaStream := drive(s.addr, reqs, 1, time.Minute)
	added := viaStream.first() - rawStream.first()
	t.row("ConverseStream, first token, p50", ms(rawStream.first()), ms(viaStream.first()), "added "+ms(added), "≤ 1 ms added", added <= time.Millisecond)
	ratio := 100 * float64(rawStream.p50()) / float64(viaStream.p50())
	t.row(fmt.Sprintf("ConverseStream, %d tokens %s apart", streamTokens, streamGap), ms(rawStream.p50()), ms(viaStream.p50()), fmt.Sprintf("%.1f %%", ratio), "≥ 98 %", ratio >= 98)

	failed := rawOne.failed + viaOne.failed + rawMany.failed + viaMany.failed + rawStream.failed + viaStream.failed
	sent := viaOne.count + viaMany.count + viaStream.count
	t.row("requests that failed", "", strconv.Itoa(failed), "", "0", failed == 0)
	counted, err := s.counted()
	if err != nil {
		return err
	}
	t.row("requests sent, and counted by /metrics", strconv.Itoa(sent), strconv.Itoa(counted), "", "equal", sent == counted)
	t.row("resident memory after the load", "", mib(s.rss()), "", "", true)
	if err := s.stop(); err != nil {
		return err
	}
	logged := bytes.Count(s.log.Bytes(), []byte("msg=request"))
	t.row("requests in the log", strconv.Itoa(sent), strconv.Itoa(logged), "", "equal", sent == logged)

	// Starts: seven times, the median, engine lazy; then at rest.
	var ready []time.Duration
	for range 7 {
		q, err := startServer(bin, engine)
		if err != nil {
			return err
		}
		ready = append(ready, q.ready)
		if len(ready) == 7 {
			time.Sleep(time.Second)
			t.row("memory at rest", "", mib(q.rss()), "", "< 60 MB", q.rss() < 60<<20)
		}
		if err := q.stop(); err != nil {
			return err
		}
	}
	t.row("start to ready (median of 7)", "", ms(median(ready)), "", "< 300 ms", median(ready) < 300*time.Millisecond)
	if st, err := os.Stat(bin); err == nil {
		t.row("binary", "", mib(st.Size()), "", "< 80 MB", st.Size() < 80<<20)
	}
	return nil
}

// server is an outcrop process under test.
type server struct {
	cmd      *exec.Cmd
	data     string
	addr     string
	ready    time.Duration
	log      bytes.Buffer
	key      string
	secret   string
	done     chan error
	finished bool
}

func startServer(bin, engine string, more ...string) (*server, error) {
	data, err := os.MkdirTemp("", "outcrop-bench-")
	if err != nil {
		return nil, err
	}
	s := &server{data: data, done: make(chan error, 1)}
	if !strings.HasPrefix(engine, "script:") {
		engine = "http://" + engine
	}
	s.cmd = exec.Command(bin, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data, "--engine", engine, "--grace", "5s"}, more...)...)
	s.cmd.Stderr = &s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w; run make build first", bin, err)
	}
	line := make(chan string, 1)
	go func() {
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			select {
			case line <- sc.Text():
			default:
			}
		}
		s.done <- s.cmd.Wait()
	}()
	select {
	case l := <-line:
		s.ready = time.Since(start)
		_, s.addr, _ = strings.Cut(l, "http://")
	case err := <-s.done:
		return nil, fmt.Errorf("server ended: %w: %s", err, s.log.String())
	case <-time.After(30 * time.Second):
		s.cmd.Process.Kill()
		return nil, fmt.Errorf("server was not ready after 30 s: %s", s.log.String())
	}
	b, err := os.ReadFile(filepath.Join(data, "connection.json"))
	if err != nil {
		return nil, err
	}
	var c struct{ AccessKeyID, SecretAccessKey string }
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, err
	}
	s.key, s.secret = c.AccessKeyID, c.SecretAccessKey
	return s, nil
}

func (s *server) stop() error {
	if s.finished {
		return nil
	}
	s.finished = true
	defer os.RemoveAll(s.data)
	_ = s.cmd.Process.Signal(os.Interrupt)
	select {
	case err := <-s.done:
		return err
	case <-time.After(15 * time.Second):
		s.cmd.Process.Kill()
		return fmt.Errorf("server did not stop")
	}
}

// counted is the sum of the request counter of /metrics.
func (s *server) counted() (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.addr+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n := 0.0
	line := regexp.MustCompile(`^outcrop_requests_total\{.*\} ([0-9.e+]+)$`)
	for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
		if m := line.FindStringSubmatch(sc.Text()); m != nil {
			v, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				return 0, err
			}
			n += v
		}
	}
	return int(n), nil
}

func (s *server) rss() int64 { return s.memory("VmRSS:") }

func startStub() (addr string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(self, "-stub")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	sc := bufio.NewScanner(out)
	if !sc.Scan() {
		return "", nil, fmt.Errorf("the stub engine did not start")
	}
	return sc.Text(), func() { cmd.Process.Kill(); cmd.Wait() }, nil
}

// table gathers the rows.
type table struct {
	rows   []string
	missed []string
}

func (t *table) row(what, raw, via, compared, bar string, met bool) {
	state := ""
	if bar != "" {
		state = "met"
		if !met {
			state = "**missed**"
			t.missed = append(t.missed, what)
		}
	}
	t.rows = append(t.rows, fmt.Sprintf("| %s | %s | %s | %s | %s | %s |", what, raw, via, compared, bar, state))
}

// markdown is the page of both tables.
func markdown(gateway, account, agents *table) string {
	cpu := "?"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(b); m != nil {
			cpu = string(m[1])
		}
	}
	page := fmt.Sprintf("# Benchmarks\n\nWritten by `make bench` on %s: %d cores (%s), %s. Load generator, stub engine and server share the cores;\nsignatures, identity, request log and metrics are on.\n",
		time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), cpu, runtime.Version())
	for _, part := range []struct {
		about, alone string
		t            *table
	}{
		{"The first column is the stub engine alone, in the same run.", "engine alone", gateway},
		{"Agents on the script engine, with an HTTP hook in the place of the function; both answer at once unless a time is named. The first column is what they take.", "alone", agents},
		{"The account beside Bedrock. The first column is what the machine does without Outcrop, in the same run: its disk, its interpreter.", "alone", account},
	} {
		if len(part.t.rows) > 0 {
			page += fmt.Sprintf("\n%s\n\n| what | %s | through Outcrop | compared | bar | |\n|---|---|---|---|---|---|\n%s\n", part.about, part.alone, strings.Join(part.t.rows, "\n"))
		}
	}
	return page
}

func (t *table) err() error {
	if len(t.missed) == 0 {
		return nil
	}
	return fmt.Errorf("missed: %s", strings.Join(t.missed, "; "))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.3f ms", float64(d)/1e6) }
func mib(n int64) string        { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }
func rate(r *result) string     { return fmt.Sprintf("%.0f/s", r.perSecond()) }

func listenLoopback() (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
}
