package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

type step = chromedp.Action[chromedp.Void]

// TestBothCommandsInTheDemo clicks through the demo as a newcomer would: the
// program is a process, the browser is real, nothing in between is faked.
// TEST_SHOTS names a folder for pictures of it.
func TestBothCommandsInTheDemo(t *testing.T) {
	t.Parallel()
	ctx := browse(t)
	address := demoAddress(t)

	do(ctx, t, "Ana asks for administrator power for Dan",
		screen(1280, 800, false), chromedp.Navigate(address), live(),
		shown(`body[data-as="U0ANA"] #command`),
		enter("#command", "/qlik add-admin @dan because incident 42"+kb.Enter),
		see(`#timeline .message`, "waiting"),
		see(`#timeline .message`, "dan@example.com"),
		shown(`[data-action-id="request.approve"]`),
	)
	do(ctx, t, "Ana's own approval does not count",
		click(`[data-action-id="request.approve"]`),
		see(`#timeline .message[data-ephemeral]`, "your vote does not count"),
		shot("asked"),
	)
	do(ctx, t, "a guest's approval does not count",
		as("U0GIL"), click(`[data-action-id="request.approve"]`),
		see(`#timeline .message[data-ephemeral]`, "Guests may not use this bot"),
	)
	do(ctx, t, "Ben reads the details and approves, and the tenant changes",
		as("U0BEN"),
		click(`[data-action-id="request.details"]`), see(`#views dialog`, "Subject: auth0|"), click(`#views dialog .close`), gone(`#views dialog`),
		click(`[data-action-id="request.approve"]`),
		see(`#timeline .message`, "succeeded"),
		see(`#tenant-prod .user[data-email="dan@example.com"] .roles`, "TenantAdmin"),
		see(`#tenant-prod .call[data-write]`, "POST"),
		gone(`[data-action-id="request.approve"]`),
		shot("demo"),
	)

	do(ctx, t, "Ana invites three people, one of whom is there already, and confirms",
		as("U0ANA"), enter("#command", "/qlik invite nina@example.com, omar@example.com fay@example.com"+kb.Enter),
		shown(`[data-action-id="request.confirm"]`), click(`[data-action-id="request.confirm"]`),
		see(`#timeline .message`, "invitation sent"),
		see(`#tenant-prod .user[data-email="nina@example.com"] .status`, "invited"),
		shown(`#tenant-prod .mail[data-to="omar@example.com"]`), gone(`#tenant-prod .mail[data-to="fay@example.com"]`),
	)

	do(ctx, t, "a command without its argument opens a form, and the form says what is wrong beside the field",
		enter("#command", "/qlik invite"+kb.Enter), shown(`#views dialog`),
		enter(`#views dialog [data-block-id="emails"]`, "not-an-address"), click(`#views dialog .submit`),
		shown(`[data-error-for="emails"]`), shot("form"),
		enter(`#views dialog [data-block-id="emails"]`, kb.Backspace+strings.Repeat(kb.Backspace, 20)+"pia@example.com"), click(`#views dialog .submit`),
		gone(`#views dialog`), shown(`[data-action-id="request.confirm"]`),
	)
	do(ctx, t, "App Home lists what waits",
		click(`[data-channel="home"]`), shown("#home-refresh"), live(), see(`#timeline`, "pia@example.com"), shot("home"),
	)
	do(ctx, t, "the same on a phone, in the dark, without a mouse",
		screen(360, 740, true), chromedp.Navigate(address), live(), shown("#command"),
		see(`#timeline .message`, "waiting"), shot("phone"),
		focus(`[data-action-id="request.confirm"]`), chromedp.KeyEvent(kb.Enter),
		see(`#timeline .message`, "pia@example.com: done"),
	)
}

// demoAddress starts the demo as a process and gives the address that it
// prints.
func demoAddress(t *testing.T) string {
	t.Helper()
	cmd := process(t, nil, "demo", "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitDone {
			t.Errorf("the demo ended with %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), "The demo is at "); ok {
			return address
		}
	}
	t.Fatal("the demo printed no address")
	return ""
}

// browse starts the browser named by TEST_BROWSER with an empty profile.
func browse(t *testing.T) context.Context {
	t.Helper()
	binary := os.Getenv("TEST_BROWSER")
	if binary == "" {
		t.Skip("set TEST_BROWSER to the path of a Chromium to click through the demo in a browser")
	}
	flag := chromedp.Flag
	alloc, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(binary), chromedp.UserDataDir(t.TempDir()), chromedp.NoFirstRun, chromedp.Headless, chromedp.DisableGPU, chromedp.NoSandbox,
		flag("disable-background-networking", true), flag("disable-sync", true), flag("disable-component-update", true),
		flag("disable-quic", true), flag("hide-scrollbars", true),
	)
	ctx, cancel := chromedp.NewContext(alloc, chromedp.WithErrorf(t.Logf))
	t.Cleanup(func() {
		cancel()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	return ctx
}

// do runs steps that together must not take long.
func do(ctx context.Context, t *testing.T, what string, steps ...step) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for i, s := range steps {
		if err := chromedp.Do(ctx, s); err != nil {
			_ = chromedp.Do(context.WithoutCancel(ctx), shot("failed"))
			t.Fatalf("%s: step %d: %v", what, i+1, err)
		}
	}
	t.Log(what)
}

func click(css string) step { return chromedp.Click(chromedp.CSS(css)) }

func shown(css string) step { return chromedp.WaitVisible(chromedp.CSS(css)) }

func gone(css string) step { return chromedp.WaitNotPresent(chromedp.CSS(css)) }

func focus(css string) step { return chromedp.Focus(chromedp.CSS(css)) }

func enter(css, keys string) step { return chromedp.SendKeys(chromedp.CSS(css), keys) }

// as becomes somebody else, in the same channel.
func as(user string) step {
	return chromedp.Steps(
		click(fmt.Sprintf(`#as [data-user=%q]`, user)),
		shown(fmt.Sprintf(`body[data-as=%q]`, user)),
		live(),
	)
}

// live waits until a page that was just opened shows changes as they come.
// Expressions may only be polled after that: a poll does not survive the
// change from one page to the next.
func live() step { return shown(`html[data-live="yes"]`) }

// holds waits until an expression is true in the page.
func holds(expression string) step {
	return chromedp.Steps(chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(20*time.Second)))
}

// see waits until an element with this text is on show.
func see(css, text string) step {
	return holds(fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.checkVisibility() && e.textContent.includes(%q))`, css, text))
}

func screen(width, height int64, dark bool) step {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	return chromedp.Steps(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// shot writes a picture into the folder TEST_SHOTS, if it is set.
func shot(name string) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		dir := os.Getenv("TEST_SHOTS")
		if dir == "" {
			return nil
		}
		picture, err := chromedp.CaptureScreenshot()(ctx, t)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600)
	})
}
