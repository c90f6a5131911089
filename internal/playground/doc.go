// Package playground is the whole product on one machine: a Slack emulator, two
// Qlik tenants and the real bot between them, with people, roles and a policy
// to try things on. The demo and the tests of the whole product use it.
//
// The bot in it is assembled exactly as `serve` assembles it, from a
// configuration; only the addresses are the emulators'. The package refuses to
// reach anything else: its transport knows the emulators' addresses and no
// others.
package playground
