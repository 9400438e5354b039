#!/usr/bin/env bash
# Runs docker-compose.yml for real, against the Confluence stand-in: every image is built, every container becomes
# healthy, a space is synced while containers are killed, limits and logs are as they are written down, everything stops
# within its grace period, and no log has a secret. "make compose-test" runs it.
#
# It needs Docker with compose v2. Without a running engine it starts dockerd, if it is installed and this is root, with
# its data under .cache/compose-test, and removes both at the end. Without an engine or the base images it prints NOT RUN.
set -euo pipefail
cd "$(dirname "$0")/../.."

export COMPOSE_PROJECT_NAME=sluice-compose-test COMPOSE_ENV_FILES=deploy/sandbox.env COMPOSE_PROFILES=sandbox
export NATS_PORT=14222 POSTGRES_PORT=15432 SANDBOX_PORT=18090 GATEWAY_PORT=18181
export POSTGRES_PASSWORD="p@ss/w#rd%?: &='\"\\" # with every character that means something somewhere
own=$PWD/.cache/compose-test engine='' log=''

say() { printf '%4ds  %s\n' "$SECONDS" "$*"; }
not_run() { echo "NOT RUN: $*"; exit 0; }
fail() { say "FAILED: $*"; exit 1; }
dc() { docker compose "$@" </dev/null; }
sluice() { dc run --rm -T sluice "$@" 2>>"$log"; }
name() { echo "$COMPOSE_PROJECT_NAME-$1-${2:-1}"; }
# is TEXT PATTERN fails unless the text matches.
is() { grep -Eq -e "$2" <<<"$1" || fail "this does not match $2: $1"; }
# by_itself COMMAND... waits until the command succeeds.
by_itself() { for _ in $(seq 120); do "$@" >/dev/null 2>&1 && return; sleep 1; done; fail "in two minutes: $*"; }
healthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$(name "$@")")" = healthy ]; }
crashes() { lab/composetest/crash.sh "$(name "$@")" || fail "$1 was not killed"; }

clean() {
	code=$?
	[ "$code" -eq 0 ] || dc logs --no-color --tail 30 || :
	COMPOSE_PROFILES='*' dc down -v --remove-orphans --rmi local >/dev/null 2>&1 || :
	docker image rm "$COMPOSE_PROJECT_NAME-sluice" >/dev/null 2>&1 || : # which has a name of its own
	if [ -n "$engine" ]; then
		kill "$engine" 2>/dev/null && while kill -0 "$engine" 2>/dev/null; do sleep 0.2; done
		rm -rf "$own"
	fi
	rm -f "$log"
	exit "$code"
}

start_engine() {
	docker info >/dev/null 2>&1 && return
	command -v dockerd >/dev/null && [ "$(id -u)" = 0 ] || not_run "there is no Docker engine (Debian: apt-get install docker.io)"
	mkdir -p "$own"
	dockerd --data-root "$own/data" --exec-root "$own/exec" --pidfile "$own/pid" -H "unix://$own/socket" >"$own/log" 2>&1 &
	engine=$!
	export DOCKER_HOST=unix://$own/socket
	for _ in $(seq 60); do docker info >/dev/null 2>&1 && return; kill -0 "$engine" 2>/dev/null || break; sleep 0.5; done
	tail -n 3 "$own/log"
	not_run "dockerd does not start here"
}

command -v docker >/dev/null || not_run "there is no docker (Debian: apt-get install docker.io)"
docker compose version >/dev/null 2>&1 || not_run "docker has no compose v2"
log=$(mktemp)
trap clean EXIT
start_engine
for image in $(grep -ohE '(golang|nats|postgres):[0-9.]+-alpine' docker-compose.yml deploy/Dockerfile | sort -u); do
	docker image inspect "$image" >/dev/null 2>&1 || docker pull -q "$image" >/dev/null 2>&1 || not_run "the image $image is not here and cannot be pulled"
done
nproc=$(getconf _NPROCESSORS_ONLN)
[ "$nproc" -ge 2 ] || export SERVER_CPUS=1

COMPOSE_PROFILES='*' dc build --quiet 2>>"$log" || { cat "$log"; fail "the images are not built"; }
say "every image is built; sluice's once: $(docker images -q "$COMPOSE_PROJECT_NAME-*" | wc -l) images"

dc up -d --wait --scale converter=3 >>"$log" 2>&1 || { tail -n 20 "$log"; fail "not every container becomes healthy"; }
say "every container is healthy, three converters among them"

# What the file says is what the engine does.
for id in $(docker ps -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME"); do
	limits=$(docker inspect -f '{{.Name}} cpus {{.HostConfig.NanoCpus}} memory {{.HostConfig.Memory}} pids {{.HostConfig.PidsLimit}} read-only {{.HostConfig.ReadonlyRootfs}} log {{.HostConfig.LogConfig.Config}}' "$id")
	is "$limits" 'cpus [1-9]0+ memory [1-9][0-9]+ pids [1-9][0-9]+ read-only true log map\[max-file:3 max-size:10m\]'
done
say "every container has its limits, and logs that are rotated"

is "$(sluice doctor || :)" 'ok +settings'
is "$(sluice source add demo --space DEMO)" 'Source demo is space DEMO'
is "$(sluice sync demo --wait)" ': completed in .* 90 created'
is "$(sluice search rotate the signing keys)" '^1\. Rotate the signing keys'
say "synced and found"

key=$(sluice key create --name compose-test --role operate)
COMPOSE_PROFILES=sandbox,api dc up -d --wait --no-recreate --scale converter=3 >>"$log" 2>&1
is "$(curl -sSf -H "Authorization: Bearer $key" "http://127.0.0.1:$GATEWAY_PORT/api/confluence/sources")" '"source_id": ?"demo"'
say "the API answers"

curl -sSf "http://127.0.0.1:$SANDBOX_PORT/_sandbox/spaces/DEMO/edit" -d '{"count":60}' >/dev/null
run=$(sluice sync demo --mode full -o json | sed -n 's/.*"run_id": *"\([^"]*\)".*/\1/p')
for service in nats converter postgres fetcher extractor chunk-writer progress deletion-detector; do
	crashes "$service"
	sleep 1
done
completed() { [[ $(sluice status "$run") == *": completed"* ]]; }
by_itself completed
is "$(sluice status "$run")" '[56][0-9] updated'
for service in nats converter postgres fetcher extractor chunk-writer progress deletion-detector gateway embedder sandbox; do by_itself healthy "$service"; done
say "eight processes were killed in a run, and it completed; all are healthy again"

before=$SECONDS
COMPOSE_PROFILES=sandbox,api dc stop >>"$log" 2>&1
took=$((SECONDS - before))
ended=$(docker ps -a --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --format '{{.Names}} {{.Status}}')
if grep -v 'Exited (0)' <<<"$ended"; then fail "not everything ended with 0"; fi
[ "$took" -lt 60 ] || fail "stopping took $took s"
say "everything stopped with exit code 0, in $took s"

if COMPOSE_PROFILES='*' dc logs --no-color 2>&1 | grep -F -e sandbox-demo-token -e "$key" -e "$POSTGRES_PASSWORD"; then fail "a secret is in the logs"; fi
say "no secret is in the logs"

dc up -d --wait >>"$log" 2>&1
is "$(sluice status)" '^demo +9[0-9] '
say "the data is still there"
