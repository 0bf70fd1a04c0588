// Package credentials is what the two ends of a connection show each other:
// certificates in PEM files, which are read again when they change, and tokens.
//
//	ex, err := tcp.Dial(ctx, "worker.example:7070", tcp.WithCredentials(credentials.Client{
//		Files:     &credentials.Files{CA: "ca.pem"},
//		TokenFile: "token",
//	}))
//
// TLS is version 1.3, and nothing falls back from it: a worker that does not
// speak TLS is an error for a client that wants it, and the reverse.
package credentials
