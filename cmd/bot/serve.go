package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qlik-chatops/bot/internal/bot"
	"github.com/qlik-chatops/bot/internal/config"
)

// serve runs the bot until it is told to stop.
func serve(ctx context.Context, c call) error {
	fs := c.flags("serve", "Runs the bot. It is configured by environment variables; see docs/configuration.md.")
	revocations := fs.Bool("revocations-only", false, "only take away what is due (not built yet)")
	if err := c.parse(fs); err != nil {
		return err
	}
	if *revocations {
		return wrong(errors.New("--revocations-only is not built yet: this version gives no temporary rights"))
	}
	cfg, err := config.Read(config.NeedAll)
	if err != nil {
		return wrong(err)
	}
	log := logger(c.err, cfg)
	for _, w := range cfg.Warnings {
		log.Warn("configuration", "variable", w.Variable, "problem", w.Text)
	}
	b, db, err := bot.Assemble(ctx, cfg, bot.Outside{
		HTTP: &http.Client{Transport: transport()}, Logger: log, UserAgent: "qlik-chatops/" + versionText(),
	})
	if err != nil {
		return wrong(err)
	}
	log.Info("starting", "version", versionText(), "tenants", cfg.Qlik.Labels())
	err = runWith(ctx, b, cfg.ListenAddr, log)
	if cerr := db.Close(); cerr != nil {
		log.Error("cannot close the database", "error", cerr)
	}
	if err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// runWith runs the bot and, unless the address is empty, the health server.
func runWith(ctx context.Context, b *bot.Bot, addr string, log *slog.Logger) error {
	g, ctx := errgroup.WithContext(ctx)
	if addr != "" {
		var listen net.ListenConfig
		ln, err := listen.Listen(ctx, "tcp", addr)
		if err != nil {
			return wrong(fmt.Errorf("LISTEN_ADDR: cannot listen: %w", err))
		}
		server := &http.Server{Handler: b.Health(), ReadHeaderTimeout: 5 * time.Second}
		g.Go(func() error {
			if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("health server: %w", err)
			}
			return nil
		})
		g.Go(func() error {
			<-ctx.Done()
			down, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			return server.Shutdown(down)
		})
		log.Info("health at", "addr", ln.Addr().String())
	}
	g.Go(func() error { return b.Run(ctx) })
	return g.Wait()
}

// transport is Go's default one with bounds on what the network may keep open.
func transport() *http.Transport {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 8
	return t
}

func logger(w io.Writer, cfg *config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
