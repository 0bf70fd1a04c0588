package credentials

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode"
)

// MaxToken bounds a token, in bytes.
const MaxToken = 4 << 10

// Client is what a client requires from a worker and presents to it. The zero
// value is a connection without TLS and without a token.
type Client struct {
	// TLS is used as it is, except for the negotiated protocol and versions
	// before 1.3. The default server name is the host that is dialled.
	TLS *tls.Config
	// Files are PEM files that replace TLS. They are read again for each
	// connection.
	Files *Files
	// Token identifies the client to a worker that requires tokens.
	Token string
	// TokenFile is a file that holds the token, read for each connection.
	TokenFile string
	// Insecure permits a token over the network without TLS, where an
	// eavesdropper can read it. Without it that is an error. Connections within
	// one machine do not count as a network.
	Insecure bool
}

// Secret is the current token, empty when there is none.
func (c *Client) Secret() (string, error) {
	if c.TokenFile == "" {
		return c.Token, checkToken(c.Token)
	}
	if c.Token != "" {
		return "", errors.New("genie: a token and a token file are given, one has to go")
	}
	return ReadToken(c.TokenFile)
}

// ReadToken reads the token in a file: its text without the surrounding space.
func ReadToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("genie: token: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, MaxToken+2))
	if err != nil {
		return "", fmt.Errorf("genie: token: %w", err)
	}
	token := string(bytes.TrimSpace(b))
	if token == "" {
		return "", fmt.Errorf("genie: token: %s is empty", path)
	}
	if err := checkToken(token); err != nil {
		return "", fmt.Errorf("%w (%s)", err, path)
	}
	return token, nil
}

// checkToken says what is wrong with a token without showing it.
func checkToken(token string) error {
	if len(token) > MaxToken {
		return fmt.Errorf("genie: a token of more than %d bytes", MaxToken)
	}
	for _, r := range token {
		if !unicode.IsPrint(r) || r == ' ' {
			return errors.New("genie: a token with spaces or control characters in it")
		}
	}
	return nil
}
