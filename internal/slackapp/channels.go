package slackapp

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// Place is what is known about a channel.
type Place struct {
	ID string
	// Known says whether Slack told about the channel at all.
	Known bool
	// Post says whether the bot can post there.
	Post bool
	// Shared says whether people of other organisations are, or are about to
	// be, in it.
	Shared bool
	// Why says in a sentence for people, with the fix, why Post is false or
	// what is wrong with Shared; empty when nothing is.
	Why string
}

// placeFor is short: a channel can be shared with others at any time.
const placeFor = 20 * time.Second

type channels struct {
	api *slack.Client
	mu  sync.Mutex // guards the map; never held during a call
	was map[string]kept[Place]
}

func newChannels(api *slack.Client) *channels {
	return &channels{api: api, was: map[string]kept[Place]{}}
}

// Place tells whether a card may stand in a channel. An error means that it
// could not be found out.
func (a *App) Place(ctx context.Context, id string) (Place, error) {
	if strings.HasPrefix(id, "D") {
		// A direct message cannot be shared, and asking about one would need a
		// scope that the bot does not have.
		return Place{ID: id, Known: true, Post: true}, nil
	}
	c := a.channels
	if p, ok := lookup(&c.mu, c.was, id); ok {
		return p, nil
	}
	p, err := c.fetch(ctx, id, a.cfg.Command, a.log)
	if err != nil {
		return Place{}, err
	}
	keep(&c.mu, c.was, id, p, placeFor)
	return p, nil
}

func (c *channels) fetch(ctx context.Context, id, command string, log *slog.Logger) (Place, error) {
	ch, err := c.api.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: id})
	if err != nil {
		e := classify("conversations.info", err)
		var api *APIError
		if errors.As(e, &api) && api.Code == "missing_scope" {
			return Place{ID: id, Why: "The bot cannot find out who is in this conversation. Use " + command + " in a channel where the bot is."}, nil
		}
		if errors.Is(e, ErrCannotPost) {
			return Place{ID: id, Why: "The bot is not in this channel. Invite it with /invite, or use " + command + " in a channel where it is."}, nil
		}
		if errors.Is(e, ErrRejected) {
			log.Error("Slack does not tell about a channel", "channel", id, "error", e)
			return Place{ID: id, Why: "Slack does not tell the bot about this channel, so nothing that needs agreement can be asked here. The bot's operators find the reason in its log."}, nil
		}
		return Place{}, e
	}
	p := Place{ID: id, Known: true, Shared: ch.IsExtShared || ch.IsPendingExtShared || len(ch.PendingShared) > 0}
	switch {
	case ch.ID != id:
		return Place{}, &APIError{Method: "conversations.info", Kind: ErrRejected, Detail: "the answer is about another channel"}
	case ch.IsArchived:
		p.Why = "This channel is archived, so the bot cannot post here."
	case ch.IsReadOnly:
		p.Why = "This channel is read-only, so the bot cannot post here."
	case p.Shared:
		p.Post = ch.IsMember
		p.Why = "This channel is shared with another organisation, or is about to be. Approvals are only given where nobody from outside can click: use a channel of your own workspace."
	case !ch.IsMember:
		p.Why = "The bot is not in this channel. Invite it with /invite, or use " + command + " in a channel where it is."
	default:
		p.Post = true
	}
	return p, nil
}

func (c *channels) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.was, id)
}
