package slack

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// hook is what a response_url stands for. Owned by Server.mu.
type hook struct {
	user, channel string
	original      *message // what replace_original and delete_original mean
	issued        time.Time
	uses          int
}

// hookLocked mints a response_url; kind is "commands" or "actions".
func (s *Server) hookLocked(kind, user, channel string, original *message) (string, *hook) {
	s.serial++
	path := fmt.Sprintf("/%s/%s/%d/%s", kind, s.cfg.TeamID, s.serial, secret())
	h := &hook{user: user, channel: channel, original: original, issued: time.Now()}
	s.hooks[path] = h
	return s.baseLocked() + path, h
}

// hookFields are the fields that a response_url takes.
func hookFields() []string {
	return []string{
		"text", "blocks", "attachments", "response_type", "replace_original", "delete_original", "thread_ts",
		"mrkdwn", "parse", "link_names", "unfurl_links", "unfurl_media", "metadata",
	}
}

func (s *Server) serveHook(w http.ResponseWriter, r *http.Request) {
	call := Call{Method: "response_url", At: time.Now(), Status: http.StatusOK}
	raw, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	body, bad := hookBody(raw)
	if err != nil {
		bad = "invalid_payload"
	}
	call.Args = recorded(body)
	fault := s.takeFault(call)
	if fault != nil && !s.faultBefore(w, fault, &call) {
		return
	}
	var status int
	if r.Method != http.MethodPost {
		status, bad = http.StatusMethodNotAllowed, "method_not_allowed"
	} else {
		status, bad = s.useHook(r.URL.Path, body, bad)
	}
	call.Status, call.Error = status, bad
	if fault != nil && !s.faultAfter(w, fault, &call) {
		return
	}
	if bad == "" {
		_, _ = io.WriteString(w, "ok")
	} else {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write(mustJSON(fail(bad)))
	}
	s.record(call)
}

// hookBody decodes a body: JSON, or a form whose payload is JSON.
func hookBody(raw []byte) (map[string]any, string) {
	text := strings.TrimSpace(string(raw))
	var body map[string]any
	if json.Unmarshal([]byte(text), &body) != nil || body == nil {
		return map[string]any{}, "invalid_payload"
	}
	for k := range body {
		if !slices.Contains(hookFields(), k) {
			return body, "invalid_payload"
		}
	}
	return body, ""
}

// useHook carries out one post to a response URL. Posts that are refused for
// their content do not use it up.
func (s *Server) useHook(path string, body map[string]any, bad string) (int, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hooks[path]
	switch {
	case h == nil:
		return http.StatusNotFound, "invalid_url"
	case time.Since(h.issued) >= s.cfg.ResponseURLLife:
		return http.StatusNotFound, "expired_url"
	case h.uses >= s.cfg.ResponseURLUses:
		return http.StatusNotFound, "used_url"
	case bad != "":
		return http.StatusBadRequest, bad
	}
	if _, bad := s.respondLocked(h, body, "response_url"); bad != nil {
		code, _ := bad["error"].(string)
		return http.StatusBadRequest, code
	}
	h.uses++
	return http.StatusOK, ""
}

// respondLocked posts, replaces or deletes as a response body asks. The bot
// need not be a member of the channel.
func (s *Server) respondLocked(h *hook, body map[string]any, via string) (*message, reply) {
	c := &apiCall{method: via, args: body}
	said, bad := s.contentLocked(c)
	if bad != nil {
		return nil, bad
	}
	kind := c.str("response_type")
	if kind != "" && kind != "ephemeral" && kind != "in_channel" {
		return nil, fail("invalid_response_type")
	}
	original := h.original
	if original != nil && original.deleted {
		original = nil
	}
	if c.flag("delete_original") {
		if original != nil {
			s.deleteLocked(original)
		}
		if said.empty() {
			return nil, nil
		}
		original = nil
	}
	if said.empty() {
		return nil, fail("no_text")
	}
	if c.flag("replace_original") && original != nil {
		s.editLocked(original, via, said)
		return original, nil
	}
	to := h.user
	if kind == "in_channel" {
		to = ""
	}
	m := s.postLocked(h.channel, c.str("thread_ts"), to, via, said)
	if h.original == nil {
		h.original = m
	}
	return m, nil
}
