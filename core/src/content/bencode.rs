//! Bencoding (BEP 3), strict: only what an encoder that follows the rules writes is read, so that whatever
//! is read has one encoding and one hash. Nothing is allocated for what the bytes merely claim.

use super::ContentError;
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
        let plain = digits.strip_prefix(b"-").unwrap_or(digits);
        let is_canonical = match plain {
            [b'0'] => digits.len() == 1,
            [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        let text = core::str::from_utf8(digits).ok().filter(|_| is_canonical);
        text.and_then(|text| text.parse().ok()).ok_or(ContentError::Malformed)
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
        if digits.len() > 1 && digits.starts_with(b"0") || !digits.iter().all(u8::is_ascii_digit) {
            return Err(ContentError::Malformed);
        }
        let length = core::str::from_utf8(digits).ok().and_then(|text| text.parse::<usize>().ok());
        let end = length.and_then(|length| self.at.checked_add(length)).ok_or(ContentError::Malformed)?;
        let bytes = self.bytes.get(self.at..end).ok_or(ContentError::Malformed)?;
        self.at = end;
        Ok(bytes)
    }

    /// Reads a dictionary: `each` is called with each key and must read the value from the cursor.
    ///
    /// # Errors
    /// `WrongType` when something else stands here, `Malformed` (also for keys out of order), or those of `each`.
    pub fn dict(
        &mut self,
        mut each: impl FnMut(&'a [u8], &mut Self) -> Result<(), ContentError>,
    ) -> Result<(), ContentError> {
        self.open(b'd')?;
        let mut last: Option<&[u8]> = None;
        while self.peek()? != b'e' {
            let key = self.bytes().map_err(|_| ContentError::Malformed)?;
            if last.is_some_and(|last| last >= key) {
                return Err(ContentError::Malformed);
            }
            last = Some(key);
            each(key, self)?;
        }
        self.close();
        Ok(())
    }

    /// Reads a list: `each` is called at each element and must read it from the cursor.
    ///
    /// # Errors
    /// `WrongType` when something else stands here, `Malformed`, or those of `each`.
    pub fn list(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), ContentError>,
    ) -> Result<(), ContentError> {
        self.open(b'l')?;
        while self.peek()? != b'e' {
            each(self)?;
        }
        self.close();
        Ok(())
    }

    /// Reads past one value, checking it, and gives its bytes.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn skip(&mut self) -> Result<&'a [u8], ContentError> {
        let start = self.at;
        match self.peek()? {
            b'i' => self.int().map(drop)?,
            b'l' => self.list(|reader| reader.skip().map(drop))?,
            b'd' => self.dict(|_, reader| reader.skip().map(drop))?,
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

    const fn close(&mut self) {
        self.at += 1;
        self.depth -= 1;
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
    if number >= 10 {
        put_digits(out, number / 10);
    }
    out.push(b'0' + (number % 10) as u8);
}
