package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// gather is how long a stream waits after a change for those that come
	// with it.
	gather = 30 * time.Millisecond
	// lookAgain is how often tenants are looked at without an event, because a
	// call that has begun is not announced before it ends.
	lookAgain = time.Second
	// beat keeps proxies and dead connections honest.
	beat = 15 * time.Second
	// writeWithin bounds the write to a browser that does not read.
	writeWithin = 20 * time.Second
)

// dirt is what has changed since a stream last looked.
type dirt struct {
	wake chan struct{}

	mu      sync.Mutex // owns what follows
	chat    bool
	tenants map[int]bool
	ended   bool
}

func (d *dirt) mark(f func(*dirt)) {
	d.mu.Lock()
	f(d)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// all has every tenant looked at again.
func (d *dirt) all(tenants int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range tenants {
		d.tenants[i] = true
	}
}

func (d *dirt) take() (chat bool, tenants map[int]bool, ended bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	chat, tenants, ended = d.chat, d.tenants, d.ended
	d.chat, d.tenants = false, map[int]bool{}
	return chat, tenants, ended
}

// watch follows everything that the page shows, until stop is called. Stop
// returns when its goroutines have ended.
func (p *Page) watch() (d *dirt, stop func()) {
	d = &dirt{wake: make(chan struct{}, 1), chat: true, tenants: map[int]bool{}}
	d.wake <- struct{}{} // the first look
	var wg sync.WaitGroup
	var stops []func()

	own := make(chan struct{}, 1)
	quit := make(chan struct{})
	p.mu.Lock()
	p.watchers[own] = true
	p.mu.Unlock()
	stops = append(stops, func() {
		p.mu.Lock()
		delete(p.watchers, own)
		p.mu.Unlock()
		close(quit)
	})
	wg.Go(func() {
		for {
			select {
			case <-own:
				d.mark(func(d *dirt) { d.chat = true })
			case <-quit:
				return
			}
		}
	})

	events, unsubscribe := p.cfg.Slack.Subscribe()
	stops = append(stops, unsubscribe)
	wg.Go(func() {
		for range events {
			d.mark(func(d *dirt) { d.chat = true })
		}
		d.mark(func(d *dirt) { d.ended = true })
	})
	for i, t := range p.cfg.Tenants {
		d.tenants[i] = true
		changes, unsubscribe := t.Server.Subscribe()
		stops = append(stops, unsubscribe)
		wg.Go(func() {
			for range changes {
				d.mark(func(d *dirt) { d.tenants[i] = true })
			}
			d.mark(func(d *dirt) { d.ended = true })
		})
	}
	return d, func() {
		for _, f := range stops {
			f()
		}
		wg.Wait()
	}
}

// serveEvents is the stream of what changes on one page. The first events are
// the whole page, so that nothing that happened before it is missed.
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	as, channel := r.URL.Query().Get("as"), r.URL.Query().Get("channel")
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	out := &stream{w: w, ctl: http.NewResponseController(w), sent: map[string]string{}}
	if !out.write("retry: 1000\n\n") {
		return
	}
	d, stop := p.watch()
	defer stop()

	again, alive := time.NewTicker(lookAgain), time.NewTicker(beat)
	defer again.Stop()
	defer alive.Stop()
	ready := false // the whole page has been sent once
	for {
		select {
		case <-r.Context().Done():
			return
		case <-p.done:
			return
		case <-alive.C:
			if !out.write(": beat\n\n") {
				return
			}
			continue
		case <-again.C:
			d.all(len(p.cfg.Tenants))
		case <-d.wake:
			if !pause(r, p.done) {
				return
			}
		}
		chat, tenants, ended := d.take()
		if !p.update(out, as, channel, chat, tenants) || ended {
			return
		}
		if !ready && !out.write("event: ready\ndata: {}\n\n") {
			return
		}
		ready = true
	}
}

// pause lets changes that belong together gather.
func pause(r *http.Request, done <-chan struct{}) bool {
	t := time.NewTimer(gather)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
	case <-done:
	}
	return false
}

// update sends the fragments that are not as they were sent last.
func (p *Page) update(out *stream, as, channel string, chat bool, tenants map[int]bool) bool {
	d := &pageData{}
	if chat {
		d = p.chat(as, channel)
	}
	d.Tenants = make([]tenantData, len(p.cfg.Tenants))
	for i, t := range p.cfg.Tenants {
		if tenants[i] {
			d.Tenants[i] = p.tenant(t)
		} else {
			d.Tenants[i].Label = t.Label
		}
	}
	for _, f := range d.fragments() {
		if f.tenant < 0 && !chat || f.tenant >= 0 && !tenants[f.tenant] {
			continue
		}
		html, err := p.render(f)
		if err != nil {
			p.log.Error("cannot show a part of the page", "error", err)
			continue
		}
		if !out.fragment(f.id, html) {
			return false
		}
	}
	return true
}

// stream is one browser's connection.
type stream struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	sent map[string]string
}

func (s *stream) fragment(id, html string) bool {
	if before, ok := s.sent[id]; ok && before == html {
		return true
	}
	body, err := json.Marshal(map[string]string{"id": id, "html": html})
	if err != nil || !s.write(fmt.Sprintf("event: fragment\ndata: %s\n\n", body)) {
		return false
	}
	s.sent[id] = html
	return true
}

// write is false when the browser has gone.
func (s *stream) write(text string) bool {
	// A server without deadlines is as good: the context ends the stream then.
	_ = s.ctl.SetWriteDeadline(time.Now().Add(writeWithin))
	if _, err := strings.NewReader(text).WriteTo(s.w); err != nil {
		return false
	}
	return s.ctl.Flush() == nil
}
