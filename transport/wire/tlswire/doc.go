// Package tlswire counts the bytes that TLS adds to a connection, at either
// end.
package tlswire
