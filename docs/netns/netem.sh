#!/usr/bin/env bash
# Two network namespaces, a veth pair between them, tc netem on both ends: a
# worker in one, a command in the other. See README.md beside this file.
set -euo pipefail

usage() {
	cat >&2 <<-'USAGE'
		usage: netem.sh [--rate-only] RATE RTT -- COMMAND...
		  RATE  as tc says it: 10gbit, 1gbit, 100mbit
		  RTT   round-trip time in microseconds; half of it at each end
		  {}    in COMMAND stands for the worker's URL, {grpc} for its gRPC URL
		  --rate-only  token bucket (tc tbf) and no delay, where the kernel has no netem
		  GENIE  the genie executable (default: the one in PATH)
		needs root, ip and tc (iproute2), and a kernel with sch_netem
	USAGE
	exit 2
}

refuse() {
	echo "netem.sh: $*" >&2
	exit 3
}

rate_only=
if [ "${1-}" = --rate-only ]; then
	rate_only=1
	shift
fi
[ $# -ge 4 ] && [ "$3" = -- ] || usage
rate=$1 rtt=$2
shift 3
case $rtt in *[!0-9]* | '') usage ;; esac

[ "$(id -u)" = 0 ] || refuse "needs root to make network namespaces"
for tool in ip tc; do
	command -v "$tool" >/dev/null || refuse "needs $tool (package iproute2)"
done
genie=$(command -v "${GENIE:-genie}") || refuse "no ${GENIE:-genie}: build it with 'go build -o genie ./cmd/genie' and set GENIE=./genie"

client=genie-client-$$ server=genie-worker-$$ worker_pid='' command_pid=''
clean() {
	trap - EXIT INT TERM
	for pid in $command_pid $worker_pid; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	ip netns del "$client" 2>/dev/null || true # its end of the pair goes with it
	ip netns del "$server" 2>/dev/null || true
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ip netns add "$client" || refuse "cannot make a network namespace (CAP_SYS_ADMIN, CONFIG_NET_NS)"
ip netns add "$server"
if [ -z "$rate_only" ]; then
	modprobe sch_netem 2>/dev/null || true
	why=$(tc -n "$client" qdisc add dev lo root netem delay 1ms 2>&1) ||
		refuse "this kernel has no netem (CONFIG_NET_SCH_NETEM, module sch_netem): $why"
	tc -n "$client" qdisc del dev lo root
fi
ip link add name genie0 netns "$client" type veth peer name genie0 netns "$server" ||
	refuse "cannot make a veth pair (CONFIG_VETH)"

# end NAMESPACE ADDRESS: what this end sends is shaped.
end() {
	ip -n "$1" addr add "$2/30" dev genie0
	ip -n "$1" link set lo up
	ip -n "$1" link set genie0 up
	if [ -n "$rate_only" ]; then
		tc -n "$1" qdisc add dev genie0 root tbf rate "$rate" burst 128kb latency 100ms
	else
		# The limit is in packets and holds what is under way.
		tc -n "$1" qdisc add dev genie0 root netem delay "$((rtt / 2))us" rate "$rate" limit 100000
	fi
}
end "$client" 10.77.0.1
end "$server" 10.77.0.2

exec 3< <(exec ip netns exec "$server" "$genie" worker --listen tcp://10.77.0.2:7070 --listen grpc://10.77.0.2:7071)
worker_pid=$!
for _ in 1 2; do
	read -r -t 20 line <&3 || refuse "the worker did not start to listen"
done

args=()
for a in "$@"; do
	a=${a//'{grpc}'/grpc://10.77.0.2:7071}
	args+=("${a//'{}'/tcp://10.77.0.2:7070}")
done
# In the background, so that a signal ends it at once.
ip netns exec "$client" "${args[@]}" <&0 &
command_pid=$!
wait "$command_pid"
