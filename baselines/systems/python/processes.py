"""The processes of a reference system: which they are, how much memory they took, and how they
end with it. On systems without /proc a program knows only the processes that it
asks itself."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LINUX = sys.platform == "linux"


def _prctl(option, value):
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def adopt():
    """Makes orphans below this process its children, so that they stay findable."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(parent):
    """Ends this process when its parent, of that number, does."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def start(arguments, **options):
    """Starts a Python process that ends with this one. Its output is standard error."""
    parent = os.getpid()
    return subprocess.Popen(
        [sys.executable, "-u", "-B", *arguments], stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(),
        preexec_fn=lambda: end_with_parent(parent), **options,
    )


def _parents():
    """The parent of every process that has not ended."""
    parents = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as f:
                state, parent = f.read().rpartition(")")[2].split()[:2]
        except OSError:  # ended meanwhile
            continue
        if state not in "ZX":
            parents[int(name)] = int(parent)
    return parents


def descendants():
    """The processes below this one."""
    if not LINUX:
        return []
    parents, found = _parents(), [os.getpid()]
    for pid in found:  # grows as it goes
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def end_descendants(patience=10.0):
    """Kills all that is below this process, until nothing is."""
    until = time.monotonic() + patience
    while (pids := descendants()) and time.monotonic() < until:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:  # what has been adopted has to be waited for
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        time.sleep(0.005)


def own_peak():
    """The largest resident set of this process so far, in bytes."""
    if LINUX:
        return _peak(os.getpid())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _peak(pid):
    try:
        with open(f"/proc/{pid}/status") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


def _cpu(pid):
    """The processor time that a process used, in nanoseconds."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def _command(pid):
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    except OSError:
        return ""


def tree(workers):
    """This process and all below it. workers are what the workers say of
    themselves; one that is below this process is named once."""
    said = {w["pid"]: w for w in workers}
    found = [_described(os.getpid(), "client", own_peak())]
    for pid in descendants():
        found.append(_described(pid, "worker" if pid in said else "other", _peak(pid)))
    known = {p["pid"] for p in found}
    return found + [_described(pid, "worker", w["peak_rss_bytes"]) for pid, w in said.items() if pid not in known]


def _described(pid, role, peak):
    return {"pid": pid, "role": role, "peak_rss_bytes": peak, "command": _command(pid), "cpu_ns": _cpu(pid)}
