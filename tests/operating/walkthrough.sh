#!/usr/bin/env bash
# Follows "Ten minutes" of docs/OPERATING.md on a clean folder: the blocks marked there are the commands that run here,
# in their order, in one shell.   walkthrough.sh path/to/swarmlet-signaller
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
binary=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
folder=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

mkdir "$folder/bin"
ln -s "$binary" "$folder/bin/swarmlet-signaller"
export PATH="$folder/bin:$PATH"
cd "$folder"

# A block that begins with <!-- walkthrough --> is a step.
awk '/^<!-- walkthrough -->$/ { step = 1 } /^```/ { if (inside) { inside = 0; step = 0 } else if (step) { inside = 1; next } } inside' \
    "$here/docs/OPERATING.md" >steps.sh
# Ports that are free now, so that nothing else on the machine is in the way.
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
sed -i "s/8443/$(free)/g; s/8789/$(free)/g; s/3478/$(free)/g" steps.sh
[ "$(wc -l <steps.sh)" -gt 20 ] || { echo "walkthrough: the steps were not found" >&2; exit 1; }
set -x
. ./steps.sh
set +x

wait "$server" || { echo "walkthrough: the server did not end well" >&2; exit 1; }
server=
grep -q '"event":"end"' signaller.log
! grep -qE '127\.0\.0\.1[^:/]' signaller.log || { echo "walkthrough: a whole address in the log" >&2; exit 1; }
echo "walkthrough: all steps of docs/OPERATING.md work"
