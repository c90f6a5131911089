package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/audit"
	"github.com/qlik-chatops/bot/internal/store"
)

func TestOpeningWhatCannotBeOpenedSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	foreign := filepath.Join(dir, "foreign.db")
	db := sqliteEngine.raw(t, "sqlite:"+foreign)
	_, err := db.ExecContext(t.Context(), `CREATE TABLE recipes (name TEXT)`)
	check(t, err)

	for _, test := range []struct {
		name, url string
		readOnly  bool
		want      error
		say       string
	}{
		{name: "PostgreSQL, whose address is not repeated", url: "postgres://bot:" + "made-up" + "@db.example.com/bot", want: store.ErrUnsupported, say: "not supported by this version"},
		{name: "no engine", url: "bot.db", want: store.ErrUnsupported, say: "sqlite:PATH"},
		{name: "nothing", url: "", want: store.ErrUnsupported, say: "sqlite:PATH"},
		{name: "no path", url: "sqlite:", want: store.ErrUnsupported, say: "names no file"},
		{name: "in memory", url: "sqlite::memory:", want: store.ErrUnsupported, say: "forget"},
		{name: "a file address", url: "sqlite:file:x.db?mode=memory", want: store.ErrUnsupported, say: "plain path"},
		{name: "two slashes", url: "sqlite://bot.db", want: store.ErrUnsupported, say: "without //"},
		{name: "a directory that is not there", url: "sqlite:" + filepath.Join(dir, "none", "bot.db"), want: fs.ErrNotExist, say: "does not exist"},
		{name: "a file as directory", url: "sqlite:" + filepath.Join(write("plain", ""), "bot.db"), say: "is not a directory"},
		{name: "a directory", url: "sqlite:" + dir, want: store.ErrForeign, say: "is a directory"},
		{name: "a directory, for reading", url: "sqlite:" + dir, readOnly: true, want: store.ErrForeign, say: "is a directory"},
		{name: "not a database", url: "sqlite:" + write("letter.txt", strings.Repeat("Dear reader, ", 500)), want: store.ErrForeign, say: "not an SQLite database"},
		{name: "not a database, for reading", url: "sqlite:" + write("letter2.txt", strings.Repeat("Dear reader, ", 500)), readOnly: true, want: store.ErrForeign, say: "not an SQLite database"},
		{name: "another program's database", url: "sqlite:" + foreign, want: store.ErrForeign, say: "another program"},
		{name: "no file, for reading", url: "sqlite:" + filepath.Join(dir, "none.db"), readOnly: true, want: fs.ErrNotExist, say: "no such file"},
		{name: "an empty file, for reading", url: "sqlite:" + write("empty.db", ""), readOnly: true, want: store.ErrOlder, say: "Start the bot once"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := store.Open(t.Context(), store.Options{URL: test.url, ReadOnly: test.readOnly})
			if err == nil {
				_ = s.Close()
				t.Fatal("it was opened")
			}
			var problem *store.OpenError
			if !errors.As(err, &problem) {
				t.Fatalf("the error is %T: %v", err, err)
			}
			if test.want != nil {
				wantErr(t, err, test.want)
			}
			if !strings.Contains(err.Error(), test.say) {
				t.Errorf("it says %q, want something about %q", err, test.say)
			}
			if strings.Contains(err.Error(), "made-up") {
				t.Errorf("it says the password: %v", err)
			}
		})
	}
	t.Run("nothing was changed in another program's database", func(t *testing.T) {
		var n int
		check(t, db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM sqlite_master`).Scan(&n))
		if n != 1 {
			t.Errorf("it has %d tables by now", n)
		}
	})
}

func TestADirectoryThatIsNotWritableIsSaidToBeSo(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may write anywhere; run as another user to test this")
	}
	dir := filepath.Join(t.TempDir(), "locked")
	check(t, os.Mkdir(dir, 0o500))
	_, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + filepath.Join(dir, "bot.db")})
	wantErr(t, err, fs.ErrPermission)
	if !strings.Contains(err.Error(), "must be writable") {
		t.Errorf("it says %v", err)
	}
}

func TestOnlyOneStoreAtATimeHoldsASQLiteFile(t *testing.T) {
	t.Parallel()
	d := open(t, sqliteEngine)
	path := strings.TrimPrefix(d.address, "sqlite:")
	other := filepath.Join(t.TempDir(), "other-name.db")
	check(t, os.Symlink(path, other))
	for _, address := range []string{d.address, "sqlite:" + filepath.Dir(path) + "/./" + filepath.Base(path), "sqlite:" + other} {
		_, err := store.Open(t.Context(), store.Options{URL: address})
		wantErr(t, err, store.ErrLocked)
		if !strings.Contains(err.Error(), "another process holds it") {
			t.Errorf("it says %v", err)
		}
	}
	d.restart(t)
}

func TestOpeningTellsWhatItOpenedAndHowManyTasksItFreed(t *testing.T) {
	t.Parallel()
	d := open(t, sqliteEngine)
	d.put(t, task("run:R-1", time.Now()), task("run:R-2", time.Now()))
	d.claims(t)
	check(t, d.Close())
	var log bytes.Buffer
	s, err := store.Open(t.Context(), store.Options{URL: d.address, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	check(t, err)
	d.Store = s
	if !strings.Contains(log.String(), "tasks_released=1") || !strings.Contains(log.String(), "bot.db") {
		t.Errorf("it told %q", log.String())
	}
}

func TestADatabaseFromTheFutureIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	d := open(t, sqliteEngine)
	check(t, d.Close())
	db := sqliteEngine.raw(t, d.address)
	_, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (900, 1)`)
	check(t, err)
	for _, readOnly := range []bool{false, true} {
		_, err = store.Open(t.Context(), store.Options{URL: d.address, ReadOnly: readOnly})
		wantErr(t, err, store.ErrNewer)
		if !strings.Contains(err.Error(), "newer version of the bot") {
			t.Errorf("it says %v", err)
		}
	}
	_, err = db.ExecContext(t.Context(), `DELETE FROM goose_db_version WHERE version_id = 900`)
	check(t, err)
	d.Store = reopened(t, d.address)
}

func TestTheDatabaseIsReadableForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	d := open(t, sqliteEngine)
	d.writes(t, entry("x"))
	path := strings.TrimPrefix(d.address, "sqlite:")
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		check(t, err)
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %v", filepath.Base(path)+suffix, mode)
		}
	}
}

func TestAPathMayHoldAnythingThatAFileNameMay(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?c=1&d#e%20 ü'\".db")
	s := reopened(t, "sqlite:"+path)
	check(t, s.Close())
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestAStoreForReadingSeesARunningBotAndCannotWrite(t *testing.T) {
	t.Parallel()
	d := open(t, sqliteEngine)
	d.create(t, "R-1", approval.Effects{Records: []audit.Entry{entry("one")}, Tasks: []approval.Task{task("run:R-1", time.Now())}})
	claim := d.claims(t)

	r, err := store.Open(t.Context(), store.Options{URL: d.address, ReadOnly: true})
	check(t, err)
	defer func() { check(t, r.Close()) }()
	beside := &database{Store: r, engine: d.engine, address: d.address}
	if n := beside.verified(t); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
	must(beside.Request(t.Context(), "R-1"))

	// What the bot writes from now on is seen too, and its claims stand.
	d.writes(t, entry("two"))
	if n := beside.verified(t); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
	check(t, d.Append(t.Context(), approval.Effects{Hold: &claim}))

	nothing := func(*approval.Request) (approval.Effects, error) { return approval.Effects{}, nil }
	_, changeErr := beside.ChangeRequest(t.Context(), "R-1", nothing)
	_, _, claimErr := beside.Claim(t.Context(), kinds, lease)
	_, purgeErr := beside.Purge(t.Context(), time.Now())
	for what, err := range map[string]error{
		"create": beside.CreateRequest(t.Context(), approval.Request{ID: "R-2"}, approval.Effects{}),
		"change": changeErr, "append": beside.Append(t.Context(), approval.Effects{}), "claim": claimErr,
		"renew": beside.Renew(t.Context(), claim, lease), "retry": beside.Retry(t.Context(), claim, time.Now(), ""), "purge": purgeErr,
	} {
		if !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("%s: the error is %v, want ErrReadOnly", what, err)
		}
	}
}

func TestAStoreForReadingOpensADatabaseThatNobodyRuns(t *testing.T) {
	t.Parallel()
	d := open(t, sqliteEngine)
	d.writes(t, entry("one"))
	check(t, d.Close())
	r, err := store.Open(t.Context(), store.Options{URL: d.address, ReadOnly: true})
	check(t, err)
	if n := (&database{Store: r}).verified(t); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
	check(t, r.Close())
	d.Store = reopened(t, d.address)
}

func TestClosingTwiceIsNoError(t *testing.T) {
	t.Parallel()
	d := open(t, sqliteEngine)
	check(t, d.Close())
	check(t, d.Close())
	if err := d.Ping(t.Context()); err == nil {
		t.Error("a closed store answers")
	}
}

func TestNoGoroutineIsLeftAfterClosing(t *testing.T) {
	t.Parallel()
	// The bubble itself fails when a goroutine is left at its end.
	synctest.Test(t, func(t *testing.T) {
		d := open(t, sqliteEngine)
		d.create(t, "R-1", approval.Effects{Tasks: []approval.Task{task("run:R-1", time.Now())}})
		ctx, cancel := context.WithCancel(t.Context())
		for _, err := range d.Records(ctx, store.RecordFilter{}) {
			if err != nil {
				t.Error(err)
			}
			break
		}
		cancel()
		d.claims(t)
	})
}

// TestAFullDiskLeavesEverythingWhole lets the database grow no further, which
// is how a full disk looks from inside a transaction.
func TestAFullDiskLeavesEverythingWhole(t *testing.T) {
	t.Parallel()
	d := open(t, sqliteEngine)
	d.create(t, "R-1", approval.Effects{Records: []audit.Entry{entry("one")}})
	before := must(d.Request(t.Context(), "R-1"))
	limit := func(pages string) {
		t.Helper()
		check(t, d.OnWriter(func(db *sql.DB) error {
			_, err := db.ExecContext(t.Context(), `PRAGMA max_page_count = `+pages)
			return err
		}))
	}
	limit("1") // SQLite makes that the number of pages that there are
	big := func() error {
		_, err := d.ChangeRequest(t.Context(), "R-1", func(r *approval.Request) (approval.Effects, error) {
			r.State = approval.Approved
			r.Plan.Notes = []string{strings.Repeat("x", 1<<20)}
			return approval.Effects{Tasks: []approval.Task{task("run:R-1", time.Now())}, Records: []audit.Entry{entry("two")}}, nil
		})
		return err
	}
	for range 3 {
		if err := big(); err == nil {
			t.Fatal("a full disk took it")
		}
		same(t, "request", must(d.Request(t.Context(), "R-1")), before)
		d.claimsNothing(t)
		if n := d.verified(t); n != 1 {
			t.Errorf("%d records, want 1", n)
		}
	}
	limit("1000000")
	check(t, big())
	d.claims(t)
	d.verified(t)
}

// TestADiskThatTakesNoWritesLeavesEverythingWhole makes the connection refuse
// writes under a store that expects to write.
func TestADiskThatTakesNoWritesLeavesEverythingWhole(t *testing.T) {
	t.Parallel()
	d := open(t, sqliteEngine)
	d.put(t, task("run:R-1", time.Now()))
	set := func(v int) {
		check(t, d.OnWriter(func(db *sql.DB) error {
			_, err := db.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA query_only = %d`, v))
			return err
		}))
	}
	set(1)
	if d.Append(t.Context(), approval.Effects{Records: []audit.Entry{entry("one")}}) == nil {
		t.Error("append: no error")
	}
	if _, _, err := d.Claim(t.Context(), kinds, lease); err == nil {
		t.Error("claim: no error")
	}
	set(0)
	d.claims(t)
	if n := d.verified(t); n != 0 {
		t.Errorf("%d records, want none", n)
	}
}
