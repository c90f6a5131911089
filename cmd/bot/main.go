// Command bot administers Qlik Cloud tenants from Slack, with approvals.
//
// Its job is to read the command line and the environment, to put the parts
// together, and to end with the promised exit codes: 0 done, 1 it ran and the
// answer is no, 2 the call or the configuration is wrong. It refuses
// subcommands and flags that it does not know, and those that are not built
// yet, with a sentence.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// Exit codes; public interface.
const (
	exitDone  = 0
	exitNo    = 1
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// subcommand is one word of the command line.
type subcommand struct {
	name, summary string
	run           func(ctx context.Context, c call) error
}

// call is what a subcommand works with.
type call struct {
	args     []string
	out, err io.Writer
}

// codeError ends the program with a code. An error without one is a no.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

// wrong is an error of the call or the configuration.
func wrong(err error) error { return &codeError{exitUsage, err} }

func subcommands() []subcommand {
	return []subcommand{
		{"serve", "run the bot", serve},
		{"demo", "run the bot between a Slack and two Qlik tenants of its own, with a page in the browser", demo},
		{"policy check", "say whether a policy file can be used", policyCheck},
		{"audit verify", "check the audit record for changes", auditVerify},
		{"audit export", "write the audit record, one JSON object a line", auditExport},
		{"version", "say which version this is", version},
		{"doctor", "check the installation (not built yet)", notBuilt("doctor")},
		{"policy explain", "say why somebody may or may not do something (not built yet)", notBuilt("policy explain")},
		{"policy test", "run a file of policy cases (not built yet)", notBuilt("policy test")},
	}
}

func notBuilt(name string) func(context.Context, call) error {
	return func(_ context.Context, c call) error {
		if err := c.flags(name, "This is not built yet in this version.").Parse(c.args); errors.Is(err, flag.ErrHelp) {
			return err
		}
		return wrong(fmt.Errorf("bot %s is not built yet in this version", name))
	}
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) == 0 {
		usage(errs)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(out)
		return exitDone
	}
	for _, s := range subcommands() {
		rest, ok := s.takes(args)
		if !ok {
			continue
		}
		err := s.run(ctx, call{args: rest, out: out, err: errs})
		var coded *codeError
		switch {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return exitDone
		case errors.As(err, &coded):
			_, _ = fmt.Fprintln(errs, "bot "+s.name+": "+err.Error())
			return coded.code
		default:
			_, _ = fmt.Fprintln(errs, "bot "+s.name+": "+err.Error())
			return exitNo
		}
	}
	if last := args[len(args)-1]; isGroup(args[0]) && (last == "-h" || last == "-help" || last == "--help") {
		usage(out)
		return exitDone
	}
	_, _ = fmt.Fprintf(errs, "bot: there is no subcommand %q\n\n", args[0])
	usage(errs)
	return exitUsage
}

// isGroup says whether a word begins the names of subcommands.
func isGroup(word string) bool {
	return slices.ContainsFunc(subcommands(), func(s subcommand) bool { return strings.HasPrefix(s.name, word+" ") })
}

// takes says whether the arguments name this subcommand, and gives the rest.
func (s subcommand) takes(args []string) ([]string, bool) {
	words := strings.Fields(s.name)
	if len(args) < len(words) || !slices.Equal(args[:len(words)], words) {
		return nil, false
	}
	return args[len(words):], true
}

func usage(w io.Writer) {
	_, _ = fmt.Fprintln(w, "Usage: bot <subcommand> [flags]")
	_, _ = fmt.Fprintln(w)
	for _, s := range subcommands() {
		_, _ = fmt.Fprintf(w, "  %-15s %s\n", s.name, s.summary)
	}
	_, _ = fmt.Fprintln(w, "\nEvery subcommand takes --help. The bot is configured by environment variables; see docs/configuration.md.")
}

// flags makes a subcommand's flag set.
func (c call) flags(name, more string) *flag.FlagSet {
	fs := flag.NewFlagSet("bot "+name, flag.ContinueOnError)
	fs.SetOutput(c.err)
	fs.Usage = func() {
		fs.SetOutput(c.out)
		_, _ = fmt.Fprintf(c.out, "Usage: bot %s [flags]\n\n%s\n", name, more)
		fs.PrintDefaults()
	}
	return fs
}

// parse reads the flags and takes no arguments besides.
func (c call) parse(fs *flag.FlagSet) error {
	if err := fs.Parse(c.args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return wrong(err)
	}
	if fs.NArg() > 0 {
		return wrong(fmt.Errorf("does not take %q", fs.Arg(0)))
	}
	return nil
}
