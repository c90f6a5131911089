package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/qlik-chatops/bot/internal/approval"
)

// requestRow is a request's own row, in the order of requestColumns.
type requestRow struct {
	id                                      string
	version, revision                       int64
	state, callerTeam, callerUser           string
	channel, typed, command, tenant, reason string
	digest, policy                          string
	createdAt, expiresAt, executeBy         int64
	endedAt                                 int64
	outcome, notice                         string
}

// values are the columns, in their order, for writing.
func (w *requestRow) values() []any {
	return []any{
		w.id, w.version, w.revision, w.state, w.callerTeam, w.callerUser, w.channel, w.typed,
		w.command, w.tenant, w.reason, w.digest, w.policy, w.createdAt, w.expiresAt, w.executeBy,
		w.endedAt, w.outcome, w.notice,
	}
}

// targets are the columns, in their order, for reading.
func (w *requestRow) targets() []any {
	return []any{
		&w.id, &w.version, &w.revision, &w.state, &w.callerTeam, &w.callerUser, &w.channel, &w.typed,
		&w.command, &w.tenant, &w.reason, &w.digest, &w.policy, &w.createdAt, &w.expiresAt, &w.executeBy,
		&w.endedAt, &w.outcome, &w.notice,
	}
}

type bodyRow struct{ args, plan, demands string }

func (w *bodyRow) values() []any  { return []any{w.args, w.plan, w.demands} }
func (w *bodyRow) targets() []any { return []any{&w.args, &w.plan, &w.demands} }

type decisionRow struct {
	kind, team, user string
	at, version      int64
	digest, demands  string
}

func (w *decisionRow) values() []any {
	return []any{w.kind, w.team, w.user, w.at, w.version, w.digest, w.demands}
}

func (w *decisionRow) targets() []any {
	return []any{&w.kind, &w.team, &w.user, &w.at, &w.version, &w.digest, &w.demands}
}

type stepRow struct {
	state             string
	sends, absent     int64
	startedAt, sentAt int64
	answered, lookAt  int64
	result, items     string
	err, note         string
}

func (w *stepRow) values() []any {
	return []any{
		w.state, w.sends, w.absent, w.startedAt, w.sentAt, w.answered, w.lookAt,
		w.result, w.items, w.err, w.note,
	}
}

func (w *stepRow) targets() []any {
	return []any{
		&w.state, &w.sends, &w.absent, &w.startedAt, &w.sentAt, &w.answered, &w.lookAt,
		&w.result, &w.items, &w.err, &w.note,
	}
}

type cardRow struct {
	channel, ts string
	shown       int64
}

func (w *cardRow) values() []any  { return []any{w.channel, w.ts, w.shown} }
func (w *cardRow) targets() []any { return []any{&w.channel, &w.ts, &w.shown} }

// rows are a request as it is stored.
type rows struct {
	request   requestRow
	body      bodyRow
	decisions []decisionRow
	steps     []stepRow
	cards     []cardRow
}

// encode makes r what it will be when it is read again (times and text, see
// the package comment) and gives its rows.
func encode(r *approval.Request) (rows, error) {
	storable(r)
	w := rows{
		request: requestRow{
			id: r.ID, version: int64(r.Version), revision: r.Revision,
			state: string(r.State), callerTeam: r.Caller.Team, callerUser: r.Caller.User,
			channel: r.Channel, typed: r.Text, command: r.Command, tenant: r.Tenant, reason: r.Reason,
			digest: r.Digest, policy: r.Policy,
			createdAt: millis(r.CreatedAt), expiresAt: millis(r.ExpiresAt),
			executeBy: millis(r.ExecuteBy), endedAt: millis(r.EndedAt),
			outcome: r.Outcome, notice: r.Notice,
		},
		body: bodyRow{args: string(r.Args)},
	}
	var err error
	if w.body.plan, err = toJSON(r.Plan); err != nil {
		return rows{}, fmt.Errorf("plan: %w", err)
	}
	if w.body.demands, err = listToJSON(r.Demands); err != nil {
		return rows{}, fmt.Errorf("demands: %w", err)
	}
	for i, d := range r.Decisions {
		demands, err := listToJSON(d.Demands)
		if err != nil {
			return rows{}, fmt.Errorf("decision %d: %w", i, err)
		}
		w.decisions = append(w.decisions, decisionRow{
			kind: string(d.Kind), team: d.By.Team, user: d.By.User, at: millis(d.At),
			version: int64(d.Version), digest: d.Digest, demands: demands,
		})
	}
	for i, s := range r.Steps {
		items, err := listToJSON(s.Items)
		if err != nil {
			return rows{}, fmt.Errorf("step %d: %w", i, err)
		}
		w.steps = append(w.steps, stepRow{
			state: string(s.State), sends: int64(s.Sends), absent: int64(s.Absent),
			startedAt: millis(s.StartedAt), sentAt: millis(s.SentAt),
			answered: flag(s.Answered), lookAt: millis(s.LookAt),
			result: string(s.Result), items: items, err: s.Error, note: s.Note,
		})
	}
	for _, c := range r.Cards {
		w.cards = append(w.cards, cardRow{channel: c.Channel, ts: c.TS, shown: c.Shown})
	}
	return w, nil
}

// storable makes r what it will be when it is read again. Slices that it
// writes to are copied first: they may be the caller's.
func storable(r *approval.Request) {
	r.CreatedAt, r.ExpiresAt = instant(millis(r.CreatedAt)), instant(millis(r.ExpiresAt))
	r.ExecuteBy, r.EndedAt = instant(millis(r.ExecuteBy)), instant(millis(r.EndedAt))
	r.Text, r.Reason, r.Outcome, r.Notice = text(r.Text), text(r.Reason), text(r.Outcome), text(r.Notice)
	r.Decisions = slices.Clone(r.Decisions)
	for i := range r.Decisions {
		r.Decisions[i].At = instant(millis(r.Decisions[i].At))
	}
	r.Steps = slices.Clone(r.Steps)
	for i := range r.Steps {
		s := &r.Steps[i]
		s.StartedAt = instant(millis(s.StartedAt))
		s.SentAt, s.LookAt = instant(millis(s.SentAt)), instant(millis(s.LookAt))
		s.Error, s.Note = text(s.Error), text(s.Note)
	}
}

func decode(w rows) (approval.Request, error) {
	q := w.request
	r := approval.Request{
		ID: q.id, Version: int(q.version), Revision: q.revision,
		State:   approval.State(q.state),
		Caller:  approval.Identity{Team: q.callerTeam, User: q.callerUser},
		Channel: q.channel, Text: q.typed, Command: q.command, Args: raw(w.body.args),
		Tenant: q.tenant, Reason: q.reason, Digest: q.digest, Policy: q.policy,
		CreatedAt: instant(q.createdAt), ExpiresAt: instant(q.expiresAt),
		ExecuteBy: instant(q.executeBy), EndedAt: instant(q.endedAt),
		Outcome: q.outcome, Notice: q.notice,
	}
	if err := fromJSON(w.body.plan, &r.Plan); err != nil {
		return approval.Request{}, fmt.Errorf("plan: %w", err)
	}
	if err := fromJSON(w.body.demands, &r.Demands); err != nil {
		return approval.Request{}, fmt.Errorf("demands: %w", err)
	}
	for i, d := range w.decisions {
		decision := approval.Decision{
			Kind: approval.DecisionKind(d.kind), By: approval.Identity{Team: d.team, User: d.user},
			At: instant(d.at), Version: int(d.version), Digest: d.digest,
		}
		if err := fromJSON(d.demands, &decision.Demands); err != nil {
			return approval.Request{}, fmt.Errorf("decision %d: %w", i, err)
		}
		r.Decisions = append(r.Decisions, decision)
	}
	for i, s := range w.steps {
		step := approval.StepRecord{
			State: approval.StepState(s.state), Sends: int(s.sends), Absent: int(s.absent),
			StartedAt: instant(s.startedAt), SentAt: instant(s.sentAt),
			Answered: s.answered != 0, LookAt: instant(s.lookAt),
			Result: raw(s.result), Error: s.err, Note: s.note,
		}
		if err := fromJSON(s.items, &step.Items); err != nil {
			return approval.Request{}, fmt.Errorf("step %d: %w", i, err)
		}
		r.Steps = append(r.Steps, step)
	}
	for _, c := range w.cards {
		r.Cards = append(r.Cards, approval.Card{Channel: c.channel, TS: c.ts, Shown: c.shown})
	}
	return r, nil
}

// toJSON is compact JSON in which <, > and & stand as they are.
func toJSON(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// listToJSON is empty for an empty list.
func listToJSON[T any](list []T) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	return toJSON(list)
}

func fromJSON(s string, into any) error {
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), into)
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}
