package credentials_test

import (
	"errors"
	"fmt"
	"os"

	"github.com/genie-sdk/go/transport/credentials"
)

// Files are looked at when they are given: what is missing is known at once.
func ExampleFiles() {
	_, err := credentials.Files{CA: "nowhere.pem"}.Client()
	fmt.Println(errors.Is(err, os.ErrNotExist))
	// Output: true
}
