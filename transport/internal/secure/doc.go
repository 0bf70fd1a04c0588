// Package secure puts TLS over a client's connections, counts what that adds,
// and says in the words of package transport why a handshake failed.
package secure
