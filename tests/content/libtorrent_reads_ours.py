#!/usr/bin/env python3
"""Lets libtorrent read the torrents and magnet links that our builder wrote, and compares what it finds.

    pip install libtorrent
    cargo run -p swarmlet-tests --example write_torrents -- FOLDER
    python3 tests/content/libtorrent_reads_ours.py FOLDER [--require]

Without libtorrent it says so and does nothing; with --require that is a failure.
"""

import os
import sys
import warnings

try:
    import libtorrent as lt
except ImportError:
    print("libtorrent is not installed (pip install libtorrent): its reading of our torrents is not checked")
    sys.exit(1 if "--require" in sys.argv else 0)

warnings.simplefilter("ignore", DeprecationWarning)
PAD = getattr(lt.file_flags_t, "flag_pad_file", 1)


def shown(name):
    """Newer versions of libtorrent leave zero-width joiners out of the names that they show."""
    return name.replace("\u200d", "")


def expectation(path):
    """What write_torrents.rs says of a torrent."""
    wanted = {"web": [], "files": []}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word == "file":
                length, root, name = rest.split(" ", 2)
                wanted["files"].append((int(length), root, shown(name)))
            elif word == "web":
                wanted["web"].append(rest)
            else:
                wanted[word] = rest
    return wanted


def finding(path):
    """What libtorrent reads in a torrent. It checks the piece layers against the roots itself."""
    info = lt.torrent_info(path)
    storage = info.files()
    single = storage.num_files() == 1 and storage.file_path(0) == info.name()
    files = []
    for index in range(storage.num_files()):
        if storage.file_flags(index) & PAD:
            continue
        name = storage.file_path(index)
        name = name if single else name.removeprefix(info.name() + "/")
        root = str(storage.root(index))
        files.append((storage.file_size(index), root if root.strip("0") else "-", shown(name)))
    return {
        "id": str(info.info_hashes().v2),
        # Where there is one file, libtorrent calls the torrent like it, even if it is in a folder.
        "name": None if len(files) == 1 else info.name(),
        # libtorrent ends every address in a slash when it reads it.
        "web": sorted(seed["url"].rstrip("/") for seed in info.web_seeds()),
        "files": files,
    }


def main():
    folder = sys.argv[1]
    numbers = sorted(int(name[:-8]) for name in os.listdir(folder) if name.endswith(".torrent"))
    if len(numbers) < 12:
        sys.exit(f"only {len(numbers)} torrents in {folder}")
    for number in numbers:
        base = os.path.join(folder, str(number))
        wanted, found = expectation(base + ".txt"), finding(base + ".torrent")
        magnet = lt.parse_magnet_uri(wanted.pop("magnet"))
        if str(magnet.info_hashes.v2) != wanted["id"] or magnet.name != wanted["name"]:
            sys.exit(f"magnet {number}: {magnet.info_hashes.v2} {magnet.name!r}")
        if found["name"] is None:
            wanted["name"] = None
        wanted["web"] = sorted(url.rstrip("/") for url in wanted["web"])
        if wanted != found:
            sys.exit(f"torrent {number} differs\n  ours:       {wanted}\n  libtorrent: {found}")
    print(f"libtorrent {lt.__version__} reads all {len(numbers)} of our torrents and magnet links as we mean them")


if __name__ == "__main__":
    main()
