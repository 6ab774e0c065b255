#!/usr/bin/env python3
"""Writes libtorrent.txt: what libtorrent makes of the shares in cases.txt.

    pip install libtorrent
    python3 tests/content/libtorrent_vectors.py          write the file anew
    python3 tests/content/libtorrent_vectors.py --check  only compare it with what libtorrent makes now

The result depends on nothing but cases.txt. For each case, in order, one line:

    INFOHASH_V2 TORRENT        both in hexadecimal

The creation date, which libtorrent would add at the top level, is left out.
"""

import os
import sys
import tempfile
import warnings

import libtorrent as lt

warnings.simplefilter("ignore", DeprecationWarning)
HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "libtorrent.txt")
PIECE_LENGTH = 64 * 1024  # the canonical one of files up to 512 MiB, which all cases are


def cases():
    """The shares of cases.txt, as dicts."""
    found = []
    with open(os.path.join(HERE, "cases.txt"), encoding="utf-8") as lines:
        for line in lines:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word == "case":
                name, _, piece_length = rest.rpartition(" ")
                found.append({"name": name, "piece": int(piece_length), "kind": "v2", "web": [], "files": []})
            elif word == "kind":
                found[-1]["kind"] = rest
            elif word == "web":
                found[-1]["web"].append(rest)
            elif word == "file":
                length, shift, path = rest.split(" ", 2)
                found[-1]["files"].append((int(length), int(shift), path))
    return found


def content(length, shift):
    """Byte i is (i + shift) mod 251."""
    period = bytes((i + shift) % 251 for i in range(251))
    return (period * (length // 251 + 1))[:length]


def make(case, folder):
    """The infohash and the torrent that libtorrent makes."""
    name, files = case["name"], case["files"]
    single = len(files) == 1 and files[0][2] == name
    storage = lt.file_storage()
    for length, shift, path in files:
        inside = name if single else name + "/" + path
        target = os.path.join(folder, *inside.split("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as out:
            out.write(content(length, shift))
        storage.add_file(inside, length)
    flags = lt.create_torrent.v2_only if case["kind"] == "v2" else 0
    torrent = lt.create_torrent(storage, case["piece"] or PIECE_LENGTH, flags)
    for url in case["web"]:
        torrent.add_url_seed(url)
    lt.set_piece_hashes(torrent, folder)
    entry = torrent.generate()
    entry.pop(b"creation date", None)
    encoded = lt.bencode(entry)
    info = lt.torrent_info(lt.bdecode(encoded))
    return f"{info.info_hashes().v2} {encoded.hex()}\n"


def main():
    lines = []
    for case in cases():
        with tempfile.TemporaryDirectory() as folder:
            lines.append(make(case, folder))
    made = "".join(lines)
    if "--check" in sys.argv[1:]:
        with open(GOLDEN, encoding="ascii") as golden:
            if golden.read() != made:
                sys.exit("libtorrent.txt is not what libtorrent makes of cases.txt")
        print(f"libtorrent {lt.__version__} makes the same {len(lines)} torrents as the golden file")
    else:
        with open(GOLDEN, "w", encoding="ascii") as golden:
            golden.write(made)


if __name__ == "__main__":
    main()
