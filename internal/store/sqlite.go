package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlitecode "modernc.org/sqlite/lib"
)

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

// sqliteReaders is how many reads may go on beside the one writer.
const sqliteReaders = 4

// openSQLite opens, and unless readOnly creates, locks and migrates, the
// database file of an address "sqlite:PATH".
func openSQLite(ctx context.Context, address string, readOnly bool, log *slog.Logger) (_ *Store, err error) {
	path, err := sqlitePath(address)
	if err != nil {
		return nil, err
	}
	s := &Store{}
	defer func() {
		if err != nil {
			// The error that stopped the opening is the one to tell.
			_ = s.Close()
		}
	}()

	if readOnly {
		if err := sqliteExists(path); err != nil {
			return nil, err
		}
	} else {
		if s.lock, err = sqliteLock(path); err != nil {
			return nil, err
		}
		if err := sqliteCreate(path); err != nil {
			return nil, err
		}
		if s.writer, err = sqlitePool(path, false); err != nil {
			return nil, err
		}
		s.writer.SetMaxOpenConns(1)
	}
	if s.reader, err = sqlitePool(path, true); err != nil {
		return nil, err
	}
	s.reader.SetMaxOpenConns(sqliteReaders)
	s.reader.SetMaxIdleConns(sqliteReaders)

	if readOnly {
		if err := sqliteCheck(ctx, s.reader.DB, path, true); err != nil {
			return nil, err
		}
		if err := s.reader.prepare(ctx, reading()); err != nil {
			return nil, sqliteProblem(ctx, path, err)
		}
		return s, nil
	}
	if err := sqliteCheck(ctx, s.writer.DB, path, false); err != nil {
		return nil, err
	}
	if err := sqliteMigrate(ctx, s.writer.DB, path); err != nil {
		return nil, err
	}
	if err := errors.Join(s.writer.prepare(ctx, writing()), s.reader.prepare(ctx, reading())); err != nil {
		return nil, sqliteProblem(ctx, path, err)
	}
	released, err := s.release(ctx)
	if err != nil {
		return nil, sqliteProblem(ctx, path, err)
	}
	log.InfoContext(ctx, "database opened", "path", path, "tasks_released", released)
	return s, nil
}

// release puts the tasks back that an earlier process had claimed.
func (s *Store) release(ctx context.Context) (n int64, err error) {
	err = s.write(ctx, func(t *transaction) (err error) {
		n, err = t.exec(ctx, releaseTasks)
		return err
	})
	return n, err
}

// sqlitePath is the file that an address means. Two names of one file are one
// path, so that they are one lock.
func sqlitePath(address string) (string, error) {
	refuse := func(say string) (string, error) {
		return "", &OpenError{Say: say, Err: ErrUnsupported}
	}
	switch {
	case address == "":
		return refuse("sqlite: names no file. Write sqlite:PATH, such as sqlite:bot.db.")
	case strings.HasPrefix(address, ":") || strings.HasPrefix(address, "file:"):
		return refuse("only a plain path may follow sqlite:, such as sqlite:bot.db; a database in memory would forget every request.")
	case strings.HasPrefix(address, "//") && !strings.HasPrefix(address, "///"):
		return refuse("write sqlite:PATH without //, such as sqlite:bot.db or sqlite:/var/lib/bot/bot.db.")
	case strings.ContainsRune(address, 0):
		return refuse("the path holds a NUL character.")
	}
	path, err := filepath.Abs(address)
	if err != nil {
		return "", &OpenError{Path: address, Say: "the path cannot be made absolute: " + err.Error(), Err: err}
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved, nil
	}
	// The file may be about to be created; its directory has one true name.
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(dir, filepath.Base(path)), nil
	}
	return path, nil
}

// sqliteLock takes the lock that keeps a second process away.
func sqliteLock(path string) (*flock.Flock, error) {
	lock := flock.New(path + ".lock")
	ok, err := lock.TryLock()
	switch {
	case err != nil:
		return nil, fileProblem(path, err)
	case !ok:
		return nil, &OpenError{
			Path: path,
			Say:  "another process holds it (its lock is " + path + ".lock). Only one bot at a time can use an SQLite database: stop the other one first.",
			Err:  ErrLocked,
		}
	}
	return lock, nil
}

// sqliteCreate makes the file where there is none, readable for its owner
// alone. SQLite gives the files beside it the same permissions.
func sqliteCreate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fileProblem(path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("not a regular file: %w", fs.ErrInvalid)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fileProblem(path, err)
	}
	return nil
}

func sqliteExists(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &OpenError{Path: path, Say: "there is no such file. The bot creates it when it is first started.", Err: err}
	case err != nil:
		return fileProblem(path, err)
	case info.IsDir():
		return &OpenError{Path: path, Say: "it is a directory; name the database file in it.", Err: ErrForeign}
	}
	return nil
}

// fileProblem puts an error of the file system into words.
func fileProblem(path string, err error) error {
	dir := filepath.Dir(path)
	info, statErr := os.Stat(dir)
	say := err.Error()
	switch {
	case errors.Is(statErr, fs.ErrNotExist):
		say = "the directory " + dir + " does not exist. Create it, or name another place."
	case statErr == nil && !info.IsDir():
		say = dir + " is not a directory. Name another place."
	case errors.Is(err, fs.ErrPermission):
		say = "the file and its directory " + dir + " must be writable for the bot's user, and are not: " + err.Error() + "."
	default:
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
			say, err = "it is a directory; name the database file in it.", errors.Join(ErrForeign, err)
		}
	}
	return &OpenError{Path: path, Say: say, Err: err}
}

// sqlitePool opens no connection yet; it only says how they are to be opened.
func sqlitePool(path string, readOnly bool) (*pool, error) {
	q := url.Values{
		"_dqs": {"0"}, // a misspelt column is an error and not a string
		"_pragma": {
			"busy_timeout(5000)",
			"foreign_keys(1)",
			// What was acknowledged survives a power cut.
			"synchronous(FULL)",
		},
	}
	if readOnly {
		q.Set("mode", "ro")
		q.Add("_pragma", "query_only(1)")
	} else {
		q.Set("mode", "rw")
		q.Set("_txlock", "immediate")
		q.Add("_pragma", "journal_mode(WAL)")
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, &OpenError{Path: path, Say: err.Error(), Err: err}
	}
	return &pool{DB: db}, nil
}

// sqliteCheck refuses what is not a database of this program, or not of a
// version that it knows.
func sqliteCheck(ctx context.Context, db *sql.DB, path string, readOnly bool) error {
	var own, tables, version int64
	if err := db.QueryRowContext(ctx, sqliteOwn).Scan(&own, &tables); err != nil {
		return sqliteProblem(ctx, path, err)
	}
	if own == 0 && tables > 0 {
		return &OpenError{Path: path, Say: "it is the database of another program. Name another file; nothing was changed in this one.", Err: ErrForeign}
	}
	if own > 0 {
		if err := db.QueryRowContext(ctx, sqliteVersion).Scan(&version); err != nil {
			return sqliteProblem(ctx, path, err)
		}
	}
	known, err := sqliteKnown()
	if err != nil {
		return &OpenError{Path: path, Say: err.Error(), Err: err}
	}
	switch {
	case version > known:
		return &OpenError{
			Path: path,
			Say:  fmt.Sprintf("a newer version of the bot has written it (it has schema %d, this program knows up to %d). Start that version, or restore a backup; nothing was changed.", version, known),
			Err:  ErrNewer,
		}
	case version < known && readOnly:
		return &OpenError{
			Path: path,
			Say:  fmt.Sprintf("it has schema %d and this program needs %d. Start the bot once, which brings it up to date; nothing was changed.", version, known),
			Err:  ErrOlder,
		}
	}
	var journal string
	if err := db.QueryRowContext(ctx, sqliteJournal).Scan(&journal); err != nil {
		return sqliteProblem(ctx, path, err)
	}
	if journal != "wal" && !readOnly {
		return &OpenError{Path: path, Say: "write-ahead logging does not work here (the journal is " + journal + "). Put the file on a local disk."}
	}
	return nil
}

// sqliteKnown is the newest version among the migrations.
func sqliteKnown() (int64, error) {
	files, err := fs.Glob(sqliteMigrations, "migrations/sqlite/*.sql")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, f := range files {
		v, err := goose.NumericComponent(f)
		if err != nil {
			return 0, fmt.Errorf("migration %s: %w", f, err)
		}
		newest = max(newest, v)
	}
	return newest, nil
}

// sqliteMigrate brings the schema up to date. The file lock stands in for the
// lock that goose would need against a second migrator.
func sqliteMigrate(ctx context.Context, db *sql.DB, path string) error {
	files, err := fs.Sub(sqliteMigrations, "migrations/sqlite")
	if err != nil {
		return &OpenError{Path: path, Say: err.Error(), Err: err}
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return &OpenError{Path: path, Say: err.Error(), Err: err}
	}
	if _, err := provider.Up(ctx); err != nil {
		return sqliteProblem(ctx, path, err)
	}
	return nil
}

// sqliteProblem puts an error of the engine, met while opening, into words.
func sqliteProblem(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("open database %s: %w", path, err)
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return &OpenError{Path: path, Say: err.Error(), Err: err}
	}
	switch e.Code() & 0xff {
	case sqlitecode.SQLITE_NOTADB:
		return &OpenError{Path: path, Say: "it is not an SQLite database. Name another file; nothing was changed in this one.", Err: errors.Join(ErrForeign, err)}
	case sqlitecode.SQLITE_CORRUPT:
		return &OpenError{Path: path, Say: "the file is damaged (" + e.Error() + "). Restore a backup.", Err: err}
	case sqlitecode.SQLITE_BUSY:
		return &OpenError{Path: path, Say: "another program is writing to it and does not let go (" + e.Error() + "). Close that program.", Err: errors.Join(ErrLocked, err)}
	case sqlitecode.SQLITE_CANTOPEN, sqlitecode.SQLITE_READONLY, sqlitecode.SQLITE_PERM:
		return &OpenError{Path: path, Say: "the file and its directory must be readable and writable, and are not (" + e.Error() + ").", Err: errors.Join(fs.ErrPermission, err)}
	case sqlitecode.SQLITE_FULL:
		return &OpenError{Path: path, Say: "the disk is full (" + e.Error() + ").", Err: err}
	}
	return &OpenError{Path: path, Say: e.Error(), Err: err}
}
