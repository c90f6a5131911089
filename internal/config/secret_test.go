package config

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A text that is found wherever it comes through, be it quoted, in hex or as
// bytes in decimal.
const sentinel = "sentinel-of-a-secret"

func leaks(s string) bool {
	hex := fmt.Sprintf("%x", sentinel)
	decimal := strings.Trim(fmt.Sprintf("%d", []byte(sentinel)), "[]")
	return strings.Contains(s, sentinel) || strings.Contains(strings.ToLower(s), hex) || strings.Contains(s, decimal)
}

func secretConfig() *Config {
	return &Config{
		Slack: Slack{BotToken: NewSecret(sentinel), AppToken: NewSecret(sentinel)},
		Qlik: Qlik{Tenants: []Tenant{{
			Label: "prod", ClientSecret: NewSecret(sentinel), PrivateKey: NewSecret(sentinel),
		}}},
		DatabaseURL: NewSecret(sentinel),
	}
}

// holder keeps secrets where fmt cannot call their methods.
type holder struct {
	secret  Secret
	pointer *Secret
	config  Config
	list    []Secret
	table   map[string]Secret
	any     any
}

func secretHolder() holder {
	s := NewSecret(sentinel)
	return holder{
		secret: s, pointer: &s, config: *secretConfig(), list: []Secret{s},
		table: map[string]Secret{"k": s}, any: s,
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	s := NewSecret(sentinel)
	values := map[string]any{
		"secret": s, "pointer": &s, "list": []Secret{s}, "key": map[Secret]int{s: 1},
		"config": *secretConfig(), "config pointer": secretConfig(), "unexported": secretHolder(),
	}
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%t", "%10.3s", "%U", "%c", "%p", "%w", "%!"}
	for name, value := range values {
		for _, verb := range verbs {
			if got := fmt.Sprintf(verb, value); leaks(got) {
				t.Errorf("%s with %s prints %s", name, verb, got)
			}
		}
		if got := fmt.Sprint(value) + fmt.Sprintln(value); leaks(got) {
			t.Errorf("%s prints %s", name, got)
		}
		if got := fmt.Errorf("wrapped: %w", fmt.Errorf("%v", value)).Error(); leaks(got) {
			t.Errorf("%s in an error reads %s", name, got)
		}
	}
}

func TestSecretsAreNeverEncoded(t *testing.T) {
	t.Parallel()
	s := NewSecret(sentinel)
	for name, value := range map[string]any{
		"secret": s, "pointer": &s, "config": secretConfig(), "key": map[string]Secret{"k": s},
	} {
		for encoding, encode := range map[string]func(any) ([]byte, error){
			"json": json.Marshal, "yaml": yaml.Marshal, "xml": xml.Marshal,
		} {
			got, err := encode(value)
			if _, unsupported := errors.AsType[*xml.UnsupportedTypeError](err); err != nil && !unsupported {
				t.Errorf("%s as %s: %v", name, encoding, err)
			}
			if leaks(string(got)) {
				t.Errorf("%s as %s is %s", name, encoding, got)
			}
		}
	}
}

func TestSecretsAreNeverLogged(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := NewSecret(sentinel)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		log := slog.New(handler).With("with", s).WithGroup("group")
		log.Info("line", "secret", s, "pointer", &s, "config", secretConfig(), "value", *secretConfig(),
			"hidden", secretHolder(), "list", []Secret{s}, slog.Group("g", "inner", s))
	}
	if out.Len() == 0 {
		t.Fatal("nothing was logged")
	}
	if leaks(out.String()) {
		t.Errorf("the log holds the secret:\n%s", &out)
	}
}

func TestASecretTellsWhetherItIsSet(t *testing.T) {
	t.Parallel()
	var none Secret
	some := NewSecret("a")
	if none.IsSet() || NewSecret("").IsSet() || !some.IsSet() {
		t.Error("IsSet does not tell a secret from none")
	}
	if none.String() == some.String() {
		t.Error("a secret that is set prints like one that is not")
	}
	if none.Reveal() != "" || some.Reveal() != "a" {
		t.Error("Reveal does not give the text")
	}
	if !some.Equal(NewSecret("a")) || some.Equal(none) || some.Equal(NewSecret("b")) {
		t.Error("Equal does not compare the texts")
	}
}

func TestDecodingASecretNeverFails(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "\x00", "\xff\xfe", strings.Repeat("x", 1<<16)} {
		var s Secret
		if err := s.Decode(value); err != nil {
			t.Errorf("decoding %d bytes: %v", len(value), err)
		}
		if s.Reveal() != value {
			t.Errorf("decoding changed a text of %d bytes", len(value))
		}
	}
}
