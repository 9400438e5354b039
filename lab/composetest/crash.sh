#!/usr/bin/env bash
# "crash.sh CONTAINER" kills the process of a container, which restart policies are for: docker kill counts as a stop by
# a person. It kills nothing else: a container that is about to start has process 0, which would be whoever calls this,
# and an engine in a virtual machine or on another host numbers processes that are not those of this machine.
set -euo pipefail
for _ in $(seq 150); do
	read -r pid id < <(docker inspect -f '{{.State.Pid}} {{.Id}}' "$1" 2>/dev/null) || :
	[ "${pid:-0}" -le 1 ] || break
	sleep 0.2
done
[ "${pid:-0}" -gt 1 ] || { echo "$1 has no process" >&2; exit 1; }
grep -qsF -e "$id" "/proc/$pid/cgroup" || {
	echo "process $pid is not that of $1 on this machine, so it was not killed: this test needs a Docker engine that runs here, not in a virtual machine or on another host" >&2
	exit 1
}
kill -9 "$pid"
