package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/genie-sdk/go/internal/access"
)

func (a *app) tokenCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "token IDENTITY",
		Short: "Create a token for a client of a worker",
		Long: `token creates a random token, prints it, and adds a line with the identity and
the token's hash to the worker's token file. A running worker reads the changed
file. A client reads its token from --token-file or from
` + tokenEnv + `.`,
		Example: "  genie token alice --tokens tokens > alice.token",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("%s takes the name of one identity", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.token(args[0], file) },
	}
	cmd.Flags().StringVar(&file, "tokens", "", "the worker's token file (required); created if it does not exist")
	return cmd
}

func (a *app) token(identity, file string) error {
	if file == "" {
		return usagef("--tokens FILE is missing")
	}
	token, line, err := access.NewToken(identity)
	if err != nil {
		return &usageError{err}
	}
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("--tokens: %s is not a regular file, it is of type %v", file, info.Mode().Type())
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("--tokens: %w", err)
	}
	_, err = f.WriteString(line + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("--tokens: %w", err)
	}
	return a.printf("%s\n", token)
}
