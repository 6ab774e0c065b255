//! Values ⇄ bytes: postcard's format, of which this holds only what messages use. It is written out by hand because
//! a page downloads it, and serde's visitors are ten times the code; the tests hold it against postcard itself.
//!
//! Numbers of more than a byte are varints, arrays their items, texts and lists a count and their items, structures
//! their fields, and choices a varint and the fields.

use crate::id::{ContentId, Fingerprint, PeerId, Root, Topic};
use alloc::string::String;
use alloc::vec::Vec;

/// What messages are made of.
pub(crate) trait Wire: Sized {
    /// Appends the bytes of this value.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes a value off the front of `bytes`. `None`: there is none.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

/// A structure, or a tuple by the numbers of its fields.
macro_rules! wire_struct {
    ($type:ident { $($field:tt),* }) => {
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: Wire::take(bytes)?),* })
            }
        }
    };
}

/// A choice: the number of each, and its fields.
macro_rules! wire_enum {
    ($type:ident { $($number:literal => $variant:ident $(($item:ident))? $({ $($field:ident),* })?),* $(,)? }) => {
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($item))? $({ $($field),* })? => {
                        out.push($number);
                        $($item.put(out);)?
                        $($($field.put(out);)*)?
                    })*
                }
            }
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(match u32::take(bytes)? {
                    $($number => Self::$variant
                        $(({ let $item = Wire::take(bytes)?; $item }))?
                        $({ $($field: Wire::take(bytes)?),* })?,)*
                    _ => return None,
                })
            }
        }
    };
}

pub(super) use {wire_enum, wire_struct};

wire_struct!(ContentId { 0 });
wire_struct!(Fingerprint { 0 });
wire_struct!(PeerId { 0 });
wire_struct!(Root { 0 });
wire_struct!(Topic { 0 });

impl Wire for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        bytes.split_off_first().copied()
    }
}

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        match u8::take(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Wire for u16 {
    fn put(&self, out: &mut Vec<u8>) {
        u32::from(*self).put(out);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        varint(bytes, 3)?.try_into().ok()
    }
}

impl Wire for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        varint(bytes, 5)?.try_into().ok()
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow, up to so many bytes.
fn varint(bytes: &mut &[u8], longest: u32) -> Option<u64> {
    let mut number = 0;
    for at in 0..longest {
        let byte = u8::take(bytes)?;
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

impl<const N: usize> Wire for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*head)
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        out.extend_from_slice(self.as_bytes());
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Self::from_utf8(Wire::take(bytes)?).ok()
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        for item in self {
            item.put(out);
        }
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        // The count is a claim: room is made for what is there, and each item is a byte at least.
        let mut items = Self::new();
        for _ in 0..u32::take(bytes)? {
            items.push(T::take(bytes)?);
        }
        Some(items)
    }
}
