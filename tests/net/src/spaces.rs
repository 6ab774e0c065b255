//! Network namespaces, each with one device and an address. They are gone when the bed is.

use crate::star::{Access, address};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// A packet on a device is no longer than on most of the internet.
const PACKET_BYTES: &str = "1500";
/// Packets that wait on a device until the bed takes them, which it does at once, but for a busy machine: losses are
/// the lines' own. A stack that begins fast sends a thousand at a time.
const DEVICE_PACKETS: &str = "10000";

/// The namespaces of a bed.
#[derive(Debug, Default)]
pub(crate) struct Spaces {
    pub(crate) names: Vec<String>,
}

impl Spaces {
    /// Makes them and their devices.
    pub(crate) fn make(nodes: &[Access]) -> io::Result<(Self, Vec<File>)> {
        sweep()?;
        let (mut spaces, mut devices) = (Self::default(), Vec::new());
        let mine = std::process::id();
        for (number, node) in nodes.iter().enumerate() {
            let device = format!("net{mine}x{number}");
            devices.push(crate::tun::make(&device)?);
            let space = format!("swarmlet-{mine}-{}", node.name);
            ip(&[], &format!("netns add {space}\nlink set {device} netns {space}\n"))?;
            spaces.names.push(space.clone());
            let own = address(number);
            ip(
                &["-n", &space],
                &format!(
                    "link set lo up\nlink set {device} name line0\nlink set line0 mtu {PACKET_BYTES} txqueuelen {DEVICE_PACKETS}\n\
                     addr add {own}/16 dev line0\nlink set line0 up\nroute add default dev line0\n"
                ),
            )?;
        }
        Ok((spaces, devices))
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        let lines: String = self.names.iter().map(|name| format!("netns del {name}\n")).collect();
        if let Err(error) = ip(&["-force"], &lines) {
            eprintln!("net: {error}");
        }
    }
}

/// Removes what beds left whose process was killed.
fn sweep() -> io::Result<()> {
    let Ok(listed) = std::fs::read_dir("/run/netns") else { return Ok(()) };
    let names = listed.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let stale = names.filter(|name| {
        let owner = name.strip_prefix("swarmlet-").and_then(|rest| rest.split('-').next());
        owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists())
    });
    let lines: String = stale.map(|name| format!("netns del {name}\n")).collect();
    if lines.is_empty() { Ok(()) } else { ip(&["-force"], &lines) }
}

/// Hands lines to `ip -batch`.
fn ip(options: &[&str], lines: &str) -> io::Result<()> {
    let mut child =
        Command::new("ip").args(options).args(["-batch", "-"]).stdin(Stdio::piped()).spawn().map_err(
            |error| io::Error::new(error.kind(), format!("ip (Debian: iproute2) cannot be run: {error}")),
        )?;
    child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?.write_all(lines.as_bytes())?;
    if child.wait()?.success() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "network namespaces cannot be made here"))
}
