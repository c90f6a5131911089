package playground

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// network connects the bot with the emulators: over loopback sockets for the
// demo, or in memory, where time can be faked.
type network struct {
	memory bool

	mu      sync.Mutex // guards what follows
	hosts   map[string]*pipes
	servers []*http.Server
	wg      sync.WaitGroup
}

func newNetwork(memory bool) *network {
	return &network{memory: memory, hosts: map[string]*pipes{}}
}

// serve puts a handler on the network and returns its address (host:port).
// In memory the address is made up and means nothing elsewhere.
func (n *network) serve(addr string, h http.Handler) (string, error) {
	var ln net.Listener
	if n.memory {
		p := &pipes{addr: fmt.Sprintf("127.0.0.1:%d", 1+len(n.hosts)), conns: make(chan net.Conn), done: make(chan struct{})}
		n.mu.Lock()
		n.hosts[p.addr] = p
		n.mu.Unlock()
		ln, addr = p, p.addr
	} else {
		var listen net.ListenConfig
		var err error
		if ln, err = listen.Listen(context.Background(), "tcp", addr); err != nil {
			return "", fmt.Errorf("listen: %w", err)
		}
		addr = ln.Addr().String()
	}
	server := &http.Server{Handler: h} //nolint:gosec // loopback only; the emulators hold requests on purpose
	n.mu.Lock()
	n.servers = append(n.servers, server)
	n.mu.Unlock()
	n.wg.Go(func() { _ = server.Serve(ln) })
	return addr, nil
}

// transport reaches the network's own addresses and nothing else.
func (n *network) transport() *http.Transport {
	t := &http.Transport{MaxIdleConnsPerHost: 8}
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if !n.memory {
			host, _, err := net.SplitHostPort(addr)
			if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
				return nil, errors.New("the playground reaches loopback addresses only")
			}
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		}
		n.mu.Lock()
		p, ok := n.hosts[addr]
		n.mu.Unlock()
		if !ok {
			return nil, fmt.Errorf("there is nobody at %s", addr)
		}
		return p.dial(ctx)
	}
	return t
}

// close ends every server and connection.
func (n *network) close() {
	n.mu.Lock()
	servers := n.servers
	n.mu.Unlock()
	for _, s := range servers {
		_ = s.Close()
	}
	n.wg.Wait()
}

// pipes is a listener in memory.
type pipes struct {
	addr  string
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept waits for the next connection.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr is the made-up address.
func (p *pipes) Addr() net.Addr { return pipeAddr(p.addr) }

type pipeAddr string

func (pipeAddr) Network() string  { return "memory" }
func (a pipeAddr) String() string { return string(a) }
