package admin

// MaxConns is the limit that a test goes to.
const MaxConns = maxConns
