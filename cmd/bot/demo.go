package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"

	"github.com/qlik-chatops/bot/internal/commands"
	"github.com/qlik-chatops/bot/internal/playground"
	"github.com/qlik-chatops/bot/internal/playground/page"
)

// demo runs the product between emulators, with a page in the browser.
func demo(ctx context.Context, c call) (err error) {
	fs := c.flags("demo", "Runs the whole product on this machine: a Slack emulator with a page in the browser, two Qlik\ntenants, and the bot between them. Nothing leaves the machine, and nothing is kept.")
	listen := fs.String("listen", "127.0.0.1:8085", "`address` of the page; a port of 0 picks a free one")
	verbose := fs.Bool("verbose", false, "show the bot's log")
	if err := c.parse(fs); err != nil {
		return err
	}
	level := slog.LevelWarn
	if *verbose {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level}))
	var web *page.Page
	options := playground.Options{
		Listen: *listen, Logger: log,
		Page: func(p *playground.Playground) http.Handler {
			web = demoPage(p, *listen, log)
			return web
		},
	}
	p, err := playground.New(options)
	if addressInUse(err) && !flagGiven(fs.Visit, "listen") {
		options.Listen = "127.0.0.1:0"
		p, err = playground.New(options)
	}
	if err != nil {
		return wrong(err)
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	defer func() { web.Close() }()
	if err := p.Start(ctx); err != nil {
		return err
	}
	if err := p.Ready(ctx); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(c.out, "The demo is at http://%s/\nType /qlik add-admin @dan because incident 42 there, then approve it as Ben. Ctrl-C ends it.\n", p.Addr())
	select {
	case <-ctx.Done():
		return nil
	case <-p.Done():
		return fmt.Errorf("the bot has ended: %w", p.Stop())
	}
}

// demoPage is the page for a playground.
func demoPage(p *playground.Playground, listen string, log *slog.Logger) *page.Page {
	cfg := page.Config{
		Slack: p.Slack, Listen: listen, Logger: log,
		People: []page.Person{
			{ID: playground.Ana, Note: "asks"}, {ID: playground.Ben, Note: "approves"}, {ID: playground.Cleo, Note: "approves"},
			{ID: playground.Dan, Note: "asks"}, {ID: playground.Gil, Note: "guest"},
			{ID: playground.Eve, Note: "from outside"}, {ID: playground.Otto, Note: "deactivated"},
		},
		Commands: func() []page.Command {
			var all []page.Command
			for _, s := range commands.New().Specs() {
				all = append(all, page.Command{Name: s.Name, Usage: s.Usage, Summary: s.Summary})
			}
			return all
		},
	}
	cfg.Tour = []page.Step{
		{As: playground.Ana, Channel: playground.ChannelOps, Text: "/qlik add-admin @dan because incident 42", Note: "Ask for administrator power on prod."},
		{As: playground.Ben, Channel: playground.ChannelOps, Note: "Approve it as somebody else, and watch prod."},
		{As: playground.Ana, Channel: playground.ChannelOps, Text: "/qlik invite nina@example.com, omar@example.com fay@example.com", Note: "Invite people, and confirm it yourself."},
		{As: playground.Gil, Channel: playground.ChannelOps, Note: "Click as a guest: it counts for nothing."},
	}
	notes := map[string]string{playground.Home: "where people are looked up", playground.Prod: "where changes need approval"}
	for _, t := range slices.Backward(p.Tenants) { // what is changed comes first
		cfg.Tenants = append(cfg.Tenants, page.Tenant{Label: t.Label, Note: notes[t.Label], Server: t.Server})
	}
	return page.New(cfg)
}

func addressInUse(err error) bool {
	var op *net.OpError
	var sys *os.SyscallError
	return errors.As(err, &op) && errors.As(op.Err, &sys)
}

// flagGiven says whether somebody wrote that flag.
func flagGiven(visit func(func(*flag.Flag)), name string) bool {
	given := false
	visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}
