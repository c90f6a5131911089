package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// No secret is longer: a file that is was named by mistake.
const maxSecretFile = 64 << 10

const (
	textQuoted = "stands in quotation marks, which are taken as part of it; remove them"
	textSpace  = "has white space in it, so it was not copied whole or not alone"
)

// secret takes a secret from its own variable or from the file that the variable
// with _FILE names. It reports false where there is none to be used, be it that
// none is set, which is no problem in itself, or that what is set is wrong.
func (r *reader) secret(name string, value Secret, file string) (Secret, bool) {
	fileName := name + suffixFile
	switch {
	case file != "" && r.filled[name]:
		r.problem(fileName, "stands beside "+name+"; remove one of them")
		return Secret{}, false
	case file != "":
		name = fileName
		text, problem := r.readSecretFile(fileName, file)
		if problem != "" {
			r.problem(fileName, problem)
			return Secret{}, false
		}
		value = NewSecret(text)
	case !value.IsSet():
		return Secret{}, false
	}
	if quoted(value.Reveal()) {
		r.problem(name, textQuoted)
		return Secret{}, false
	}
	return value, true
}

// secretWord is secret for what has no white space in it, as tokens have none.
func (r *reader) secretWord(name string, value Secret, file string) (Secret, bool) {
	s, ok := r.secret(name, value, file)
	if ok && strings.ContainsFunc(s.Reveal(), func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }) {
		if file != "" {
			name += suffixFile
		}
		r.problem(name, textSpace)
		return Secret{}, false
	}
	return s, ok
}

// readSecretFile gives what a file holds, without the line breaks at its end.
func (r *reader) readSecretFile(name, path string) (text, problem string) {
	f, err := os.Open(path)
	if err != nil {
		return "", fileProblem(path, err)
	}
	defer func() { _ = f.Close() }() // opened for reading only: nothing can be lost
	info, err := f.Stat()
	if err != nil {
		return "", fileProblem(path, err)
	}
	if info.IsDir() {
		return "", "names a directory; it must name a file"
	}
	content, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	switch {
	case err != nil:
		return "", fileProblem(path, err)
	case len(content) > maxSecretFile:
		return "", fmt.Sprintf("names a file of more than %d bytes, which is no secret", maxSecretFile)
	}
	text = strings.TrimRight(string(content), "\r\n")
	if text == "" {
		return "", "names a file that is empty"
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
		r.warning(name, "names a file that everybody on this machine may read; chmod 0400 would do")
	}
	return text, ""
}

// fileProblem words a failure to read a file. Someone may have put the secret
// itself where its path belongs, so the path is shown only where it leads into a
// directory that is there.
func fileProblem(path string, err error) string {
	reason := "it cannot be read"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		reason = "it does not exist"
	case errors.Is(err, fs.ErrPermission):
		reason = "the bot may not read it"
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "names a file in a directory that does not exist or cannot be read"
	}
	if dir == "." || dir == "/" {
		return "names a file that cannot be used: " + reason
	}
	return "names the file " + path + ": " + reason
}

func quoted(s string) bool {
	if len(s) < 2 {
		return false
	}
	first := s[0]
	return (first == '"' || first == '\'') && s[len(s)-1] == first
}

// tokenKind is one of the two kinds of token that a Slack app has here.
type tokenKind struct {
	prefix, what string
}

var (
	botToken = tokenKind{prefix: "xoxb-", what: "the bot token"}
	appToken = tokenKind{prefix: "xapp-", what: "the app-level token"}
)

// token takes one of Slack's tokens. Which one it is shows in how it begins.
func (r *reader) token(name string, value Secret, file string, want tokenKind) Secret {
	if !r.filled[name] && !r.filled[name+suffixFile] {
		r.problem(name, r.missing(name))
		return Secret{}
	}
	s, ok := r.secretWord(name, value, file)
	if !ok {
		return Secret{}
	}
	if file != "" {
		name += suffixFile
	}
	text := s.Reveal()
	switch {
	case strings.HasPrefix(text, want.prefix) && len(text) > len(want.prefix):
		return s
	case strings.HasPrefix(text, botToken.prefix) && want == appToken:
		r.problem(name, "holds a bot token (xoxb-…), which belongs in SLACK_BOT_TOKEN; here goes the app-level token (xapp-…)")
	case strings.HasPrefix(text, appToken.prefix) && want == botToken:
		r.problem(name, "holds an app-level token (xapp-…), which belongs in SLACK_APP_TOKEN; here goes the bot token (xoxb-…)")
	case strings.HasPrefix(text, "xoxp-"):
		r.problem(name, "holds a user token (xoxp-…); the bot acts for nobody in particular and needs "+want.what+" ("+want.prefix+"…)")
	case strings.HasPrefix(text, "xoxe"):
		r.problem(name, "holds a token that expires (xoxe…); turn token rotation off in the Slack app and use "+want.what+" ("+want.prefix+"…)")
	default:
		r.problem(name, "must be "+want.what+", which begins with "+want.prefix)
	}
	return Secret{}
}

// privateKey takes a key that Qlik accepts for a private-key JWT: RSA of at
// least 2048 bits, or ECDSA on P-384.
func (r *reader) privateKey(name, path string) Secret {
	text, problem := r.readSecretFile(name, path)
	if problem == "" {
		problem = keyProblem([]byte(text))
	}
	if problem != "" {
		r.problem(name, problem)
		return Secret{}
	}
	return NewSecret(text)
}

func keyProblem(text []byte) string {
	block, _ := pem.Decode(text)
	if block == nil {
		return "names a file that is not PEM (-----BEGIN …)"
	}
	key, err := parseKey(block)
	if err != nil {
		// What the parsers say may quote the key.
		return "names a file without a private key that can be read; it must be PEM without a passphrase"
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < 2048 {
			return "names an RSA key that is too short; Qlik takes 2048 bits or more"
		}
	case *ecdsa.PrivateKey:
		if key.Curve != elliptic.P384() {
			return "names an ECDSA key on another curve than P-384, which is the one that Qlik takes"
		}
	default:
		return "names a key that is neither RSA nor ECDSA on P-384"
	}
	return ""
}

func parseKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	}
	return x509.ParsePKCS8PrivateKey(block.Bytes)
}
