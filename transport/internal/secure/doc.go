// Package secure sets up TLS on a client's connections, counts its overhead,
// and translates the reason of a failed handshake into an error of package
// transport.
package secure
