package slack

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// pipeListener is a net.Listener without a network.
type pipeListener struct {
	conns      chan net.Conn
	done       chan struct{}
	once       sync.Once
	srv        *http.Server
	transports []*http.Transport // owned by Server.mu
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) stop() {
	_ = l.srv.Close()
	_ = l.Close()
}

// dial makes a connection to the listener. Its network and address arguments
// do not matter: there is nowhere else to go.
func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	mine, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return mine, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept is part of net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close is part of net.Listener.
func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is part of net.Listener.
func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "memory" }
func (pipeAddr) String() string  { return "memory" }
