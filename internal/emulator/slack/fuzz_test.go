package slack

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// frame is one WebSocket frame as a client sends it, masked with zeros.
func frame(fin bool, opcode byte, size int) []byte {
	b := []byte{opcode}
	if fin {
		b[0] |= 0x80
	}
	switch {
	case size < 126:
		b = append(b, 0x80|byte(size))
	case size < 1<<16:
		b = append(b, 0x80|126, byte(size>>8), byte(size))
	default:
		b = append(b, 0x80|127, 0, 0, 0, 0, byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
	}
	return append(b, make([]byte, 4+size)...)
}

// FuzzFrames: however the bytes are cut up on their way, the frames of each
// message are counted alike, and control frames between them do not matter.
func FuzzFrames(f *testing.F) {
	f.Add(uint16(1), uint16(5), uint16(0), byte(3))
	f.Add(uint16(20480), uint16(126), uint16(125), byte(1))
	f.Add(uint16(65535), uint16(0), uint16(127), byte(200))
	f.Fuzz(func(t *testing.T, a, b, c uint16, step byte) {
		var wire []byte
		wire = append(wire, frame(true, 1, int(a))...)
		wire = append(wire, frame(false, 1, int(b))...)
		wire = append(wire, frame(true, 9, 3)...)
		wire = append(wire, frame(true, 0, int(c))...)
		wire = append(wire, frame(true, 1, int(a)+1<<16)...)
		w := &frameWatch{in: strings.NewReader(string(wire))}
		buf := make([]byte, int(step)+1)
		for {
			if _, err := w.Read(buf); errors.Is(err, io.EOF) {
				break
			}
		}
		if diff := cmp.Diff([]int{1, 2, 1}, w.done); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzTyped: whatever is typed, nothing but what the emulator itself made
// stands in angle brackets.
func FuzzTyped(f *testing.F) {
	for _, text := range []string{
		"add @ana because <b>", "invite a@example.com https://example.com/<x>|y", "\x00\ue000\x00 @ana", "<!channel> & <@U0ANA>", "#ops @here.",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := New(Config{MailtoLinks: true})
		defer s.Close()
		s.AddUser(User{ID: "U0ANA", Name: "ana"})
		out := s.escapeTyped(text)
		rest := anyToken.ReplaceAllStringFunc(out, func(token string) string {
			for _, start := range []string{"<@U0ANA>", "<@U0BOT>", "<!here>", "<!channel>", "<!everyone>", "<mailto:", "<http://", "<https://"} {
				if strings.HasPrefix(token, start) {
					return ""
				}
			}
			t.Fatalf("%q became %q, with %q", text, out, token)
			return ""
		})
		if strings.ContainsAny(rest, "<>") {
			t.Fatalf("%q became %q", text, out)
		}
	})
}

// FuzzBlocks: no JSON makes the checks fail otherwise than by complaining, and
// what was accepted once is accepted again with the IDs filled in.
func FuzzBlocks(f *testing.F) {
	for _, text := range []string{
		`[{"type":"section","text":{"type":"mrkdwn","text":"x"}}]`,
		`[{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"x"}},null]}]`,
		`[{"type":"input","label":{},"element":{"type":"checkboxes","options":[null,{"text":1}],"initial_options":[2]}}]`,
		`[{"type":"rich_text","elements":[{"type":"rich_text_list","style":"bullet","elements":[{"type":"rich_text_section","elements":[7]}]}]}]`,
		`[{"type":"section","fields":[1],"accessory":{"type":"static_select","option_groups":[{"options":[]}],"confirm":3}}]`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var list []any
		if json.Unmarshal([]byte(text), &list) != nil {
			return
		}
		s := New(Config{})
		defer s.Close()
		c := s.newCheck("message")
		c.blocks("/blocks", list)
		initialState(list)
		s.mentionsLocked(content{text: text, blocks: list}, true)
		if len(c.complaints) > 0 {
			return
		}
		again := s.newCheck("message")
		again.blocks("/blocks", clone[[]any](list))
		if len(again.complaints) > 0 {
			t.Fatalf("%s: %q", text, again.complaints)
		}
	})
}
