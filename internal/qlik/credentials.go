package qlik

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // RS256
	_ "crypto/sha512" // RS512, ES384
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"time"
)

// credentials makes the body of a token request: with the client's secret, or
// with an assertion signed by its key.
type credentials struct {
	clientID, scope string
	secret          func() string
	signer          *assertionSigner
}

// tokenRequest is the body of POST /oauth/token for client_credentials.
type tokenRequest struct {
	GrantType     string `json:"grant_type"`
	ClientID      string `json:"client_id"`
	ClientSecret  string `json:"client_secret,omitempty"`
	Scope         string `json:"scope,omitempty"`
	AssertionType string `json:"client_assertion_type,omitempty"`
	Assertion     string `json:"client_assertion,omitempty"`
}

func newCredentials(cfg Config, base *url.URL) (credentials, error) {
	c := credentials{clientID: cfg.ClientID, scope: cfg.Scope, secret: cfg.ClientSecret}
	if cfg.PrivateKey == nil {
		return c, nil
	}
	audience, err := opToken.address(base, nil, nil)
	if err != nil {
		return c, err
	}
	c.signer, err = newAssertionSigner(cfg.PrivateKey, cfg.KeyID, cfg.Algorithm, cfg.ClientID, audience.String())
	return c, err
}

func (c credentials) body(now time.Time) (tokenRequest, error) {
	r := tokenRequest{GrantType: "client_credentials", ClientID: c.clientID, Scope: c.scope}
	if c.signer == nil {
		if r.ClientSecret = c.secret(); r.ClientSecret == "" {
			return r, errors.New("the client secret is empty")
		}
		return r, nil
	}
	assertion, err := c.signer.sign(now)
	r.AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	r.Assertion = assertion
	return r, err
}

// assertionLife is how long an assertion is good for. Qlik takes at most five
// minutes; the rest is for clocks that differ.
const assertionLife = 3 * time.Minute

// assertionSigner makes private-key JWTs (RFC 7523 as Qlik narrows it: issuer
// and subject are the client, the audience is the whole token address).
type assertionSigner struct {
	key                 crypto.Signer
	keyID, algorithm    string
	hash                crypto.Hash
	clientID, tokenAddr string
}

func newAssertionSigner(key crypto.Signer, keyID, algorithm, clientID, tokenAddr string) (*assertionSigner, error) {
	s := &assertionSigner{key: key, keyID: keyID, algorithm: algorithm, clientID: clientID, tokenAddr: tokenAddr}
	if keyID == "" {
		return nil, errors.New("a private key needs its key ID")
	}
	switch pub := key.Public().(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() < 2048 {
			return nil, errors.New("an RSA key needs at least 2048 bits")
		}
		switch algorithm {
		case "", "RS256":
			s.algorithm, s.hash = "RS256", crypto.SHA256
		case "RS512":
			s.hash = crypto.SHA512
		default:
			return nil, errors.New("an RSA key signs with RS256 or RS512")
		}
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P384() {
			return nil, errors.New("an ECDSA key must be on the curve P-384")
		}
		if algorithm != "" && algorithm != "ES384" {
			return nil, errors.New("an ECDSA key signs with ES384")
		}
		s.algorithm, s.hash = "ES384", crypto.SHA384
	default:
		return nil, errors.New("the private key must be RSA or ECDSA")
	}
	return s, nil
}

func (s *assertionSigner) sign(now time.Time) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": s.algorithm, "typ": "JWT", "kid": s.keyID})
	if err != nil {
		return "", errors.New("the assertion's header cannot be written")
	}
	claims, err := json.Marshal(map[string]any{
		"iss": s.clientID, "sub": s.clientID, "aud": s.tokenAddr, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", errors.New("the assertion's claims cannot be written")
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode(header) + "." + encode(claims)
	digest := s.hash.New()
	digest.Write([]byte(signed))
	signature, err := s.key.Sign(rand.Reader, digest.Sum(nil), s.hash)
	if err != nil {
		return "", errors.New("the assertion cannot be signed")
	}
	if s.algorithm == "ES384" {
		if signature, err = joseSignature(signature); err != nil {
			return "", err
		}
	}
	return signed + "." + encode(signature), nil
}

// joseSignature turns the ASN.1 form of a P-384 signature into that of
// RFC 7518, section 3.4: r and s, 48 bytes each.
func joseSignature(der []byte) ([]byte, error) {
	var sig struct{ R, S *big.Int }
	const size = 48
	if rest, err := asn1.Unmarshal(der, &sig); err != nil || len(rest) > 0 ||
		sig.R.Sign() <= 0 || sig.S.Sign() <= 0 || sig.R.BitLen() > 8*size || sig.S.BitLen() > 8*size {
		return nil, errors.New("the signature cannot be read")
	}
	out := make([]byte, 2*size)
	sig.R.FillBytes(out[:size])
	sig.S.FillBytes(out[size:])
	return out, nil
}

// ParsePrivateKey reads a private key in PEM, as PKCS #8, PKCS #1 or SEC 1. The
// error shows nothing of it.
func ParsePrivateKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the private key is not in PEM form")
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
		return nil, errors.New("the private key is of a kind that cannot sign")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	return nil, errors.New("the private key cannot be read; encrypted keys are not supported")
}
