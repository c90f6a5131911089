package socket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeSlack speaks the server's side of Socket Mode frame by frame, so that a
// test can send anything and see every frame as it came. It knows nothing of
// the library that the loop uses.
type fakeSlack struct {
	ln     *memoryListener
	server *http.Server
	client *http.Client
	wg     sync.WaitGroup

	// open, if set, replaces apps.connections.open; n counts from 1.
	open func(ctx context.Context, n int) (string, error)
	// script, if set, is what happens on a connection after its handshake. The
	// connection stays open afterwards. Default: hello.
	script func(c *fakeConn)
	// status, if not zero, is answered to handshakes instead of 101.
	status int
	header http.Header

	mu    sync.Mutex
	opens []time.Time
	conns []*fakeConn
	most  int // connections open at once
}

// Frame opcodes of RFC 6455, section 5.2.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

type fakeFrame struct {
	fin     bool
	op      byte
	payload []byte
	at      time.Time
}

type fakeConn struct {
	slack  *fakeSlack
	number int
	opened time.Time
	nc     net.Conn
	over   chan struct{} // closed when the reader has ended

	mu      sync.Mutex
	frames  []fakeFrame   // data frames from the client
	pings   int           // from the client
	pongs   int           // from the client
	closed  int           // code of the client's close frame; 0: none came
	ended   time.Time     // when the reader ended
	deaf    bool          // read and answer nothing
	mute    bool          // do not answer pings
	stall   chan struct{} // if set: read nothing more until it is closed
	writeMu sync.Mutex
}

const ticket = "made-up-ticket-5f1d"

func newFakeSlack(t testing.TB) *fakeSlack {
	t.Helper()
	s := &fakeSlack{ln: &memoryListener{conns: make(chan net.Conn), done: make(chan struct{})}}
	s.server = &http.Server{Handler: http.HandlerFunc(s.serve), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	s.wg.Go(func() { _ = s.server.Serve(s.ln) })
	transport := &http.Transport{DialContext: s.ln.dial, DisableKeepAlives: true}
	s.client = &http.Client{Transport: transport}
	t.Cleanup(func() { // inside the bubble
		_ = s.server.Close()
		_ = s.ln.Close()
		for _, c := range s.all() {
			_ = c.nc.Close()
		}
		transport.CloseIdleConnections()
		s.wg.Wait()
	})
	return s
}

// Open is Config.Open.
func (s *fakeSlack) Open(ctx context.Context) (string, error) {
	s.mu.Lock()
	s.opens = append(s.opens, time.Now())
	n := len(s.opens)
	s.mu.Unlock()
	if s.open != nil {
		return s.open(ctx, n)
	}
	return s.address(), nil
}

func (s *fakeSlack) address() string {
	return "ws://wss.slack.example.com/link/?ticket=" + ticket + "&app_id=A0DEMO"
}

func (s *fakeSlack) serve(w http.ResponseWriter, r *http.Request) {
	s.wg.Add(1)
	defer s.wg.Done()
	if s.status != 0 {
		for k, v := range s.header {
			w.Header()[k] = v
		}
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, "no: "+r.URL.String())
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	nc, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	s.mu.Lock()
	c := &fakeConn{slack: s, number: len(s.conns) + 1, opened: time.Now(), nc: nc, over: make(chan struct{})}
	s.conns = append(s.conns, c)
	live := 0
	for _, o := range s.conns {
		if !o.gone() {
			live++
		}
	}
	s.most = max(s.most, live)
	s.mu.Unlock()
	_, _ = fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	s.wg.Go(func() { c.read(rw.Reader) })
	if s.script != nil {
		s.script(c)
	} else {
		c.hello(0)
	}
}

func (s *fakeSlack) all() []*fakeConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*fakeConn(nil), s.conns...)
}

// live returns the connections that are open, oldest first.
func (s *fakeSlack) live() []*fakeConn {
	var out []*fakeConn
	for _, c := range s.all() {
		if !c.gone() {
			out = append(out, c)
		}
	}
	return out
}

func (s *fakeSlack) openTimes() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.opens...)
}

func (c *fakeConn) gone() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

func (c *fakeConn) read(r *bufio.Reader) {
	defer func() {
		c.mu.Lock()
		c.ended = time.Now()
		c.mu.Unlock()
		_ = c.nc.Close()
		close(c.over)
	}()
	for {
		var h [14]byte
		if _, err := io.ReadFull(r, h[:2]); err != nil {
			return
		}
		f := fakeFrame{fin: h[0]&0x80 != 0, op: h[0] & 0x0f, at: time.Now()}
		n := uint64(h[1] & 0x7f)
		switch n {
		case 126:
			if _, err := io.ReadFull(r, h[:2]); err != nil {
				return
			}
			n = uint64(binary.BigEndian.Uint16(h[:]))
		case 127:
			if _, err := io.ReadFull(r, h[:8]); err != nil {
				return
			}
			n = binary.BigEndian.Uint64(h[:])
		}
		var key [4]byte
		if _, err := io.ReadFull(r, key[:]); err != nil {
			return
		}
		f.payload = make([]byte, n)
		if _, err := io.ReadFull(r, f.payload); err != nil {
			return
		}
		for i := range f.payload {
			f.payload[i] ^= key[i%4]
		}
		c.mu.Lock()
		deaf, mute, stall := c.deaf, c.mute, c.stall
		switch f.op {
		case opPing:
			c.pings++
		case opPong:
			c.pongs++
		case opClose:
			c.closed = 1005
			if len(f.payload) >= 2 {
				c.closed = int(binary.BigEndian.Uint16(f.payload))
			}
		default:
			c.frames = append(c.frames, f)
		}
		c.mu.Unlock()
		if stall != nil {
			<-stall
		}
		switch {
		case deaf:
		case f.op == opPing && !mute:
			c.frame(opPong, f.payload)
		case f.op == opClose:
			c.frame(opClose, f.payload)
			return
		}
	}
}

// frame sends one frame.
func (c *fakeConn) frame(op byte, payload []byte) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	head := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		head = append(head, byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 127), uint64(n))
	}
	_, _ = c.nc.Write(append(head, payload...))
}

// sleep waits for d, or less if the connection ends, and reports whether it is
// still open.
func (c *fakeConn) sleep(d time.Duration) bool {
	select {
	case <-c.over:
		return false
	case <-time.After(d):
		return true
	}
}

func (c *fakeConn) text(s string) { c.frame(opText, []byte(s)) }

func (c *fakeConn) hello(numConnections int) {
	if numConnections == 0 {
		numConnections = len(c.slack.live())
	}
	c.text(fmt.Sprintf(`{"type":"hello","num_connections":%d,"connection_info":{"app_id":"A0DEMO"},"debug_info":{"host":"applink-1","build_number":10,"approximate_connection_time":3600}}`, numConnections))
}

func (c *fakeConn) disconnect(reason string) {
	c.text(fmt.Sprintf(`{"type":"disconnect","reason":%q,"debug_info":{"host":"applink-1"}}`, reason))
}

func (c *fakeConn) command(id string) {
	c.text(fmt.Sprintf(`{"envelope_id":%q,"type":"slash_commands","accepts_response_payload":true,"payload":{"command":"/qlik","text":"space list"}}`, id))
}

func (c *fakeConn) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// acks returns the IDs that were acknowledged on this connection.
func (c *fakeConn) acks() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for _, f := range c.frames {
		var a struct {
			EnvelopeID string `json:"envelope_id"`
		}
		if json.Unmarshal(f.payload, &a) != nil {
			a.EnvelopeID = "not JSON: " + string(f.payload)
		}
		ids = append(ids, a.EnvelopeID)
	}
	return ids
}

func (c *fakeConn) closeCode() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// memoryListener is a net.Listener whose connections are pipes.
type memoryListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *memoryListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "memory"} }

// running is a loop under test.
type running struct {
	*Loop
	t    testing.TB
	stop context.CancelFunc
	done chan struct{}
	err  error // after done
	logs *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *logBuffer) count(s string) int { return strings.Count(b.String(), s) }

// ackAll acknowledges every envelope at once.
func ackAll(ctx context.Context, e *Envelope) { _ = e.Ack(ctx, nil) }

// runLoop starts a loop against s. It is ended, if the test has not done so,
// and searched for the ticket when the test is over.
func runLoop(t testing.TB, s *fakeSlack, change func(*Config)) *running {
	t.Helper()
	r := &running{t: t, done: make(chan struct{}), logs: &logBuffer{}}
	cfg := Config{
		Open:        s.Open,
		Allow:       func(*url.URL) error { return nil },
		HTTPClient:  s.client,
		Connections: 2,
		Handle:      ackAll,
		Logger:      slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.Loop, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() {
		defer close(r.done)
		r.err = r.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.done
		if logs := r.logs.String(); strings.Contains(logs, ticket) {
			t.Errorf("the ticket of a connection is in the log:\n%s", logs)
		}
		if r.err != nil && strings.Contains(r.err.Error(), ticket) {
			t.Errorf("the ticket of a connection is in the error of Run: %v", r.err)
		}
	})
	return r
}

// end ends the loop and returns what Run returned.
func (r *running) end() error {
	r.stop()
	<-r.done
	return r.err
}

// up waits until n connections serve.
func (r *running) up(n int) {
	r.t.Helper()
	for range 600 {
		synctest.Wait()
		if r.Status().Up == n {
			return
		}
		time.Sleep(time.Second)
	}
	r.t.Fatalf("after ten minutes %d connections are up, want %d; log:\n%s", r.Status().Up, n, r.logs)
}

// bubble runs a test on fake time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}
