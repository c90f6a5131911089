// Package audit is the record of who asked, who agreed and how it ended: an
// append-only chain of entries in which each one carries the hash of the one
// before it.
//
// Its job is to seal entries into records, to verify a chain and to write it
// out. It keeps nothing itself: the store appends records in the same
// transaction as the change that they speak of, so that a change without its
// record cannot exist. It refuses to seal what it cannot hash, and it never
// repairs a chain: a break is reported with the first record that shows it.
package audit
