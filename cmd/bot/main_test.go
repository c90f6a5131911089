package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qlik-chatops/bot/internal/playground"
)

// beTheBot makes the test binary run the program instead of the tests, so that
// it can be started as a process of its own.
const beTheBot = "BE_THE_BOT"

func TestMain(m *testing.M) {
	if os.Getenv(beTheBot) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is the program with these arguments and nothing in its environment
// but env.
func process(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append([]string{beTheBot + "=1", "HOME=" + t.TempDir()}, env...)
	cmd.Dir = t.TempDir()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// runs waits for the program and returns its exit code and what it wrote.
func runs(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := process(t, env, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no subcommand":               {nil, exitUsage, "Usage: bot"},
		"help":                        {[]string{"--help"}, exitDone, ""},
		"an unknown subcommand":       {[]string{"dance"}, exitUsage, `no subcommand "dance"`},
		"version":                     {[]string{"version"}, exitDone, ""},
		"an unknown flag":             {[]string{"version", "--loud"}, exitUsage, "flag provided but not defined"},
		"an argument too many":        {[]string{"version", "please"}, exitUsage, `does not take "please"`},
		"serve without configuration": {[]string{"serve"}, exitUsage, "SLACK_BOT_TOKEN"},
		"doctor is not built":         {[]string{"doctor"}, exitUsage, "not built yet"},
		"policy test is not built":    {[]string{"policy", "test"}, exitUsage, "not built yet"},
		"policy alone":                {[]string{"policy"}, exitUsage, `no subcommand "policy"`},
		"help on a group":             {[]string{"audit", "--help"}, exitDone, ""},
		"revocations-only":            {[]string{"serve", "--revocations-only"}, exitUsage, "not built yet"},
		"no database to verify":       {[]string{"audit", "verify"}, exitUsage, "bot audit verify:"},
		"a date that is none":         {[]string{"audit", "export", "--since", "soon"}, exitUsage, `"soon"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := runs(t, nil, tc.args...)
			if code != tc.code || !strings.Contains(stderr, tc.says) {
				t.Errorf("exit code %d, want %d; it says %q, want %q in it", code, tc.code, stderr, tc.says)
			}
		})
	}
}

func TestEverySubcommandHasHelp(t *testing.T) {
	t.Parallel()
	for _, s := range subcommands() {
		var out, errs bytes.Buffer
		args := append(strings.Fields(s.name), "--help")
		if code := run(t.Context(), args, &out, &errs); code != exitDone || !strings.Contains(out.String(), "Usage: bot "+s.name) {
			t.Errorf("bot %s --help: exit code %d, it says %q and %q", s.name, code, out.String(), errs.String())
		}
	}
}

func TestEveryConfigurationProblemIsToldAtOnceAndNoSecretWithIt(t *testing.T) {
	t.Parallel()
	secret := "xapp-" + "sentinel-of-a-secret"
	code, _, stderr := runs(t, []string{
		"SLACK_BOT_TOKEN=" + secret, "SLACK_APROVALS_CHANNEL=C0OPS", "QLIK_TENANTS=prod",
		"QLIK_PROD_URL=http://example.com", "LOG_LEVEL=loud",
	}, "serve")
	if code != exitUsage {
		t.Errorf("exit code %d, want %d", code, exitUsage)
	}
	for _, name := range []string{"SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_APROVALS_CHANNEL", "QLIK_PROD_URL", "QLIK_PROD_CLIENT_ID", "POLICY_FILE", "LOG_LEVEL"} {
		if !strings.Contains(stderr, name) {
			t.Errorf("%s is not named in %q", name, stderr)
		}
	}
	if strings.Contains(stderr, "sentinel") {
		t.Errorf("the secret is in %q", stderr)
	}
}

func TestPolicyCheckAnswersWithTheProblemsAndTheirLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	write(t, good, strings.ReplaceAll(playground.Policy, "home", "staging"))
	write(t, bad, "version: 1\nrules:\n  - name: a\n    effect: allow\n    who: [anyone]\n    commands: [\"@reed\"]\n    tenants: [\"*\"]\n")
	env := []string{"QLIK_TENANTS=prod,staging"}
	if code, out, stderr := runs(t, env, "policy", "check", "--file", good); code != exitDone || !strings.Contains(out, "can be used") {
		t.Errorf("a good policy: exit code %d, %s %s", code, out, stderr)
	}
	if code, _, stderr := runs(t, env, "policy", "check", "--file", bad); code != exitNo || !strings.Contains(stderr, "@reed") || !strings.Contains(stderr, "6") {
		t.Errorf("a bad policy: exit code %d, %s", code, stderr)
	}
	if code, _, stderr := runs(t, env, "policy", "check", "--file", filepath.Join(dir, "none.yaml")); code != exitUsage {
		t.Errorf("no policy file: exit code %d, %s", code, stderr)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTheBinaryWorksByItsEnvironmentAlone starts the program as a process, has
// a change made through it, reads its record beside it, and stops it.
func TestTheBinaryWorksByItsEnvironmentAlone(t *testing.T) {
	t.Parallel()
	p, err := playground.New(playground.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	health := freeAddress(t)
	env := append(p.Env(), "LISTEN_ADDR="+health)
	cmd := process(t, env, "serve")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Logf("the bot said:\n%s", log.String())
		}
	}()
	eventually(t, "readyz answers", func() bool { return get(t, health, "/readyz") == http.StatusOK })

	if code, _, stderr := runs(t, env, "serve"); code != exitUsage || !strings.Contains(stderr, "another process") {
		t.Errorf("a second process on the same database: exit code %d, it says %q", code, stderr)
	}

	out, err := p.Slack.Command(t.Context(), playground.Ana, playground.ChannelOps, "add-admin @dan because incident 42")
	if err != nil || !out.OK() {
		t.Fatalf("outcome %+v, error %v", out, err)
	}
	says := func(state string) func() bool {
		return func() bool {
			ms := p.Slack.Messages(playground.ChannelOps)
			return len(ms) > 0 && strings.Contains(ms[0].Text, " · "+state+": ")
		}
	}
	eventually(t, "a card waits", says("waiting"))
	if _, err := p.Slack.Click(t.Context(), playground.Cleo, playground.ChannelOps, p.Slack.Messages(playground.ChannelOps)[0].TS, "request.approve"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the card says succeeded", says("succeeded"))
	if u, ok := p.Tenant(playground.Prod).UserByEmail("dan@example.com"); !ok || len(u.Roles) != 1 || u.Roles[0] != "TenantAdmin" {
		t.Errorf("in the tenant stands %+v", u)
	}

	if code, out, stderr := runs(t, env, "audit", "verify"); code != exitDone || !strings.Contains(out, "none changed") {
		t.Errorf("audit verify beside the running bot: exit code %d, %s %s", code, out, stderr)
	}
	code, record, stderr := runs(t, env, "audit", "export", "--tenant", "prod")
	if code != exitDone {
		t.Errorf("audit export: exit code %d, %s", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(record), "\n")
	var last struct {
		Event, Outcome, Tenant string
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Event != "ended" || last.Outcome != "succeeded" || last.Tenant != "prod" {
		t.Errorf("the last record is %s (%v)", lines[len(lines)-1], err)
	}

	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	stopped = true
	if err := cmd.Wait(); err != nil {
		t.Errorf("the bot ended with %v and said:\n%s", err, log.String())
	}
	for _, closed := range p.Slack.ClosedConnections() {
		if !strings.Contains(closed.HowClosed, "client close frame") {
			t.Errorf("connection %s ended with %q, want a close frame", closed.ID, closed.HowClosed)
		}
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

func get(t testing.TB, addr, path string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// eventually waits for what another process brings about.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("30 s later it is still not so that %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
