package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/audit"
	"github.com/qlik-chatops/bot/internal/store"
)

// killedDatabase is the variable that makes this test binary the process that
// will be killed; it holds the address of the database.
const killedDatabase = "STORE_TEST_KILLED_DATABASE"

func TestMain(m *testing.M) {
	if address := os.Getenv(killedDatabase); address != "" {
		err := writeUntilKilled(address, os.Stdout)
		fmt.Fprintln(os.Stderr, "the process that was to be killed ended by itself:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled makes one change after the other and tells each one on out
// when the store says that it is stored. Change n of the request adds the
// decision of version n, a record and a task; the task of the change before
// is claimed and finished in it.
func writeUntilKilled(address string, out io.Writer) error {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URL: address})
	if err != nil {
		return err
	}
	err = s.CreateRequest(ctx, approval.Request{ID: "R-1", State: approval.Waiting}, approval.Effects{})
	if err != nil && !errors.Is(err, store.ErrRequestExists) {
		return err
	}
	for {
		c, ok, err := s.Claim(ctx, kinds, time.Hour)
		if err != nil {
			return err
		}
		r, err := s.ChangeRequest(ctx, "R-1", func(r *approval.Request) (approval.Effects, error) {
			n := len(r.Decisions)
			r.Decisions = append(r.Decisions, approval.Decision{Kind: approval.Approve, Version: n, At: time.Now()})
			r.Plan.Notes = []string{strings.Repeat(strconv.Itoa(n), 2000)}
			e := approval.Effects{
				Records: []audit.Entry{{Request: "R-1", Event: audit.EventDecided, Detail: strconv.Itoa(n)}},
				Tasks:   []approval.Task{task(fmt.Sprintf("run:%d", n), time.Now())},
			}
			if ok {
				e.Finish = &c
			}
			return e, nil
		})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, r.Revision); err != nil {
			return err
		}
	}
}

func TestNothingThatWasAcknowledgedIsLostWhenTheProcessIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills 20 processes")
	}
	t.Parallel()
	address := sqliteEngine.fresh(t)
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	var acknowledged int64
	for kill := range 20 {
		// Some are killed while they open, most while they write.
		told := killAfter(t, address, kill%4 == 1, time.Duration(rng.IntN(60_000))*time.Microsecond)
		acknowledged = max(acknowledged, told)
		inspect(t, address, acknowledged)
	}
	if acknowledged < 20 {
		t.Errorf("only %d changes were made: the kills came too early to show anything", acknowledged)
	}
	t.Logf("%d acknowledged changes survived", acknowledged)
}

// killAfter runs the writer and kills it that long after its first change, or
// when early after its start. It gives the last change that it told of.
func killAfter(t *testing.T, address string, early bool, after time.Duration) (last int64) {
	t.Helper()
	exe, err := os.Executable()
	check(t, err)
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), killedDatabase+"="+address)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	var timer *time.Timer
	kill := func() { timer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) }
	if early {
		kill()
	}
	// Whole lines only: the kill may cut one in two.
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		last, err = strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		check(t, err)
		if timer == nil {
			kill()
		}
	}
	if timer != nil {
		timer.Stop()
	}
	if err := cmd.Wait(); err == nil || complaints.Len() > 0 {
		t.Fatalf("the writer was not killed: %v\n%s", err, complaints.String())
	}
	return last
}

// inspect opens what the killed process left and checks all that must hold.
func inspect(t *testing.T, address string, acknowledged int64) {
	t.Helper()
	d := &database{Store: reopened(t, address), engine: sqliteEngine, address: address}
	defer func() { check(t, d.Close()) }()
	var integrity string
	check(t, sqliteEngine.raw(t, address).QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&integrity))
	if integrity != "ok" {
		t.Fatalf("integrity check: %s", integrity)
	}
	records := d.verified(t)
	r, err := d.Request(t.Context(), "R-1")
	if errors.Is(err, approval.ErrNoRequest) && acknowledged == 0 {
		return
	}
	check(t, err)
	// At most one change was stored and not told any more.
	n := r.Revision
	if n < acknowledged {
		t.Fatalf("revision %d, although %d was acknowledged", n, acknowledged)
	}
	if int64(len(r.Decisions)) != n || records != n {
		t.Fatalf("revision %d with %d decisions and %d records", n, len(r.Decisions), records)
	}
	for i, x := range r.Decisions {
		if x.Version != i {
			t.Fatalf("decision %d is of change %d", i, x.Version)
		}
	}
	for i, x := range d.chain(t, store.RecordFilter{}) {
		if x.Detail != strconv.Itoa(i) {
			t.Fatalf("record %d is of change %s", i, x.Detail)
		}
	}
	// Each change finishes at most one task and adds one; what was claimed
	// by the killed process is free again, and nothing is there twice.
	var open, done int64
	db := sqliteEngine.raw(t, address)
	check(t, db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM task WHERE state = 'ready'`).Scan(&open))
	check(t, db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM task WHERE state = 'done'`).Scan(&done))
	if open+done != n {
		t.Fatalf("%d open and %d done tasks after %d changes", open, done, n)
	}
	if n > 0 && open != 1 {
		t.Fatalf("%d open tasks, want 1", open)
	}
}
