package commands

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/qlik-chatops/bot/internal/approval"
)

// requestCommand is what the commands about one request share: they find it
// and show its current card. Deciding is done by the card's buttons, which
// carry the version that was seen; typed words do not.
type requestCommand struct {
	ID string `json:"id"`
}

var requestID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,31}$`)

func (c *requestCommand) parse(s Spec, a Args) error {
	switch len(a.Words) {
	case 0:
		return &MissingError{Fields: []string{FieldID}}
	case 1:
	default:
		return &UsageError{Say: fmt.Sprintf("%s takes one request, and there are %d words.", s.Name, len(a.Words)), Hint: s.hint(), Field: FieldID}
	}
	c.ID = undash(a.Words[0].Text())
	if !requestID.MatchString(c.ID) {
		return &UsageError{Say: fmt.Sprintf("%s is not the ID of a request.", show(a.Words[0].Text())),
			Hint: "The ID stands at the beginning of the request's card; \"requests\" lists them.", Field: FieldID}
	}
	return nil
}

func (c *requestCommand) Typed() Args { return Args{Words: []Word{wordOf(c.ID)}} }

func requestSpec(verb, summary string) Spec {
	return Spec{
		Name: "request " + verb, Summary: summary, Usage: "<id>",
		Class: ClassPeople, Ungoverned: true,
		Fields:  []Field{{Name: FieldID, Label: "Request", Control: ControlText, Required: true, Hint: "As at the beginning of its card"}},
		Touches: "none",
	}
}

// find reads the request, however its ID's letters were written. One that the
// caller may not see is told apart from none by nothing.
func (c *requestCommand) find(ctx context.Context, w World) (*approval.Request, error) {
	if w.Requests == nil {
		return nil, refused("", "The requests cannot be read.")
	}
	tried := map[string]bool{}
	for _, id := range []string{c.ID, strings.ToUpper(c.ID), strings.ToLower(c.ID)} {
		if tried[id] {
			continue
		}
		tried[id] = true
		r, err := w.Requests.Request(ctx, id)
		switch {
		case errors.Is(err, approval.ErrNoRequest):
			continue
		case err != nil:
			return nil, unreadableRequests(ctx, err)
		}
		if w.maySee(r) {
			return &r, nil
		}
	}
	return nil, refused("\"requests\" lists those that you may see.", "There is no request %s that you may see.", show(c.ID))
}

// decide shows the card with the sentence on how to decide.
func (c *requestCommand) decide(ctx context.Context, w World, button string) (Reply, error) {
	r, err := c.find(ctx, w)
	if err != nil {
		return Reply{}, err
	}
	reply := Reply{Title: r.ID, Request: r}
	if r.State.Ended() {
		reply.Lines = []string{fmt.Sprintf("%s has ended already: %s. There is nothing to decide.", r.ID, r.State)}
		return reply, nil
	}
	if r.State != approval.Waiting && (button != "Cancel" || r.State != approval.Approved) {
		reply.Lines = []string{fmt.Sprintf("%s is %s by now, so it is too late to decide.", r.ID, r.State)}
		return reply, nil
	}
	reply.Lines = []string{fmt.Sprintf("This is how %s stands. Typing decides nothing: read it and press %s, if the card offers it to you.", r.ID, button)}
	return reply, nil
}

// requestShow shows one request.
type requestShow struct{ requestCommand }

func (*requestShow) Spec() Spec { return requestSpec("show", "Show a request as it stands") }

func (c *requestShow) Parse(a Args) error { return c.parse(c.Spec(), a) }

func (c *requestShow) Answer(ctx context.Context, w World) (Reply, error) {
	r, err := c.find(ctx, w)
	if err != nil {
		return Reply{}, err
	}
	return Reply{Title: r.ID, Request: r}, nil
}

// requestApprove shows the card on which to approve.
type requestApprove struct{ requestCommand }

func (*requestApprove) Spec() Spec {
	return requestSpec("approve", "Show the card of a request, to approve there")
}

func (c *requestApprove) Parse(a Args) error { return c.parse(c.Spec(), a) }

func (c *requestApprove) Answer(ctx context.Context, w World) (Reply, error) {
	return c.decide(ctx, w, "Approve")
}

// requestDeny shows the card on which to deny.
type requestDeny struct{ requestCommand }

func (*requestDeny) Spec() Spec {
	return requestSpec("deny", "Show the card of a request, to deny there")
}

func (c *requestDeny) Parse(a Args) error { return c.parse(c.Spec(), a) }

func (c *requestDeny) Answer(ctx context.Context, w World) (Reply, error) {
	return c.decide(ctx, w, "Deny")
}

// requestCancel shows the card on which to cancel.
type requestCancel struct{ requestCommand }

func (*requestCancel) Spec() Spec {
	return requestSpec("cancel", "Show the card of your request, to cancel there")
}

func (c *requestCancel) Parse(a Args) error { return c.parse(c.Spec(), a) }

func (c *requestCancel) Answer(ctx context.Context, w World) (Reply, error) {
	return c.decide(ctx, w, "Cancel")
}
