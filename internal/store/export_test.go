package store

import "database/sql"

// OnWriter lets a test spoil the connection that writes.
func (s *Store) OnWriter(f func(*sql.DB) error) error { return f(s.writer.DB) }
