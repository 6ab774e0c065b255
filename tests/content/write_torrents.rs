//! Writes the shares of cases.txt as our torrents into a folder, for libtorrent_reads_ours.py.

#[path = "cases.rs"]
mod cases;

use core::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args().nth(1).expect("usage: write_torrents FOLDER"));
    fs::create_dir_all(&folder)?;
    for (number, case) in cases::cases().iter().filter(|case| case.is_ours).enumerate() {
        let torrent = case.build().torrent;
        fs::write(folder.join(format!("{number}.torrent")), torrent.encode())?;
        let mut text =
            format!("id {}\nmagnet {}\nname {}\n", torrent.info.content, torrent.magnet(), case.name);
        for seed in &torrent.web_seeds {
            let _ = writeln!(text, "web {seed}");
        }
        for file in &torrent.info.files {
            let root = file.root.map_or_else(|| "-".to_string(), |root| root.to_string());
            let _ = writeln!(text, "file {} {root} {}", file.length, file.path.join("/"));
        }
        fs::write(folder.join(format!("{number}.txt")), text)?;
    }
    Ok(())
}
