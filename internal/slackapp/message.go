package slackapp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/commands"
)

// PostCard posts a request's card and returns where it stands. A user's ID as
// the channel means the direct messages between that person and the bot.
func (a *App) PostCard(ctx context.Context, channel string, r approval.Request) (approval.Card, error) {
	text, blocks := renderCard(r)
	at, ts, err := a.api.PostMessageContext(ctx, channel, message(text, blocks)...)
	if err != nil {
		a.channels.forget(channel)
		return approval.Card{}, classify("chat.postMessage", err)
	}
	if at == "" {
		at = channel
	}
	if ts == "" {
		return approval.Card{}, &APIError{Method: "chat.postMessage", Kind: ErrUnavailable, Detail: "the answer names no message"}
	}
	return approval.Card{Channel: at, TS: ts, Shown: r.Revision}, nil
}

// UpdateCard makes a posted card show the request as it stands.
func (a *App) UpdateCard(ctx context.Context, at approval.Card, r approval.Request) error {
	text, blocks := renderCard(r)
	_, _, _, err := a.api.UpdateMessageContext(ctx, at.Channel, at.TS, message(text, blocks)...)
	return classify("chat.update", err)
}

func message(text string, blocks []slack.Block) []slack.MsgOption {
	return []slack.MsgOption{
		slack.MsgOptionText(text, false), slack.MsgOptionBlocks(blocks...),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
}

// ReplyTo is where a reply to one person goes.
type ReplyTo struct {
	Who     approval.Identity `json:"who"`
	Channel string            `json:"channel"`
	// ResponseURL may be empty. It is a secret.
	ResponseURL string `json:"response_url,omitempty"`
}

// Reply shows something to one person alone: by the response_url of what they
// did, else as an ephemeral message in the channel, else in a direct message.
func (a *App) Reply(ctx context.Context, to ReplyTo, reply commands.Reply) error {
	return a.ReplyPointing(ctx, to, reply, "")
}

// ReplyPointing is Reply with a link to a channel, unless it is empty.
func (a *App) ReplyPointing(ctx context.Context, to ReplyTo, reply commands.Reply, channel string) error {
	text, blocks := renderReply(reply)
	switch {
	case strings.HasPrefix(channel, "U"), strings.HasPrefix(channel, "W"), strings.HasPrefix(channel, "D"):
		blocks = append(blocks, slack.NewContextBlock("", ours("See your direct messages with the bot.")))
		text += "\nSee your direct messages with the bot."
	case slackID(channel):
		blocks = append(blocks, slack.NewContextBlock("", ours("See <#"+channel+">.")))
		text += "\nSee <#" + channel + ">."
	}
	if to.ResponseURL != "" {
		err := a.respond(ctx, to.ResponseURL, text, blocks)
		if err == nil || After(err) > 0 || Unclear(err) {
			return err // after an answer that may arrive yet, another way would make two
		}
		a.log.Warn("cannot answer by response_url, trying otherwise", "actor", to.Who.User, "error", err)
	}
	if to.Channel != "" && !strings.HasPrefix(to.Channel, "D") {
		_, err := a.api.PostEphemeralContext(ctx, to.Channel, to.Who.User, message(text, blocks)...)
		if err = classify("chat.postEphemeral", err); err == nil || After(err) > 0 || Unclear(err) {
			return err
		}
	}
	if _, _, dm := a.api.PostMessageContext(ctx, to.Who.User, message(text, blocks)...); dm != nil {
		return fmt.Errorf("reply to %s: %w", to.Who.User, classify("chat.postMessage", dm))
	}
	return nil
}

func (a *App) respond(ctx context.Context, address, text string, blocks []slack.Block) error {
	if err := a.allowResponse(address); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"response_type": slack.ResponseTypeEphemeral, "replace_original": false, "text": text, "blocks": blocks})
	if err != nil {
		return fmt.Errorf("response_url: encode: %w", err)
	}
	// Not by slack-go, which takes every answer but the text "ok" for a failure,
	// so that the same would be said again.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return errors.New("response_url: the address cannot be used")
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	res, err := a.http.Do(req)
	if err != nil {
		return classify("response_url", stripAddress(err))
	}
	defer func() { _ = res.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	var answer struct {
		OK    *bool  `json:"ok"`
		Error string `json:"error"`
	}
	refused := json.Unmarshal(said, &answer) == nil && answer.OK != nil && !*answer.OK
	switch {
	case res.StatusCode/100 == 2 && refused:
		return classify("response_url", slack.SlackErrorResponse{Err: answer.Error})
	case res.StatusCode/100 == 2:
		return nil // whatever the words: "ok", JSON, or none
	case res.StatusCode == http.StatusTooManyRequests:
		seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
		if err != nil || seconds < 1 {
			seconds = 1
		}
		return classify("response_url", &slack.RateLimitedError{RetryAfter: time.Duration(seconds) * time.Second})
	}
	return classify("response_url", slack.StatusCodeError{Code: res.StatusCode})
}

// stripAddress takes the address, which is a secret, out of an error.
func stripAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Blocks of an ephemeral reply; the rest is cut with a word.
const replyBlocks = 45

// renderReply is a reply as a message: everything in it plain text.
func renderReply(r commands.Reply) (string, []slack.Block) {
	if r.Request != nil {
		text, blocks := renderCard(*r.Request)
		ls := r.Lines
		if r.Title != "" && r.Title != r.Request.ID {
			ls = append([]string{r.Title}, ls...)
		}
		if len(ls) > 0 {
			var above []slack.Block
			for _, chunk := range chunks(wrapAll(ls)) {
				above = append(above, slack.NewSectionBlock(lines(chunk, maxLine), nil, nil))
			}
			blocks = append(above, blocks...)
		}
		return text, blocks
	}
	var all []string
	var blocks []slack.Block
	add := func(title string, ls []string) {
		if title != "" {
			ls = append([]string{title}, ls...)
		}
		ls = wrapAll(ls)
		all = append(all, ls...)
		for _, chunk := range chunks(ls) {
			blocks = append(blocks, slack.NewSectionBlock(lines(chunk, maxLine), nil, nil))
		}
	}
	add(r.Title, r.Lines)
	for _, s := range r.Sections {
		ls := s.Lines
		if s.Table != nil {
			ls = append(ls[:len(ls):len(ls)], tableLines(*s.Table)...)
		}
		add(s.Title, ls)
	}
	if len(blocks) > replyBlocks {
		blocks = append(blocks[:replyBlocks:replyBlocks], slack.NewSectionBlock(plain("The rest does not fit here.", maxLine), nil, nil))
	}
	for i := range all {
		all[i] = escape(clean(all[i], maxLine))
	}
	text := strings.Join(all, "\n")
	if rs := []rune(text); len(rs) > maxText {
		text = string(rs[:maxText-1]) + "…"
	}
	if len(blocks) == 0 {
		blocks = append(blocks, slack.NewSectionBlock(plain("Nothing to show.", maxLine), nil, nil))
		text = "Nothing to show."
	}
	return text, blocks
}

// tableLines shows a table as one line a row, since columns do not fit a phone.
func tableLines(t commands.Table) []string {
	ls := make([]string, 0, len(t.Rows))
	for _, row := range t.Rows {
		var cells []string
		for i, cell := range row {
			switch {
			case cell == "":
			case i == 0 || i >= len(t.Head) || t.Head[i] == "" || len(t.Head) == 2:
				cells = append(cells, cell)
			default:
				cells = append(cells, t.Head[i]+": "+cell)
			}
		}
		ls = append(ls, strings.Join(cells, " · "))
	}
	return ls
}
