//! Network devices whose packets a program reads and writes.

use rustix::ioctl::{self, Setter, opcode};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

/// Packets of IP, nothing before them (linux/if_tun.h: `IFF_TUN | IFF_NO_PI`).
const FLAGS: i16 = 0x0001 | 0x1000;
/// `TUNSETIFF` (linux/if_tun.h).
const SET: ioctl::Opcode = opcode::write::<i32>(b'T', 202);
const NAME_BYTES: usize = 16;

/// `struct ifreq` (linux/if.h).
#[repr(C)]
struct Request {
    name: [u8; NAME_BYTES],
    flags: i16,
    rest: [u8; 22],
}

/// Makes a device of that name. It is gone when the file is closed. Reading and writing never wait.
///
/// # Errors
/// What the system says: that this user may not, most often.
pub(crate) fn make(name: &str) -> io::Result<File> {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open("/dev/net/tun")?;
    let mut request = Request { name: [0; NAME_BYTES], flags: FLAGS, rest: [0; 22] };
    if name.len() >= NAME_BYTES {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: TUNSETIFF reads a `struct ifreq`, which `Request` is laid out as; it keeps no pointer to it.
    #[expect(unsafe_code, reason = "there is no other way to make such a device")]
    unsafe {
        ioctl::ioctl(&file, Setter::<SET, Request>::new(request))?;
    }
    Ok(file)
}
