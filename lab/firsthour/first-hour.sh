#!/bin/sh
# The first hour with Sluice: every command once right and once wrong, on a stand-in site and in a data folder that is
# removed at the end. "make firsthour" runs it in a terminal of 80 columns; docs/first-hour.md says what to look at.
# An unexpected exit code ends it with 1.
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d) && chmod 755 "$work"
servers=
trap '[ -z "$servers" ] || kill $servers; wait; rm -rf "$work"' EXIT
port=${FIRST_HOUR_PORT:-8390}
sluice=bin/sluice
unset DATABASE_URL NATS_URL
export SLUICE_DATA_DIR="$work/data" HEALTH_ADDR=127.0.0.1:0 GATEWAY_ADDR=127.0.0.1:$((port + 1)) PAGER=cat
wrong=0

# says COMMAND... prints a command as a person types it, and what it answers; it must end with the exit code $want.
says() {
	want=$1
	shift
	printf '\n$ %s\n' "$*"
	"$@" </dev/null
	code=$?
	[ "$code" -eq "$want" ] || { printf '!!! exit code %s, not %s\n' "$code" "$want"; wrong=1; }
}
right() { says 0 "$sluice" "$@"; }
mistake() { says 1 "$sluice" "$@"; }
misuse() { says 2 "$sluice" "$@"; }
part() { printf '\n\n### %s\n' "$*"; }
# until_ready FILE TEXT waits until a program has written TEXT.
until_ready() { for _ in $(seq 600); do grep -q "$2" "$1" 2>/dev/null && return; sleep 0.1; done; cat "$1"; exit 1; }

part "Before anything runs"
right version
misuse statsu
mistake status
mistake search keys
right doctor
misuse sync
misuse search
right sync --help

part "The demo, and what it leaves"
right demo --once --words
right source list
mistake sync demo
right search on-call handover

part "A site of your own"
"$sluice" sandbox --addr "127.0.0.1:$port" >"$work/sandbox" 2>&1 &
servers="$servers $!"
until_ready "$work/sandbox" "127.0.0.1:$port"
export CONFLUENCE_BASE_URL="http://127.0.0.1:$port" CONFLUENCE_ALLOW_HTTP=true CONFLUENCE_EMAIL=demo@example.com
misuse up
export CONFLUENCE_API_TOKEN=sandbox-demo-token
"$sluice" up >"$work/up" 2>&1 &
servers="$servers $!"
until_ready "$work/up" "Ctrl-C"
fold -s -w 80 "$work/up"
mistake up
right doctor
right source remove demo --yes

part "Sources"
misuse source add docs
mistake source add docs --space DMEO
misuse source add docs --space DEMO --permissions sometimes
right source add docs --space DEMO --permissions enforce
right source list
mistake source set dcos --name Docs
misuse source set docs
right source set docs --name Docs
mistake source resume docs
right source losses docs
mistake source remove dcos --yes

part "Syncs"
mistake sync dcos --wait
misuse sync docs --mode fulll
right sync docs --wait --request-id first
right sync docs --mode full
right status
mistake status second
right status first
right failed list
right failed retry docs
mistake failed retry nothing
right removals list
mistake removals approve first
mistake removals reject second
mistake cancel first
right cancel --all

part "Searching and reading"
right search rotate the signing keys
right search '"no such words" -anywhere'
misuse search keys --limit 0
misuse search keys --since yesterday
page=$("$sluice" search rotate the signing keys --limit 1 -o json | sed -n 's/.*"page_id": "\([0-9]*\)".*/\1/p')
right page "$page" --chunks
misuse page "$page" --chunks --losses
mistake page 1
right search rotate the signing keys --as 712020:nobody --limit 1
right why 712020:nobody "$page"
mistake why 712020:nobody 1

part "By meaning"
right embeddings status
misuse embeddings plan
misuse embeddings switch
right embeddings retry
mistake embeddings drop 7

part "Documents, and a page without a server"
printf '# Parking\n\nVisitors park behind the **kestrel hall**.\n' >"$work/parking.md"
printf '<h1>Rota</h1><table><tbody><tr><th>Who</th><th>When</th></tr><tr><td>Ann</td><td>Monday</td></tr></tbody></table>' >"$work/rota.xml"
misuse document add "$work/parking.md"
mistake document add "$work/nothing.md" --source files
right document add "$work/parking.md" --source files
right search where do visitors park --source files
mistake document remove "$work/nothing.md" --source files
right document remove "$work/parking.md" --source files
right convert "$work/rota.xml"
mistake convert "$work/nothing.xml"

part "Keys, tokens and assistants"
misuse key create --name me --role boss
right key create --name me --role read
right key list
mistake key revoke nobody
misuse secret set docs
right secret list
mistake secret remove nothing
misuse secret rotate
right mcp config claude
misuse mcp config emacs
misuse mcp --url nowhere
right nats init "$work/keys"
misuse nats init
right nats access
right nats adopt

part "Databases"
right migrate status
right migrate verify
right migrate export "$work/scripts"
misuse migrate down

[ "$wrong" -eq 0 ] || { printf '\nSome exit codes were not as expected: see the lines with !!!\n'; exit 1; }
