//! Bencoding (BEP 3), strict: only what an encoder that follows the rules writes is read, so that whatever
//! is read has one encoding and one hash. Nothing is allocated for what the bytes merely claim.

use super::ContentError;
use crate::util::text;
use alloc::string::String;
use alloc::vec::Vec;

/// Lists and dictionaries inside one another: the deepest file tree and room for unknown keys.
pub const DEPTH_MAX: u8 = 80;
/// Digits of a number: those of `i64::MIN`, with its sign.
const DIGITS_MAX: usize = 20;

/// A cursor over bencoded bytes.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u8,
}

/// The keys of a dictionary so far.
#[derive(Debug)]
pub struct Keys<'a>(Option<&'a [u8]>);

impl<'a> Reader<'a> {
    /// A cursor at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    /// Checks that there is exactly one value and nothing after it.
    ///
    /// # Errors
    /// `Malformed` when it is not.
    pub fn check(bytes: &'a [u8]) -> Result<(), ContentError> {
        let mut reader = Self::new(bytes);
        reader.skip()?;
        if reader.at == bytes.len() { Ok(()) } else { Err(ContentError::Malformed) }
    }

    /// Reads a number.
    ///
    /// # Errors
    /// `WrongType` when something else stands here, `Malformed`.
    pub fn int(&mut self) -> Result<i64, ContentError> {
        self.expect(b'i')?;
        let digits = self.until(b'e')?;
        let positive = digits.strip_prefix(b"-");
        let value = canonical(positive.unwrap_or(digits), i64::MAX as u64 + u64::from(positive.is_some()))?;
        match positive {
            None => Ok(value.cast_signed()),
            Some(_) if value == 0 => Err(ContentError::Malformed),
            Some(_) => Ok(0i64.wrapping_sub_unsigned(value)),
        }
    }

    /// Reads a string of bytes.
    ///
    /// # Errors
    /// `WrongType` when something else stands here, `Malformed`.
    pub fn bytes(&mut self) -> Result<&'a [u8], ContentError> {
        match self.peek()? {
            b'0'..=b'9' => {}
            b'i' | b'l' | b'd' => return Err(ContentError::WrongType),
            _ => return Err(ContentError::Malformed),
        }
        let digits = self.until(b':')?;
        let length = canonical(digits, u32::MAX.into())? as usize;
        let end = self.at.checked_add(length).ok_or(ContentError::Malformed)?;
        let bytes = self.bytes.get(self.at..end).ok_or(ContentError::Malformed)?;
        self.at = end;
        Ok(bytes)
    }

    /// Enters a dictionary. What follows is read by [`Self::key`] until there are no more.
    ///
    /// # Errors
    /// `WrongType` when something else stands here, `Malformed`.
    pub fn dict(&mut self) -> Result<Keys<'a>, ContentError> {
        self.open(b'd').map(|()| Keys(None))
    }

    /// Reads the next key of a dictionary; its value must be read before the next one. `None`: that was the end.
    ///
    /// # Errors
    /// `Malformed`, also for keys out of order.
    pub fn key(&mut self, keys: &mut Keys<'a>) -> Result<Option<&'a [u8]>, ContentError> {
        if !self.item()? {
            return Ok(None);
        }
        let key = self.bytes().map_err(|_| ContentError::Malformed)?;
        match keys.0.replace(key) {
            Some(last) if last >= key => Err(ContentError::Malformed),
            _ => Ok(Some(key)),
        }
    }

    /// Enters a list. [`Self::item`] says whether an element follows.
    ///
    /// # Errors
    /// `WrongType` when something else stands here, `Malformed`.
    pub fn list(&mut self) -> Result<(), ContentError> {
        self.open(b'l')
    }

    /// Whether there is another element, which must be read before the next one. `false`: that was the end.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn item(&mut self) -> Result<bool, ContentError> {
        let is_end = self.peek()? == b'e';
        if is_end {
            self.at += 1;
            self.depth -= 1;
        }
        Ok(!is_end)
    }

    /// Reads past one value, checking it, and gives its bytes.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn skip(&mut self) -> Result<&'a [u8], ContentError> {
        let start = self.at;
        match self.peek()? {
            b'i' => self.int().map(drop)?,
            b'l' => {
                self.list()?;
                while self.item()? {
                    self.skip()?;
                }
            }
            b'd' => {
                let mut keys = self.dict()?;
                while self.key(&mut keys)?.is_some() {
                    self.skip()?;
                }
            }
            _ => self.bytes().map(drop)?,
        }
        Ok(&self.bytes[start..self.at])
    }

    /// The first byte of what comes next.
    ///
    /// # Errors
    /// `Malformed` at the end of the bytes.
    pub fn peek(&self) -> Result<u8, ContentError> {
        self.bytes.get(self.at).copied().ok_or(ContentError::Malformed)
    }

    fn expect(&mut self, opening: u8) -> Result<(), ContentError> {
        match self.peek()? {
            byte if byte == opening => self.at += 1,
            b'i' | b'l' | b'd' | b'0'..=b'9' => return Err(ContentError::WrongType),
            _ => return Err(ContentError::Malformed),
        }
        Ok(())
    }

    fn open(&mut self, opening: u8) -> Result<(), ContentError> {
        self.expect(opening)?;
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(ContentError::Malformed) } else { Ok(()) }
    }

    /// The digits before a mark, which is read too.
    fn until(&mut self, mark: u8) -> Result<&'a [u8], ContentError> {
        let rest = &self.bytes[self.at..];
        let window = &rest[..rest.len().min(DIGITS_MAX + 1)];
        let length = window.iter().position(|byte| *byte == mark).ok_or(ContentError::Malformed)?;
        self.at += length + 1;
        Ok(&rest[..length])
    }
}

/// Writes a string of bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_digits(out, bytes.len() as u64);
    out.push(b':');
    out.extend_from_slice(bytes);
}

/// Writes a number.
pub fn put_int(out: &mut Vec<u8>, number: u64) {
    out.push(b'i');
    put_digits(out, number);
    out.push(b'e');
}

fn put_digits(out: &mut Vec<u8>, number: u64) {
    let mut digits = String::new();
    text::push_number(&mut digits, number);
    out.extend_from_slice(digits.as_bytes());
}

/// Digits without surplus zeros.
fn canonical(digits: &[u8], max: u64) -> Result<u64, ContentError> {
    let is_short = digits.len() == 1 || !digits.starts_with(b"0");
    text::number(digits, max).filter(|_| is_short).ok_or(ContentError::Malformed)
}
