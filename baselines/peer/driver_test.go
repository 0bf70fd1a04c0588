package peer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// envDriver makes the test's executable start the model of a program, tell of its
// processes, and wait to be killed.
const envDriver = "GENIE_PEER_DRIVER"

func drive(program string) error {
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
