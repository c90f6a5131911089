// Package store is the database: requests with all that belongs to them, the
// tasks that are owed, and the audit chain.
//
// Its job is that a change, its audit records and the work that follows from
// it are one transaction, and that what a method returned is on the disk. It
// stands behind approval.Store and execution.Queue and gives the audit chain
// back as it was sealed. Today the engine is SQLite, one process at a time;
// the statements keep to what PostgreSQL understands too: TEXT and BIGINT
// columns, times as Unix milliseconds, JSON as TEXT, $N placeholders.
//
// Two things change on the way through the database: times come back in UTC
// and cut to the millisecond, and text that is not UTF-8, or holds a NUL,
// comes back with U+FFFD in those places. Empty slices come back as nil.
//
// It refuses to change or delete an audit record, to open a database that a
// newer program wrote or that belongs to something else, to share a SQLite
// file with another process that writes, and to finish work for a claim that
// was lost. It judges nothing: who may decide, and what follows, is for
// package approval; what is to be sent again, for package execution.
package store
