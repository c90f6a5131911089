package socket

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/coder/websocket"
)

// dial makes the WebSocket connection to an address from Config.Open. No error
// of it contains the address or a part of its path or query.
func (l *Loop) dial(ctx context.Context, address string, onPing func(context.Context, []byte) bool, onPong func(context.Context, []byte)) (*websocket.Conn, error) {
	u, err := url.Parse(address)
	if err != nil {
		// The error of url.Parse quotes what it could not parse.
		return nil, errors.New("connect to Slack: what Slack gave as the address of a connection is none")
	}
	if err := l.cfg.Allow(u); err != nil {
		return nil, fmt.Errorf("connect to Slack: the address that Slack gave is not allowed: %w", err)
	}
	// Without compression each message that we write is one frame (the
	// documentation of websocket.Conn.Write), as Slack needs it.
	ws, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{ //nolint:bodyclose // the library owns the body
		HTTPClient:      l.cfg.HTTPClient,
		CompressionMode: websocket.CompressionDisabled,
		OnPingReceived:  onPing,
		OnPongReceived:  onPong,
	})
	if err != nil {
		return nil, fmt.Errorf("connect to Slack: %w", withoutAddress(err, u))
	}
	ws.SetReadLimit(l.cfg.MaxFrame)
	return ws, nil
}

// withoutAddress returns the cause of a failed handshake without the address,
// which net/http puts into the text of its errors. An error that still
// mentions a part of the secret is replaced altogether.
func withoutAddress(err error, u *url.URL) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	text := err.Error()
	secrets := []string{u.String(), u.RawQuery, u.Fragment}
	if len(u.Path) > 1 {
		secrets = append(secrets, u.Path)
	}
	for _, values := range u.Query() {
		secrets = append(secrets, values...)
	}
	for _, s := range secrets {
		if s != "" && strings.Contains(text, s) {
			return errors.New("the handshake failed; the details are withheld because they contain the address")
		}
	}
	return err
}
