package qlik

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"

	"golang.org/x/oauth2"
)

// maxBody is the largest body that is read. A page of a hundred users with
// their groups and roles stays far below it.
const maxBody = 16 << 20

// received is what one request met: nothing (status 0), or a status with as
// much of the body as came.
type received struct {
	status int
	header http.Header
	body   []byte
	// unsent: no answer, and the request certainly did not reach Qlik whole.
	unsent bool
}

func (r received) redirect() bool {
	switch r.status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// send makes one HTTP exchange, straight on the transport: no redirect is
// followed, no cookie kept. A request with a body is never sent twice by the
// transport, which could repeat it only if it could read the body again.
func (k *core) send(ctx context.Context, op Operation, u *url.URL, body []byte, tok *oauth2.Token) (received, error) {
	if ctx.Err() != nil {
		return received{unsent: true}, context.Cause(ctx)
	}
	var seen trace
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, seen.hooks()), op.Method, u.String(), nil)
	if err != nil {
		return received{unsent: true}, errors.New("the request cannot be made")
	}
	var gate *bodyGate
	if body != nil {
		gate = &bodyGate{rest: bytes.NewReader(body)}
		req.Body, req.ContentLength, req.GetBody = gate, int64(len(body)), nil
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", k.userAgent)
	if tok != nil {
		tok.SetAuthHeader(req)
	}
	resp, err := k.transport.RoundTrip(req)
	if err != nil {
		// The gate decides first: closing it makes "not one byte of the body
		// has left" true for good, however late the transport's own goroutines
		// are. Without a body only a connection that was looked for and never
		// had is proof.
		return received{unsent: gate.closeUnread() || seen.noConnection()}, err
	}
	defer func() { _ = resp.Body.Close() }() // reading has told all there is to know
	got := received{status: resp.StatusCode, header: resp.Header}
	got.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && len(got.body) > maxBody {
		got.body, err = nil, fmt.Errorf("%w: longer than %d bytes", ErrGarbled, maxBody)
	}
	return got, err
}

// bodyGate is a request body that knows whether it was ever read, and that can
// be closed against being read later. Without its Content-Length's worth of
// body no server can carry out the request, so a gate closed in time is proof
// that nothing happened.
type bodyGate struct {
	mu     sync.Mutex // guards all fields; the transport reads in its own goroutine
	rest   *bytes.Reader
	read   bool
	closed bool
}

// Read is io.Reader.
func (g *bodyGate) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return 0, errGateClosed
	}
	g.read = true
	return g.rest.Read(p)
}

// Close is io.Closer. The transport may close the body before the answer is
// in; the gate stays open, for its word is only wanted when there is none.
func (g *bodyGate) Close() error { return nil }

// closeUnread closes the gate and says whether nothing has passed. A nil gate
// knows nothing.
func (g *bodyGate) closeUnread() bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return !g.read
}

var errGateClosed = errors.New("the request was given up before it was sent")

// trace notes how far the transport came with getting a connection.
type trace struct {
	asked, got atomic.Bool
}

func (t *trace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { t.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { t.got.Store(true) },
	}
}

// noConnection is proof that nothing was sent. A transport that does not tell
// of its connections proves nothing.
func (t *trace) noConnection() bool { return t.asked.Load() && !t.got.Load() }
