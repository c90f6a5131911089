package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/audit"
	"github.com/qlik-chatops/bot/internal/store"
)

var requestTests = map[string]func(*testing.T, *database){
	"every field of a request comes back as it went in": func(t *testing.T, d *database) {
		f := filler{rand.New(rand.NewPCG(1, 1))}
		for i := range 20 {
			want := f.request(fmt.Sprintf("R-%d", i), i > 0)
			check(t, d.CreateRequest(t.Context(), want, approval.Effects{}))
			same(t, "request", must(d.Request(t.Context(), want.ID)), want)
		}
	},
	"any request can be changed into any other": func(t *testing.T, d *database) {
		f := filler{rand.New(rand.NewPCG(2, 2))}
		want := f.request("R-1", false)
		check(t, d.CreateRequest(t.Context(), want, approval.Effects{}))
		for range 30 {
			next := f.request("R-1", true)
			got, err := d.ChangeRequest(t.Context(), "R-1", func(r *approval.Request) (approval.Effects, error) {
				same(t, "request in the change", *r, want)
				*r = next
				return approval.Effects{}, nil
			})
			check(t, err)
			next.Revision = want.Revision + 1
			same(t, "changed request", got, next)
			same(t, "request read again", must(d.Request(t.Context(), "R-1")), next)
			want = next
		}
	},
	"a request survives a restart": func(t *testing.T, d *database) {
		want := filler{rand.New(rand.NewPCG(3, 3))}.request("R-1", false)
		check(t, d.CreateRequest(t.Context(), want, approval.Effects{}))
		d.restart(t)
		same(t, "request", must(d.Request(t.Context(), "R-1")), want)
	},
	"times are cut to the millisecond, and the zero time stays zero": func(t *testing.T, d *database) {
		at := time.Date(2030, 1, 2, 3, 4, 5, 678_999_999, time.FixedZone("", 3600))
		r := approval.Request{ID: "R-1", State: approval.Waiting, CreatedAt: at}
		check(t, d.CreateRequest(t.Context(), r, approval.Effects{}))
		got := must(d.Request(t.Context(), "R-1"))
		if want := time.Date(2030, 1, 2, 2, 4, 5, 678_000_000, time.UTC); got.CreatedAt != want {
			t.Errorf("the time is %v, want %v", got.CreatedAt, want)
		}
		if !got.EndedAt.IsZero() {
			t.Errorf("the zero time came back as %v", got.EndedAt)
		}
	},
	"text that is not text comes back marked, from the change as from a later reading": func(t *testing.T, d *database) {
		d.create(t, "R-1", approval.Effects{})
		got := must(d.ChangeRequest(t.Context(), "R-1", func(r *approval.Request) (approval.Effects, error) {
			r.Outcome = "a\xff\xfeb\x00c"
			r.Steps = []approval.StepRecord{{Error: "\x00", Note: "\xff"}}
			return approval.Effects{Records: []audit.Entry{{Event: audit.EventStep, Detail: "a\xffb\x00c"}}}, nil
		}))
		if want := "a\uFFFDb\uFFFDc"; got.Outcome != want {
			t.Errorf("the outcome is %q, want %q", got.Outcome, want)
		}
		same(t, "request read again", must(d.Request(t.Context(), "R-1")), got)
		if want := "a\uFFFDb\uFFFDc"; d.chain(t, store.RecordFilter{})[0].Detail != want {
			t.Errorf("the record's detail is not %q", want)
		}
		d.verified(t)
	},
	"creating a request does not touch the one that was handed in": func(t *testing.T, d *database) {
		at := time.Now().Add(time.Nanosecond)
		r := approval.Request{ID: "R-1", Decisions: []approval.Decision{{At: at}}, Steps: []approval.StepRecord{{SentAt: at}}}
		check(t, d.CreateRequest(t.Context(), r, approval.Effects{}))
		if r.Decisions[0].At != at || r.Steps[0].SentAt != at {
			t.Error("the times of the caller's request were cut")
		}
	},
	"an ID that is taken is an error, and nothing of the second request is stored": func(t *testing.T, d *database) {
		first := d.create(t, "R-1", approval.Effects{})
		err := d.CreateRequest(t.Context(), approval.Request{ID: "R-1", Command: "other"}, approval.Effects{
			Records: []audit.Entry{{Event: audit.EventPlanned}}, Tasks: []approval.Task{task("card:R-1", time.Now())},
		})
		wantErr(t, err, store.ErrRequestExists)
		if got := must(d.Request(t.Context(), "R-1")).Command; got != first.Command {
			t.Errorf("the command is %q by now", got)
		}
		if n := d.verified(t); n != 0 {
			t.Errorf("%d audit records were written", n)
		}
		d.claimsNothing(t)
	},
	"a request without an ID is an error": func(t *testing.T, d *database) {
		if d.CreateRequest(t.Context(), approval.Request{}, approval.Effects{}) == nil {
			t.Error("it was stored")
		}
	},
	"a request that is not there is said to be so": func(t *testing.T, d *database) {
		_, err := d.Request(t.Context(), "R-9")
		wantErr(t, err, approval.ErrNoRequest)
		_, err = d.ChangeRequest(t.Context(), "R-9", func(*approval.Request) (approval.Effects, error) {
			t.Error("the change was called")
			return approval.Effects{}, nil
		})
		wantErr(t, err, approval.ErrNoRequest)
	},
	"a change that fails stores nothing and its error comes back as it is": func(t *testing.T, d *database) {
		d.create(t, "R-1", approval.Effects{})
		before := must(d.Request(t.Context(), "R-1"))
		wrong := errors.New("made up")
		_, err := d.ChangeRequest(t.Context(), "R-1", func(r *approval.Request) (approval.Effects, error) {
			r.State = approval.Approved
			return approval.Effects{Records: []audit.Entry{{Event: audit.EventApproved}}}, wrong
		})
		if err != wrong { //nolint:errorlint // it must be the very same
			t.Errorf("the error is %v", err)
		}
		same(t, "request", must(d.Request(t.Context(), "R-1")), before)
		if n := d.verified(t); n != 0 {
			t.Errorf("%d audit records were written", n)
		}
	},
	"a change that panics stores nothing and the store goes on": func(t *testing.T, d *database) {
		d.create(t, "R-1", approval.Effects{})
		before := must(d.Request(t.Context(), "R-1"))
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_, _ = d.ChangeRequest(t.Context(), "R-1", func(*approval.Request) (approval.Effects, error) { panic("made up") })
		}()
		same(t, "request", must(d.Request(t.Context(), "R-1")), before)
		_, err := d.ChangeRequest(t.Context(), "R-1", func(*approval.Request) (approval.Effects, error) { return approval.Effects{}, nil })
		check(t, err)
	},
	"a change cannot give a request another ID": func(t *testing.T, d *database) {
		d.create(t, "R-1", approval.Effects{})
		_, err := d.ChangeRequest(t.Context(), "R-1", func(r *approval.Request) (approval.Effects, error) {
			r.ID = "R-2"
			return approval.Effects{}, nil
		})
		if err == nil {
			t.Error("it was stored")
		}
	},
	"a plan that cannot be written as JSON is an error and stores nothing": func(t *testing.T, d *database) {
		d.create(t, "R-1", approval.Effects{})
		before := must(d.Request(t.Context(), "R-1"))
		_, err := d.ChangeRequest(t.Context(), "R-1", func(r *approval.Request) (approval.Effects, error) {
			r.Plan.Steps[0].Params = []byte("{broken")
			return approval.Effects{}, nil
		})
		if err == nil {
			t.Error("it was stored")
		}
		same(t, "request", must(d.Request(t.Context(), "R-1")), before)
	},
	"the change may read the store while it works": func(t *testing.T, d *database) {
		d.create(t, "R-1", approval.Effects{})
		_, err := d.ChangeRequest(t.Context(), "R-1", func(r *approval.Request) (approval.Effects, error) {
			r.Outcome = "not yet to be seen"
			seen := must(d.Request(t.Context(), "R-1"))
			if seen.Outcome != "" {
				t.Error("a reader saw what was not yet stored")
			}
			return approval.Effects{}, nil
		})
		check(t, err)
	},
	"changes of one request from many sides all count, one after the other": func(t *testing.T, d *database) {
		d.create(t, "R-1", approval.Effects{})
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				_, err := d.ChangeRequest(t.Context(), "R-1", func(r *approval.Request) (approval.Effects, error) {
					r.Decisions = append(r.Decisions, approval.Decision{Version: len(r.Decisions)})
					return approval.Effects{Records: []audit.Entry{{Request: "R-1", Event: audit.EventDecided, Detail: fmt.Sprint(i)}}}, nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		r := must(d.Request(t.Context(), "R-1"))
		if len(r.Decisions) != 20 || r.Revision != 20 {
			t.Errorf("%d decisions at revision %d, want 20 at 20", len(r.Decisions), r.Revision)
		}
		for i, x := range r.Decisions {
			if x.Version != i {
				t.Errorf("decision %d saw %d others", i, x.Version)
			}
		}
		if n := d.verified(t); n != 20 {
			t.Errorf("%d audit records, want 20", n)
		}
	},
	"open requests are those that have not ended, oldest first; recent ones are the newest": func(t *testing.T, d *database) {
		states := []approval.State{
			approval.Waiting, approval.Succeeded, approval.Approved, approval.PartlySucceeded, approval.Running,
			approval.Failed, approval.Unknown, approval.Denied, approval.Cancelled, approval.Expired,
		}
		var wantOpen, wantRecent []string
		for i, s := range states {
			// IDs in no order at all, and all at the same moment.
			id := fmt.Sprintf("R-%d", (i*7)%len(states))
			check(t, d.CreateRequest(t.Context(), approval.Request{ID: id, State: s, CreatedAt: time.Now()}, approval.Effects{}))
			if !s.Ended() {
				wantOpen = append(wantOpen, id)
			}
			wantRecent = append([]string{id}, wantRecent...)
		}
		ids := func(list []approval.Request, err error) (ids []string) {
			check(t, err)
			for _, r := range list {
				ids = append(ids, r.ID)
			}
			return ids
		}
		same(t, "open requests", ids(d.OpenRequests(t.Context())), wantOpen)
		same(t, "recent requests", ids(d.RecentRequests(t.Context(), 4)), wantRecent[:4])
		same(t, "recent requests", ids(d.RecentRequests(t.Context(), 100)), wantRecent)
		same(t, "no recent requests", ids(d.RecentRequests(t.Context(), 0)), []string(nil))
		_, err := d.ChangeRequest(t.Context(), wantOpen[0], func(r *approval.Request) (approval.Effects, error) {
			r.State = approval.Cancelled
			return approval.Effects{}, nil
		})
		check(t, err)
		same(t, "open requests", ids(d.OpenRequests(t.Context())), wantOpen[1:])
	},
	"a context that ends in the middle of a change leaves everything as it was": func(t *testing.T, d *database) {
		d.create(t, "R-1", approval.Effects{Records: []audit.Entry{{Event: audit.EventPlanned}}})
		before := must(d.Request(t.Context(), "R-1"))
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := d.ChangeRequest(ctx, "R-1", func(r *approval.Request) (approval.Effects, error) {
				r.State = approval.Approved
				cancel()
				return approval.Effects{Records: []audit.Entry{{Event: audit.EventApproved}}, Tasks: []approval.Task{task("run:R-1", time.Now())}}, nil
			})
			wantErr(t, err, context.Canceled)
			same(t, "request", must(d.Request(t.Context(), "R-1")), before)
		}
		d.claimsNothing(t)
		if n := d.verified(t); n != 1 {
			t.Errorf("%d audit records, want 1", n)
		}
		_, err := d.ChangeRequest(t.Context(), "R-1", func(*approval.Request) (approval.Effects, error) { return approval.Effects{}, nil })
		check(t, err)
	},
	"whoever waits for another change gives up with their context": func(t *testing.T, d *database) {
		d.create(t, "R-1", approval.Effects{})
		_, err := d.ChangeRequest(t.Context(), "R-1", func(*approval.Request) (approval.Effects, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			wantErr(t, d.Append(ctx, approval.Effects{}), context.DeadlineExceeded)
			return approval.Effects{}, nil
		})
		check(t, err)
	},
}
