package store_test

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/audit"
	"github.com/qlik-chatops/bot/internal/store"
)

func entry(detail string) audit.Entry {
	return audit.Entry{
		Request: "R-1", Event: audit.EventDecided, Actor: audit.Actor{Team: "T1", User: "U0BEN"},
		Tenant: "prod", Command: "add-admin", Outcome: "approve", Detail: detail, Policy: "p", Plan: "q",
	}
}

func (d *database) writes(t testing.TB, entries ...audit.Entry) {
	t.Helper()
	check(t, d.Append(t.Context(), approval.Effects{Records: entries}))
}

var recordTests = map[string]func(*testing.T, *database){
	"records come back as they were sealed, in one chain across restarts": func(t *testing.T, d *database) {
		at := time.Now()
		d.writes(t, entry("one"), entry("two"))
		d.restart(t)
		time.Sleep(1500 * time.Millisecond)
		d.writes(t, entry("three"))
		var want []audit.Record
		var head audit.Head
		for i, detail := range []string{"one", "two", "three"} {
			when := at
			if i == 2 {
				when = at.Add(1500 * time.Millisecond)
			}
			r := must(audit.Seal(head, entry(detail), when))
			want, head = append(want, r), r.Head()
		}
		same(t, "chain", d.chain(t, store.RecordFilter{}), want)
		if n := d.verified(t); n != 3 {
			t.Errorf("%d records, want 3", n)
		}
	},
	"a chain of many pages is read in order, and reading may stop anywhere": func(t *testing.T, d *database) {
		const n = 1203
		var entries []audit.Entry
		for i := range n {
			entries = append(entries, entry(fmt.Sprint(i)))
		}
		d.writes(t, entries...)
		if got := d.verified(t); got != n {
			t.Errorf("%d records, want %d", got, n)
		}
		seen := 0
		for r, err := range d.Records(t.Context(), store.RecordFilter{}) {
			check(t, err)
			if seen++; seen == 700 {
				if r.Seq != 700 {
					t.Errorf("the 700th is %d", r.Seq)
				}
				break
			}
			// A reader in the middle of the chain keeps nobody from writing.
			if seen == 600 {
				d.writes(t, entry("meanwhile"))
			}
		}
	},
	"a filter wants only what it names": func(t *testing.T, d *database) {
		start := time.Now()
		other := audit.Entry{Request: "R-2", Event: audit.EventAsked, Actor: audit.Actor{User: "U0CLEO"}, Tenant: "staging", Outcome: "Refused", Detail: `100%_a\b`}
		d.writes(t, entry("one"))
		time.Sleep(time.Hour)
		d.writes(t, other, entry("three"))
		time.Sleep(time.Hour)
		d.writes(t, entry("four"), other)
		for _, test := range []struct {
			name   string
			filter store.RecordFilter
			want   []int64
		}{
			{"nothing is named", store.RecordFilter{}, []int64{1, 2, 3, 4, 5}},
			{"since is that moment and later", store.RecordFilter{Since: start.Add(time.Hour)}, []int64{2, 3, 4, 5}},
			{"until is before that moment", store.RecordFilter{Until: start.Add(2 * time.Hour)}, []int64{1, 2, 3}},
			{"between", store.RecordFilter{Since: start.Add(time.Second), Until: start.Add(2 * time.Hour)}, []int64{2, 3}},
			{"tenant", store.RecordFilter{Tenant: "staging"}, []int64{2, 5}},
			{"a part of a tenant's name is none", store.RecordFilter{Tenant: "stag"}, nil},
			{"request", store.RecordFilter{Request: "R-2"}, []int64{2, 5}},
			{"text in either case", store.RecordFilter{Text: "rEFUSED"}, []int64{2, 5}},
			{"text is found in who did it", store.RecordFilter{Text: "u0cleo"}, []int64{2, 5}},
			{"text has no wildcards", store.RecordFilter{Text: "%"}, []int64{2, 5}},
			{"text has no wildcards of one character either", store.RecordFilter{Text: "a_b"}, nil},
			{"text may hold the escape character", store.RecordFilter{Text: `_a\b`}, []int64{2, 5}},
			{"the last ones", store.RecordFilter{Last: 2}, []int64{4, 5}},
			{"the last ones of those that match", store.RecordFilter{Tenant: "prod", Last: 2}, []int64{3, 4}},
			{"more of the last ones than there are", store.RecordFilter{Last: 50}, []int64{1, 2, 3, 4, 5}},
			{"the last ones of none", store.RecordFilter{Tenant: "moon", Last: 2}, nil},
		} {
			var got []int64
			for _, r := range d.chain(t, test.filter) {
				got = append(got, r.Seq)
			}
			same(t, test.name, got, test.want)
		}
	},
	"a record can neither be changed nor deleted nor replaced nor slipped in": func(t *testing.T, d *database) {
		d.writes(t, entry("one"), entry("two"))
		before := d.chain(t, store.RecordFilter{})
		db := d.engine.raw(t, d.address)
		for _, statement := range []string{
			`UPDATE audit SET detail = 'other' WHERE seq = 1`,
			`UPDATE audit SET seq = 9 WHERE seq = 2`,
			`DELETE FROM audit WHERE seq = 2`,
			`DELETE FROM audit`,
			`INSERT OR REPLACE INTO audit SELECT seq, at, request, event, actor_team, actor_user, tenant, command, outcome, 'other', policy, plan, prev, hash FROM audit WHERE seq = 1`,
			`INSERT INTO audit SELECT 0, at, request, event, actor_team, actor_user, tenant, command, outcome, detail, policy, plan, prev, hash FROM audit WHERE seq = 1`,
		} {
			if _, err := db.ExecContext(t.Context(), statement); err == nil {
				t.Errorf("%s: was let through", statement)
			}
		}
		same(t, "chain", d.chain(t, store.RecordFilter{}), before)
		d.verified(t)
	},
	"whoever gets round the triggers is found out": func(t *testing.T, d *database) {
		for i := range 5 {
			d.writes(t, entry(fmt.Sprint(i)))
		}
		db := d.engine.raw(t, d.address)
		for _, trigger := range []string{"audit_keep_update", "audit_keep_delete", "audit_only_append"} {
			_, err := db.ExecContext(t.Context(), `DROP TRIGGER `+trigger)
			check(t, err)
		}
		// Each step is seen although the later ones are worse.
		for _, test := range []struct {
			statement string
			seq       int64
		}{
			{`UPDATE audit SET at = '2031-01-01T00:00:00.000Z' WHERE seq = 5`, 5},
			{`DELETE FROM audit WHERE seq = 4`, 4},
			{`UPDATE audit SET actor_user = 'U0DAN' WHERE seq = 3`, 3},
			{`UPDATE audit SET seq = CASE seq WHEN 2 THEN -2 ELSE seq END`, 1},
		} {
			_, err := db.ExecContext(t.Context(), test.statement)
			check(t, err)
			_, err = audit.Verify(d.Records(t.Context(), store.RecordFilter{}))
			wantBreak(t, err, test.seq)
		}
	},
	"a change whose record cannot be written is not stored": func(t *testing.T, d *database) {
		d.create(t, "R-1", approval.Effects{Records: []audit.Entry{entry("one")}})
		before := must(d.Request(t.Context(), "R-1"))
		db := d.engine.raw(t, d.address)
		block := func(db *sql.DB) {
			// A record stands where the next one would go.
			_, err := db.ExecContext(t.Context(), `INSERT INTO audit SELECT 2, at, request, event, actor_team, actor_user, tenant, command, outcome, detail, policy, plan, prev, hash FROM audit WHERE seq = 1`)
			check(t, err)
		}
		block(db)
		_, err := d.ChangeRequest(t.Context(), "R-1", func(r *approval.Request) (approval.Effects, error) {
			r.State = approval.Approved
			return approval.Effects{Tasks: []approval.Task{task("run:R-1", time.Now())}, Records: []audit.Entry{entry("two")}}, nil
		})
		if err == nil {
			t.Error("it was stored")
		}
		same(t, "request", must(d.Request(t.Context(), "R-1")), before)
		d.claimsNothing(t)
	},
}

func wantBreak(t testing.TB, err error, seq int64) {
	t.Helper()
	broken, ok := err.(*audit.BreakError) //nolint:errorlint // Verify gives it unwrapped
	if !ok || broken.Seq != seq {
		t.Fatalf("the error is %v, want a break at record %d", err, seq)
	}
}
