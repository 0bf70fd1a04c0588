// Package credentials loads what the two ends of a connection present to each
// other: certificates in PEM files, which are read again when they change, and
// tokens.
//
//	ex, err := tcp.Dial(ctx, "worker.example:7070", tcp.WithCredentials(credentials.Client{
//		Files:     &credentials.Files{CA: "ca.pem"},
//		TokenFile: "token",
//	}))
//
// TLS is version 1.3, without fallback: for a client that uses TLS, a worker
// without it is an error, and the reverse.
package credentials
