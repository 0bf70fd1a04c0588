// Package access authenticates a worker's clients: identities with tokens, in a
// file that holds only the tokens' hashes.
//
//	alice sha256:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90
//
// The file is read again when it changes, so tokens are added and removed
// without a restart. Failed attempts are limited by address.
package access
