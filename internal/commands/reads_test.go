package commands_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/commands"
)

func TestHelpListsOnlyWhatTheAskerMayDo(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		golden(t, "help/all.json", asJSON(t, w.answered("help")))
		w.allowed = []string{"help", "tenants"}
		golden(t, "help/few.json", asJSON(t, w.answered("")))
	})
}

func TestHelpExplainsOneCommand(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		golden(t, "help/invite.json", asJSON(t, w.answered("help invite")))
		if r := w.answered("help user delete"); !strings.Contains(strings.Join(r.Lines, ""), "not built yet") {
			t.Errorf("%+v", r)
		}
		w.allowed = []string{"help"}
		r := w.answered("help invite")
		if len(r.Sections) > 0 || !strings.Contains(strings.Join(r.Lines, " "), "You may not ask for this") {
			t.Errorf("%+v", r)
		}
		for _, line := range []string{"help nonsense", "help request", "help add-admin whatever"} {
			_, err := w.answer(line)
			var usage *commands.UsageError
			if !errors.As(err, &usage) {
				t.Errorf("%s: %v", line, err)
			}
		}
	})
}

func TestTenantsListsWhatTheAskerMayKnow(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		golden(t, "tenants/tenants.json", asJSON(t, w.answered("tenants")))
		inv, err := w.catalogue.Parse("tenants", defaults())
		if err != nil {
			t.Fatal(err)
		}
		read, _ := inv.Read()
		r, err := read.Answer(t.Context(), commands.World{})
		if err != nil || len(r.Sections) > 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func (w *world) someRequests() {
	w.slack["U0BEN"] = commands.SlackPerson{ID: "U0BEN", Name: "Ben\u202e\n"}
	at := time.Now()
	add := func(id, tenant string, s approval.State, user string) {
		r := approval.Request{
			ID: id, State: s, Tenant: tenant, Command: "invite", Caller: approval.Identity{Team: "T0", User: user},
			Plan:      approval.Plan{Title: "Invite somebody to " + tenant},
			CreatedAt: at.Add(-3 * time.Hour), ExpiresAt: at.Add(50 * time.Hour),
		}
		if s.Ended() {
			r.EndedAt = at.Add(-90 * time.Minute)
		}
		w.requests = append(w.requests, r)
	}
	add("R1", "prod", approval.Waiting, "U0BEN")
	add("R2", "home", approval.Waiting, "U0BEN")
	add("R3", "home", approval.Running, "U0CALLER")
	add("R4", "prod", approval.Denied, "U0GONE")
	add("R5", "home", approval.Succeeded, "U0BEN")
}

func TestRequestsListsThoseThatTheAskerMaySee(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.someRequests()
		golden(t, "requests/requests.json", asJSON(t, w.answered("requests")))
		w.requests = nil
		golden(t, "requests/none.json", asJSON(t, w.answered("requests")))
		w.storeErr = errors.New("disk on fire at /var/lib")
		_, err := w.answer("requests")
		var refusal *commands.RefusedError
		if !errors.As(err, &refusal) || !refusal.Temporary || strings.Contains(err.Error(), "disk") {
			t.Errorf("error %v", err)
		}
	})
}

func TestARequestIsShownOnlyToWhoMaySeeIt(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.someRequests()
		for _, line := range []string{"request show R1", "request show r1", "request show R3"} {
			if r := w.answered(line); r.Request == nil || !strings.EqualFold(r.Request.ID, strings.Fields(line)[2]) {
				t.Errorf("%s: %+v", line, r)
			}
		}
		_, hidden := w.answer("request show R2")
		_, absent := w.answer("request show R9")
		if hidden == nil || absent == nil || strings.ReplaceAll(hidden.Error(), "R2", "R9") != absent.Error() {
			t.Errorf("hidden: %v; absent: %v", hidden, absent)
		}
	})
}

func TestTypingADecisionShowsTheCardAndDecidesNothing(t *testing.T) {
	t.Parallel()
	inWorld(t, func(t *testing.T, w *world) {
		w.someRequests()
		for line, want := range map[string]string{
			"request approve R1": "press Approve",
			"request deny R1":    "press Deny",
			"request cancel R1":  "press Cancel",
			"request approve R3": "R3 is running by now",
			"request cancel R3":  "R3 is running by now",
			"request deny R4":    "R4 has ended already: denied.",
		} {
			r := w.answered(line)
			if r.Request == nil || !strings.Contains(strings.Join(r.Lines, " "), want) {
				t.Errorf("%s: %+v", line, r)
			}
		}
		w.requests[0].State = approval.Approved
		if r := w.answered("request cancel R1"); !strings.Contains(r.Lines[0], "press Cancel") {
			t.Errorf("an approved request can still be cancelled: %+v", r)
		}
	})
}
