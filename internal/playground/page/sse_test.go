package page_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	qlikemu "github.com/qlik-chatops/bot/internal/emulator/qlik"
)

// watcher is a browser's end of a stream.
type watcher struct {
	t      *testing.T
	body   *bufio.Reader
	cancel func()
	// parts are the fragments as they came last, fresh those since the last
	// look.
	parts map[string]string
	fresh []string
}

// serve serves the world over connections in memory until the test ends it.
func serve(w *world) (client *http.Client, stop func()) {
	l := newInMemory()
	server := &http.Server{Handler: w, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	transport := &http.Transport{DialContext: l.dial}
	return &http.Client{Transport: transport}, func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		<-done
	}
}

// watch opens the stream of one page.
func watch(t *testing.T, client *http.Client, as, channel string) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:8080/events?as="+as+"&channel="+channel, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("the stream is %d %s", resp.StatusCode, got)
	}
	return &watcher{t: t, body: bufio.NewReader(resp.Body), parts: map[string]string{}, cancel: func() { cancel(); _ = resp.Body.Close() }}
}

// next reads the next event; false at the end of the stream.
func (s *watcher) next() (kind string, ok bool) {
	var data string
	for {
		line, err := s.body.ReadString('\n')
		if err != nil {
			return "", false
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" && kind == "fragment":
			var f struct{ ID, HTML string }
			if err := json.Unmarshal([]byte(data), &f); err != nil {
				s.t.Errorf("an event that is no JSON: %v", err)
			}
			s.parts[f.ID] = f.HTML
			s.fresh = append(s.fresh, f.ID)
			return kind, true
		case line == "" && kind != "":
			return kind, true
		case field == "event":
			kind = value
		case field == "data":
			data = value
		}
	}
}

// until reads events until a fragment holds the text.
func (s *watcher) until(id, text string) {
	s.t.Helper()
	s.fresh = nil
	for !strings.Contains(s.parts[id], text) {
		if _, ok := s.next(); !ok {
			s.t.Fatalf("the stream ended before %s had %q", id, text)
		}
	}
}

func (s *watcher) untilReady() {
	s.t.Helper()
	for {
		kind, ok := s.next()
		if !ok {
			s.t.Fatal("the stream ended before the page was whole")
		}
		if kind == "ready" {
			s.fresh = nil
			return
		}
	}
}

func streaming(t *testing.T, f func(t *testing.T, w *world, a *app, client *http.Client)) {
	inBubble(t, func(t *testing.T, w *world, a *app) {
		client, stop := serve(w)
		defer stop()
		f(t, w, a, client)
	})
}

func TestTheStreamBeginsWithThePageAsItStands(t *testing.T) {
	streaming(t, func(t *testing.T, w *world, a *app, client *http.Client) {
		a.call("chat.postMessage", at("C0APPROVE", waiting()))
		s := watch(t, client, "U0BEN", "C0APPROVE")
		defer s.cancel()
		s.untilReady()
		text := w.get("U0BEN", "C0APPROVE")
		if len(s.parts) < 20 {
			t.Errorf("only %d parts came", len(s.parts))
		}
		for id, html := range s.parts {
			contains(t, text, ` id="`+id+`"`)
			if !strings.Contains(text, html) {
				t.Errorf("the part %s is not what the page holds: %s", id, html)
			}
		}
	})
}

func TestWhatHappensIsSentAsItHappens(t *testing.T) {
	streaming(t, func(t *testing.T, w *world, a *app, client *http.Client) {
		s := watch(t, client, "U0BEN", "C0OPS")
		defer s.cancel()
		s.untilReady()

		ts := a.call("chat.postMessage", at("C0OPS", obj{"text": "hello all"}))["ts"]
		s.until("timeline", "hello all")
		for _, id := range s.fresh {
			if strings.HasPrefix(id, "tenant-") {
				t.Errorf("%s came again without a change", id)
			}
		}
		a.call("chat.update", obj{"channel": "C0OPS", "ts": ts, "text": "hello again"})
		s.until("timeline", "hello again")
		a.call("chat.postMessage", at("C0APPROVE", obj{"text": "elsewhere"}))
		s.until("channels", "1<span")

		u, _ := w.prod.UserByEmail("ben@example.com")
		if err := w.prod.UpdateUser(u.ID, func(u *qlikemu.User) { u.Roles = []string{"TenantAdmin"} }); err != nil {
			t.Fatal(err)
		}
		s.until("tenant-prod-facts", "2 active admins")
		contains(t, s.parts["tenant-prod-users"], `<span class="role admin">`)
		for _, id := range s.fresh {
			if strings.HasPrefix(id, "tenant-home") || id == "timeline" {
				t.Errorf("%s came again without a change", id)
			}
		}
		w.post("/ui/command", "U0BEN", "C0OPS", "text", "not a command")
		s.until("timeline", `data-note="not_a_command"`)
		w.post("/ui/weather", "U0ANA", "C0OPS", "fault", "qlik-slow", "on", "yes")
		s.until("weather-switches", `aria-pressed="true"`)
	})
}

func TestACallThatIsHeldIsShownBeforeItIsAnswered(t *testing.T) {
	streaming(t, func(t *testing.T, w *world, a *app, client *http.Client) {
		s := watch(t, client, "U0BEN", "C0OPS")
		defer s.cancel()
		s.untilReady()
		token := a.qlikToken(w)
		w.post("/ui/weather", "U0ANA", "C0OPS", "fault", "qlik-slow", "on", "yes")
		began := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.qlik(w, token, "GET", "/api/v1/users", "")
		}()
		s.until("tenant-prod-calls", "waiting…")
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("shown after %s", took)
		}
		s.until("tenant-prod-calls", "fault: answered after taking effect, delayed 30s")
		<-done
	})
}

func TestAFormComesToItsReaderAlone(t *testing.T) {
	streaming(t, func(t *testing.T, w *world, _ *app, client *http.Client) {
		ana, ben := watch(t, client, "U0ANA", "C0OPS"), watch(t, client, "U0BEN", "C0OPS")
		defer ana.cancel()
		defer ben.cancel()
		ana.untilReady()
		ben.untilReady()
		a, _ := opened(w, inviteForm(), func(obj) any { return nil })
		defer a.stop()
		ana.until("views", "/qlik invite")
		w.post("/ui/command", "U0BEN", "C0OPS", "text", "a mark")
		ben.until("timeline", "carries commands only")
		lacks(t, ben.parts["views"], "dialog")
	})
}

func TestStreamsEndWithThePage(t *testing.T) {
	streaming(t, func(t *testing.T, w *world, _ *app, client *http.Client) {
		s := watch(t, client, "U0BEN", "C0OPS")
		defer s.cancel()
		s.untilReady()
		go w.page.Close()
		for {
			if _, ok := s.next(); !ok {
				break
			}
		}
		synctest.Wait()
		if code := w.do(form("/ui/weather", true, "U0ANA", "C0OPS", "fault", "reset")).Code; code != http.StatusServiceUnavailable {
			t.Errorf("a closed page answers %d", code)
		}
	})
}

func TestAStreamEndsWhenItsBrowserGoes(t *testing.T) {
	streaming(t, func(t *testing.T, w *world, a *app, client *http.Client) {
		s := watch(t, client, "U0BEN", "C0OPS")
		s.untilReady()
		s.cancel()
		synctest.Wait()
		// Nothing is left to be told; Close would wait for it.
		a.call("chat.postMessage", at("C0OPS", obj{"text": "to nobody"}))
		w.page.Close()
	})
}

func TestAStreamEndsWithTheEmulators(t *testing.T) {
	streaming(t, func(t *testing.T, w *world, _ *app, client *http.Client) {
		s := watch(t, client, "U0BEN", "C0OPS")
		defer s.cancel()
		s.untilReady()
		w.prod.Close()
		for {
			if _, ok := s.next(); !ok {
				return
			}
		}
	})
}
