// Package access says who a worker's clients are: identities with tokens, in a
// file that holds the tokens' hashes only.
//
//	alice sha256:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90
//
// The file is read again when it has changed, so that a token is added or taken
// away without a restart. Failed attempts are limited by address.
package access
