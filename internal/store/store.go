package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/qlik-chatops/bot/internal/approval"
	"github.com/qlik-chatops/bot/internal/execution"
)

// Why a database cannot be opened or used, for errors.Is.
var (
	// ErrLocked: another process holds the database.
	ErrLocked = errors.New("another process holds the database")
	// ErrNewer: a newer program has written the database.
	ErrNewer = errors.New("the database is newer than this program")
	// ErrOlder: the database must be brought up to date first, which only a
	// store that may write does.
	ErrOlder = errors.New("the database is older than this program")
	// ErrForeign: the file is not a database of this program.
	ErrForeign = errors.New("not a database of this program")
	// ErrUnsupported: the address names an engine that is not built in.
	ErrUnsupported = errors.New("no such database engine")
	// ErrReadOnly: the store was opened for reading.
	ErrReadOnly = errors.New("the database was opened for reading only")
	// ErrRequestExists: a new request has the ID of a stored one.
	ErrRequestExists = errors.New("a request of that ID exists")
)

// OpenError says why a database could not be opened. Its text is made for
// people; errors.Is finds the sentinels above and those of io/fs.
type OpenError struct {
	// Path is the database file, or empty where the address was not read that
	// far. An address with credentials never gets in here.
	Path string
	// Say is what is wrong and what to do about it.
	Say string
	Err error
}

func (e *OpenError) Error() string {
	if e.Path == "" {
		return "open database: " + e.Say
	}
	return "open database " + e.Path + ": " + e.Say
}

func (e *OpenError) Unwrap() error { return e.Err }

// Options say which database to open, and how.
type Options struct {
	// URL is the address in the form of DATABASE_URL: "sqlite:" and a path.
	URL string
	// Logger is told what was opened; nil is nobody.
	Logger *slog.Logger
	// ReadOnly opens beside a bot that is running, without the lock: nothing
	// is created, brought up to date or written.
	ReadOnly bool
}

// Store is an open database. Its methods may be called from many goroutines.
type Store struct {
	// writer has one connection, which makes every writing transaction wait
	// for the one before it; nil when the store only reads. Whoever holds a
	// transaction must not ask writer for anything else.
	writer *pool
	reader *pool
	lock   *flock.Flock // nil when the store only reads

	mu    sync.Mutex
	added chan struct{} // owned by mu; closed and replaced by wake
}

var (
	_ approval.Store  = (*Store)(nil)
	_ execution.Queue = (*Store)(nil)
)

// Open opens the database at the address, creates it where there is none and
// brings it up to date. The tasks that an earlier process had in its hands
// are free again when it returns: with SQLite there is no second process that
// could still be at work on them. Its errors are *OpenError, or those of ctx.
func Open(ctx context.Context, o Options) (*Store, error) {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	engine, rest, ok := strings.Cut(o.URL, ":")
	if !ok || engine != "sqlite" {
		// Not a word of the address: it may hold a password.
		return nil, &OpenError{
			Say: "the address must be sqlite:PATH; other databases are not supported by this version. Nothing was opened.",
			Err: ErrUnsupported,
		}
	}
	s, err := openSQLite(ctx, rest, o.ReadOnly, log)
	if err != nil {
		return nil, err
	}
	s.added = make(chan struct{})
	return s, nil
}

// Close ends all work on the database and gives it free for other processes.
func (s *Store) Close() error {
	var errs []error
	// Readers first: the last connection to go tidies up, and a reader cannot.
	if s.reader != nil {
		errs = append(errs, s.reader.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}

// Ping says whether the database still answers.
func (s *Store) Ping(ctx context.Context) error {
	if _, err := s.AuditHead(ctx); err != nil {
		return err
	}
	return nil
}

// Purged counts what a Purge has removed.
type Purged struct{ Requests, Tasks int64 }

// purgeBatch is how much one transaction of a purge removes, so that nobody
// waits long for it.
const purgeBatch = 200

// Purge removes requests that ended before that time, unless a task is still
// owed for them, and the rows of tasks that were done before it: after that
// a Slack envelope of that age would no longer be known as seen. The audit
// record stays.
func (s *Store) Purge(ctx context.Context, before time.Time) (Purged, error) {
	var p Purged
	for _, part := range []struct {
		statement string
		count     *int64
	}{{purgeRequests, &p.Requests}, {purgeTasks, &p.Tasks}} {
		for {
			var n int64
			err := s.write(ctx, func(t *transaction) (err error) {
				n, err = t.exec(ctx, part.statement, millis(before), purgeBatch)
				return err
			})
			if err != nil {
				return p, fmt.Errorf("purge the database: %w", err)
			}
			*part.count += n
			if n < purgeBatch {
				break
			}
		}
	}
	return p, nil
}

// millis is how times are stored: Unix milliseconds, rounded down, and 0 for
// the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// instant is the time that millis stored.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// text makes s storable on every engine: UTF-8 without NUL.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
