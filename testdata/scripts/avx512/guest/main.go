// Command guest is both ends of a test run in an emulated machine. As
// "guest pack ROOT OUT" it makes an initramfs of the folder ROOT. As /init,
// process 1 of that machine, it runs what /job says, reports on the serial port
// and switches the machine off.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("guest: ")
	if os.Getpid() == 1 {
		boot()
	}
	if len(os.Args) != 4 || os.Args[1] != "pack" {
		log.Fatal("usage: guest pack ROOT OUT")
	}
	if err := pack(os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

// boot does not return. Lines that begin with @ are for the script.
func boot() {
	status, err := run()
	if err != nil {
		fmt.Printf("guest: %v\n", err)
	}
	fmt.Printf("@status %d\n", status)
	const tcsbrk, drain = 0x5409, 1 // what is written goes out first
	_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, os.Stdout.Fd(), tcsbrk, drain)
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

// run returns the status of the command in /job, which holds a folder, the
// environment, an empty string and the command, each ending in NUL.
func run() (int, error) {
	const broken = 125
	for _, m := range [][2]string{{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/tmp"}} {
		if err := os.MkdirAll(m[1], 0o755); err != nil {
			return broken, err
		}
		if err := syscall.Mount(m[0], m[1], m[0], 0, ""); err != nil {
			return broken, fmt.Errorf("mount %s: %w", m[1], err)
		}
	}
	data, err := os.ReadFile("/job")
	if err != nil {
		return broken, err
	}
	job := strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
	split := slices.Index(job, "")
	if split < 1 || split+1 == len(job) {
		return broken, fmt.Errorf("no command in %q", job)
	}
	fmt.Printf("@cpu %s\n", processor())
	fmt.Println("@begin")
	out := &output{last: '\n'}
	c := exec.Command(job[split+1], job[split+2:]...)
	c.Dir, c.Env, c.Stdout, c.Stderr = job[0], job[1:split], out, out
	c.WaitDelay = time.Second
	err = c.Run()
	if out.last != '\n' {
		fmt.Println()
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return broken, err
	}
	if s, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal()), err
	}
	return c.ProcessState.ExitCode(), nil
}

// output goes to the serial port, and knows whether a line is open.
type output struct{ last byte }

func (o *output) Write(p []byte) (int, error) {
	if len(p) > 0 {
		o.last = p[len(p)-1]
	}
	return os.Stdout.Write(p)
}

// processor is the name that the kernel gives it, and its vector extensions.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	var words []string
	for s := bufio.NewScanner(f); s.Scan() && s.Text() != ""; {
		key, value, _ := strings.Cut(s.Text(), ":")
		switch strings.TrimSpace(key) {
		case "model name":
			words = append(words, strings.TrimSpace(value)+":")
		case "flags":
			for _, flag := range strings.Fields(value) {
				if strings.HasPrefix(flag, "avx") || flag == "fma" || flag == "f16c" {
					words = append(words, flag)
				}
			}
		}
	}
	return strings.Join(words, " ")
}

// pack writes the cpio archive ("newc") that Linux unpacks before it starts
// /init. An archive in the kernel already has /dev/console.
func pack(root, out string) error {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	inode := 0
	add := func(name string, mode fs.FileMode, kind uint32, data []byte) {
		inode++
		fmt.Fprintf(w, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
			inode, kind|uint32(mode.Perm()), 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
		// The header has 110 bytes; the name ends in NUL; both and the data are
		// padded to four.
		fmt.Fprintf(w, "%s%s", name, "\x00\x00\x00\x00"[(110+len(name))%4:])
		fmt.Fprintf(w, "%s%s", data, "\x00\x00\x00"[:-len(data)&3])
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() {
			add(name, info.Mode(), syscall.S_IFDIR, nil)
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		add(name, info.Mode(), syscall.S_IFREG, data)
		return nil
	})
	if err != nil {
		return err
	}
	add("TRAILER!!!", 0, 0, nil)
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}
