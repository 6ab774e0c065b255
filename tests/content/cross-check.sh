#!/usr/bin/env bash
# libtorrent makes the torrents of the golden file, and reads those that our builder makes.
# PYTHON names an interpreter that has the package libtorrent.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

cargo run --quiet -p swarmlet-tests --example write_torrents -- "$made"
"$python" tests/content/libtorrent_vectors.py --check
"$python" tests/content/libtorrent_reads_ours.py "$made" --require
