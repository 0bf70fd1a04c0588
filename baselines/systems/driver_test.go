package systems

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// envDriver makes the test's executable start the model of a program, report
// its processes, and wait to be killed.
const envDriver = "GENIE_SYSTEM_DRIVER"

// driveSetup is the program that makes an environment, with the fake
// interpreter that envDriver with "_FAKE" selects.
const driveSetup = "setup"

func drive(program string) error {
	if program == driveSetup {
		exe, err := os.Executable()
		if err = errors.Join(err, os.Setenv(envFake, os.Getenv(envDriver+"_FAKE"))); err != nil {
			return err
		}
		_, _, err = Setup(context.Background(), SetupOptions{Python: exe, Rebuild: true})
		return err
	}
	o := ModelOptions{Options: Options{Threads: 1}, Workload: "llm-decode", Dir: filepath.Join("..", "..", "testdata", "gpt2", "basic")}
	o.Dir, _ = filepath.Abs(o.Dir)
	if os.Getenv(envDriver+"_LINKED") != "" {
		o.Proxy = func(target string) (string, error) { return target, nil }
	}
	m, err := StartModel(context.Background(), program, o)
	if err != nil {
		return err
	}
	s, err := m.Stats(context.Background())
	if err != nil {
		return err
	}
	fmt.Println(string(asJSON(s)))
	select {}
}
