package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// What the issuer signs with (`signing_algorithm`); two while that changes. Never read from the token, never a symmetric one.
var algorithms = []jose.SignatureAlgorithm{jose.ES256}

const (
	longestToken   = 8 * 1024
	longestAnswer  = 64 * 1024
	betweenFetches = 30 * time.Second
	freshFor       = 5 * time.Minute // so that a key that was taken away is forgotten
	goodFor        = 24 * time.Hour  // while the issuer is away
)

// Claims of an access token (RFC 9068 section 2.2).
type Claims struct {
	jwt.Claims
	ClientID     string          `json:"client_id"`
	Scope        string          `json:"scope"`
	Roles        []string        `json:"roles"`
	Confirmation json.RawMessage `json:"cnf"`
}

// Verifier of one issuer's tokens for one audience. It may be used by many goroutines at once.
type Verifier struct {
	issuer, audience, keysAt string
	client                   *http.Client
	mutex                    sync.Mutex
	keys                     jose.JSONWebKeySet
	tried, fetched           time.Time
}

// NewVerifier finds out where the issuer's keys are (RFC 8414).
func NewVerifier(issuer, audience string) (*Verifier, error) {
	verifier := &Verifier{issuer: issuer, audience: audience, client: &http.Client{
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("the issuer redirects") },
	}}
	var metadata struct {
		Issuer string `json:"issuer"`
		KeysAt string `json:"jwks_uri"`
	}
	if err := verifier.get(issuer+"/.well-known/openid-configuration", &metadata); err != nil {
		return nil, err
	}
	if metadata.Issuer != issuer {
		return nil, fmt.Errorf("the metadata is of %q, not of %q", metadata.Issuer, issuer)
	}
	verifier.keysAt = metadata.KeysAt
	return verifier, nil
}

// Verify tells whose token it is, or why it is refused.
func (verifier *Verifier) Verify(token string, now time.Time) (*Claims, error) {
	if len(token) > longestToken {
		return nil, errors.New("the token is too long")
	}
	parsed, err := jwt.ParseSigned(token, algorithms) // refuses every other alg, and what is not signed
	if err != nil {
		return nil, err
	}
	header := parsed.Headers[0]
	if !isAccessToken(header) { // an ID token or a logout token is no access token
		return nil, fmt.Errorf("the token is of type %v", header.ExtraHeaders[jose.HeaderType])
	}
	key, err := verifier.key(header.KeyID, now)
	if err != nil {
		return nil, err
	}
	if key.Algorithm != header.Algorithm { // RFC 8725 section 3.1: one key, one algorithm
		return nil, fmt.Errorf("the key is for %s, the token for %s", key.Algorithm, header.Algorithm)
	}
	claims := new(Claims)
	if err := parsed.Claims(key.Key, claims); err != nil {
		return nil, err
	}
	if claims.Subject == "" || claims.ClientID == "" || claims.ID == "" || claims.Expiry == nil || claims.IssuedAt == nil {
		return nil, errors.New("a required claim is missing")
	}
	expected := jwt.Expected{Issuer: verifier.issuer, AnyAudience: jwt.Audience{verifier.audience}, Time: now}
	if err := claims.ValidateWithLeeway(expected, 0); err != nil {
		return nil, err
	}
	// RFC 9449 section 7.1, RFC 8705 section 3: whoever does not ask for the proof must not take a bound token.
	if claims.Confirmation != nil {
		return nil, errors.New("the token is bound to a key")
	}
	return claims, nil
}

func isAccessToken(header jose.Header) bool {
	name, _ := header.ExtraHeaders[jose.HeaderType].(string)
	name = strings.ToLower(name)
	return name == "at+jwt" || name == "application/at+jwt"
}

// key finds the one of that name. The set is fetched again when it is old, or lacks the name, but not for everybody who makes one up.
func (verifier *Verifier) key(kid string, now time.Time) (*jose.JSONWebKey, error) {
	verifier.mutex.Lock()
	defer verifier.mutex.Unlock()
	wanted := now.Sub(verifier.fetched) >= freshFor || len(verifier.keys.Key(kid)) == 0
	if wanted && now.Sub(verifier.tried) >= betweenFetches {
		verifier.tried = now
		var newer jose.JSONWebKeySet
		if err := verifier.get(verifier.keysAt, &newer); err == nil {
			verifier.keys, verifier.fetched = newer, now
		}
	}
	if now.Sub(verifier.fetched) >= goodFor {
		return nil, errors.New("the issuer's keys cannot be had")
	}
	if found := verifier.keys.Key(kid); len(found) == 1 {
		return &found[0], nil
	}
	return nil, fmt.Errorf("no key %q", kid)
}

func (verifier *Verifier) get(url string, into any) error {
	answer, err := verifier.client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, answer.Status)
	}
	return json.NewDecoder(io.LimitReader(answer.Body, longestAnswer)).Decode(into)
}
