// Package tlswire counts what TLS adds to a connection, on either side of it.
package tlswire
