//! Numbers in text, and text in parts. `core::fmt` and `core::str` do this and much more, at kilobytes of code for it.

use alloc::string::String;

/// What stands before and behind the first `mark`, which is an ASCII character.
#[must_use]
pub fn cut(text: &str, mark: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == mark)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// What stands between marks: one part more than there are marks.
pub fn parts(text: &str, mark: u8) -> impl Iterator<Item = &str> {
    let mut left = Some(text);
    core::iter::from_fn(move || {
        let text = left?;
        let (part, rest) = cut(text, mark).map_or((text, None), |(part, rest)| (part, Some(rest)));
        left = rest;
        Some(part)
    })
}

/// Reads decimal digits and nothing else. `None` for none, and for more than `max`.
#[must_use]
pub fn number(digits: &[u8], max: u64) -> Option<u64> {
    let mut number = 0u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    (!digits.is_empty() && number <= max).then_some(number)
}

/// Reads one hexadecimal digit.
#[must_use]
pub const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Reads two hexadecimal digits for each byte of `out`, and nothing else.
#[must_use]
pub fn hex(digits: &[u8], out: &mut [u8]) -> Option<()> {
    if digits.len() != out.len() * 2 {
        return None;
    }
    for (byte, [high, low]) in out.iter_mut().zip(digits.as_chunks().0) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(())
}

/// Appends decimal digits.
pub fn push_number(out: &mut String, number: u64) {
    if number >= 10 {
        push_number(out, number / 10);
    }
    out.push(char::from(b'0' + (number % 10) as u8));
}

/// Appends two hexadecimal digits for each byte.
pub fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    #[test]
    fn only_digits_are_a_number() {
        assert_eq!(number(b"0", 0), Some(0));
        assert_eq!(number(b"18446744073709551615", u64::MAX), Some(u64::MAX));
        for bad in ["", "+1", "-1", " 1", "1 ", "0x1", "18446744073709551616", "99999999999999999999999"] {
            assert_eq!(number(bad.as_bytes(), u64::MAX), None, "{bad}");
        }
        assert_eq!(number(b"256", 255), None);
    }

    proptest! {
        #[test]
        fn texts_are_cut_as_the_standard_library_cuts_them(text in "[a.é]{0,12}") {
            prop_assert_eq!(cut(&text, b'.'), text.split_once('.'));
            prop_assert!(parts(&text, b'.').eq(text.split('.')));
        }

        #[test]
        fn what_is_written_is_what_the_standard_library_writes(value: u64, bytes: Vec<u8>) {
            let (mut decimal, mut digits) = (String::new(), String::new());
            push_number(&mut decimal, value);
            prop_assert_eq!(&decimal, &value.to_string());
            prop_assert_eq!(number(decimal.as_bytes(), u64::MAX), Some(value));
            push_hex(&mut digits, &bytes);
            prop_assert_eq!(&digits, &bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            let mut back = std::vec![0; bytes.len()];
            prop_assert_eq!(hex(digits.to_uppercase().as_bytes(), &mut back), Some(()));
            prop_assert_eq!(back, bytes);
        }
    }
}
