package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/qlik-chatops/bot/internal/audit"
	"github.com/qlik-chatops/bot/internal/config"
	"github.com/qlik-chatops/bot/internal/store"
)

// openForReading opens the database beside a bot that may be running.
func openForReading(ctx context.Context) (*store.Store, error) {
	cfg, err := config.Read(config.NeedDatabase)
	if err != nil {
		return nil, wrong(err)
	}
	db, err := store.Open(ctx, store.Options{URL: cfg.DatabaseURL.Reveal(), ReadOnly: true})
	if err != nil {
		return nil, wrong(err)
	}
	return db, nil
}

// auditVerify checks the chain.
func auditVerify(ctx context.Context, c call) (err error) {
	fs := c.flags("audit verify", "Checks that no audit record was changed, dropped or reordered.")
	checkpoint := fs.String("checkpoint", "", "a signed checkpoint to check the tail against (not built yet)")
	if err := c.parse(fs); err != nil {
		return err
	}
	if *checkpoint != "" {
		return wrong(errors.New("--checkpoint is not built yet"))
	}
	db, err := openForReading(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	head, err := audit.Verify(db.Records(ctx, store.RecordFilter{}))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%d records, none changed, dropped or reordered. The last one is %s.\nWithout a signed checkpoint it cannot be told whether records are missing at the end.\n", head.Seq, head.Hash)
	return err
}

// auditExport writes the chain.
func auditExport(ctx context.Context, c call) (err error) {
	fs := c.flags("audit export", "Writes the audit record to standard output, one JSON object a line.")
	since := fs.String("since", "", "only records from this moment on (RFC 3339, or a date)")
	until := fs.String("until", "", "only records before this moment (RFC 3339, or a date)")
	tenant := fs.String("tenant", "", "only records about this tenant")
	if err := c.parse(fs); err != nil {
		return err
	}
	f := store.RecordFilter{Tenant: *tenant}
	if f.Since, err = moment("since", *since); err != nil {
		return err
	}
	if f.Until, err = moment("until", *until); err != nil {
		return err
	}
	db, err := openForReading(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = audit.Write(c.out, db.Records(ctx, f))
	return err
}

// moment reads a flag that names a point in time.
func moment(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, wrong(fmt.Errorf("--%s: %q is neither a moment such as 2026-01-31T08:00:00Z nor a date such as 2026-01-31", flag, s))
}
