//! A reader for JSON from strangers: strict (RFC 8259, nothing more), bounded in depth, and without copies. Texts
//! stay as they were written until somebody asks what they mean, so that a long one can be passed on as it is.

use super::Error;
use alloc::string::String;

/// Objects and lists inside each other, at most.
const DEPTH_MAX: u32 = 8;

/// Goes through one JSON text from its beginning to its end.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// A text as it was written between its quotes: its escapes are sound, and still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<'a>(&'a str);

/// What kind of value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    List,
    Text,
    Number,
    /// `true`, `false` or `null`.
    Word,
}

impl<'a> Reader<'a> {
    /// Refuses what is not UTF-8.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let text = core::str::from_utf8(bytes).map_err(|_| Error::Malformed)?;
        Ok(Self { text, at: 0 })
    }

    /// What comes next.
    pub(super) fn kind(&mut self) -> Result<Kind, Error> {
        match self.peek() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::List),
            Some(b'"') => Ok(Kind::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f' | b'n') => Ok(Kind::Word),
            _ => Err(Error::Malformed),
        }
    }

    /// Calls `member` for each member of an object; it must take the value.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(Text<'a>, &mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.series([b'{', b'}'], |reader| {
            let key = reader.text()?;
            reader.byte(b':')?;
            member(key, reader)
        })
    }

    /// Calls `item` for each item of a list; it must take the value.
    pub(super) fn list(&mut self, item: impl FnMut(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        self.series([b'[', b']'], item)
    }

    /// Takes a text.
    pub(super) fn text(&mut self) -> Result<Text<'a>, Error> {
        self.byte(b'"')?;
        let start = self.at;
        loop {
            self.at += plain_run(self.rest());
            match self.rest().first() {
                Some(b'"') => {
                    let text = self.text.get(start..self.at).ok_or(Error::Malformed)?;
                    self.at += 1;
                    return Ok(Text(text));
                }
                // Line ends are most of the escapes that there are.
                Some(b'\\') if self.rest().starts_with(b"\\r\\n") => self.at += 4,
                Some(b'\\') => self.at += escape(self.rest()).ok_or(Error::Malformed)?.1,
                _ => return Err(Error::Malformed),
            }
        }
    }

    /// Takes a number: its value if it is a whole one that fits, else `None`.
    pub(super) fn number(&mut self) -> Result<Option<u64>, Error> {
        self.peek();
        let start = self.at;
        let negative = self.skip_if(b'-');
        let whole = self.digits();
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
            return Err(Error::Malformed);
        }
        let whole_end = self.at;
        if self.skip_if(b'.') && self.digits().is_empty() {
            return Err(Error::Malformed);
        }
        if self.skip_if(b'e') || self.skip_if(b'E') {
            let _sign = self.skip_if(b'+') || self.skip_if(b'-');
            if self.digits().is_empty() {
                return Err(Error::Malformed);
            }
        }
        let plain = !negative && self.at == whole_end && self.at > start;
        Ok(whole.parse().ok().filter(|_| plain))
    }

    /// Takes whatever comes.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        self.skip_within(DEPTH_MAX)
    }

    /// Nothing but blanks is left.
    pub(super) fn end(mut self) -> Result<(), Error> {
        if self.peek().is_none() { Ok(()) } else { Err(Error::Malformed) }
    }

    fn skip_within(&mut self, depth: u32) -> Result<(), Error> {
        let inner = depth.checked_sub(1).ok_or(Error::Limit);
        match self.kind()? {
            Kind::Object => {
                let inner = inner?;
                self.object(|_, reader| reader.skip_within(inner))
            }
            Kind::List => {
                let inner = inner?;
                self.list(|reader| reader.skip_within(inner))
            }
            Kind::Text => self.text().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::Word => {
                let word = ["true", "false", "null"]
                    .iter()
                    .find(|word| self.rest().starts_with(word.as_bytes()))
                    .ok_or(Error::Malformed)?;
                self.at += word.len();
                Ok(())
            }
        }
    }

    fn series(
        &mut self,
        [open, close]: [u8; 2],
        mut item: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.byte(open)?;
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Error::Malformed),
            }
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or(&[])
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                other => return Some(*other),
            }
        }
        None
    }

    fn byte(&mut self, expected: u8) -> Result<(), Error> {
        if self.peek() != Some(expected) {
            return Err(Error::Malformed);
        }
        self.at += 1;
        Ok(())
    }

    fn skip_if(&mut self, byte: u8) -> bool {
        let is_next = self.rest().first() == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn digits(&mut self) -> &'a str {
        let start = self.at;
        self.at += self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.text.get(start..self.at).unwrap_or("")
    }
}

impl<'a> Text<'a> {
    /// As it was written, without the quotes.
    pub(super) const fn raw(self) -> &'a str {
        self.0
    }

    /// Whether it means this plain text. One that was written with escapes does not count.
    pub(super) fn is(self, plain: &str) -> bool {
        self.0 == plain
    }

    /// The characters that it means. Half of a surrogate pair is U+FFFD.
    pub(super) fn chars(self) -> Chars<'a> {
        Chars(self.0)
    }

    /// The 20 bytes that a *binary string* means: 20 characters of U+0000 to U+00FF.
    pub(super) fn bytes20(self) -> Result<[u8; 20], Error> {
        if let Ok(bytes) = <[u8; 20]>::try_from(self.0.as_bytes())
            && ascii_run(&bytes) == 20
        {
            return Ok(bytes);
        }
        let (mut out, mut chars) = ([0; 20], self.chars());
        for byte in &mut out {
            *byte = chars.next().and_then(|c| u8::try_from(u32::from(c)).ok()).ok_or(Error::Malformed)?;
        }
        if chars.next().is_none() { Ok(out) } else { Err(Error::Malformed) }
    }

    /// What it means.
    pub(super) fn unescaped(self) -> String {
        self.chars().collect()
    }
}

/// See [`Text::chars`].
#[derive(Clone, Debug)]
pub(super) struct Chars<'a>(&'a str);

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if !self.0.starts_with('\\') {
            let mut chars = self.0.chars();
            let next = chars.next();
            self.0 = chars.as_str();
            return next;
        }
        let (unit, used) = escape(self.0.as_bytes())?;
        self.0 = self.0.get(used..)?;
        if !(0xd800..0xdc00).contains(&unit) {
            return Some(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let low = escape(self.0.as_bytes()).filter(|(unit, _)| (0xdc00..0xe000).contains(unit));
        let Some((low, used)) = low else { return Some(char::REPLACEMENT_CHARACTER) };
        self.0 = self.0.get(used..)?;
        let scalar = 0x10000 + ((u32::from(unit) - 0xd800) << 10) + (u32::from(low) - 0xdc00);
        char::from_u32(scalar)
    }
}

/// The UTF-16 unit that an escape at the beginning means, and its length.
fn escape(bytes: &[u8]) -> Option<(u16, usize)> {
    let [b'\\', letter, rest @ ..] = bytes else { return None };
    let unit = match letter {
        b'"' | b'\\' | b'/' => u16::from(*letter),
        b'b' => 8,
        b'f' => 12,
        b'n' => 10,
        b'r' => 13,
        b't' => 9,
        b'u' => {
            let mut unit = 0;
            for digit in rest.get(..4)? {
                unit = unit << 4 | u16::from(crate::util::text::nibble(*digit)?);
            }
            return Some((unit, 6));
        }
        _ => return None,
    };
    Some((unit, 2))
}

/// How many bytes at the beginning are neither a quote, a backslash nor a control character.
fn plain_run(bytes: &[u8]) -> usize {
    run(bytes, |_| 0, |byte| byte >= 0x20)
}

/// The same, but that nothing else than printable ASCII counts.
pub(super) fn ascii_run(bytes: &[u8]) -> usize {
    const DELETE: u64 = ONES * 0x7f;
    run(bytes, |word| (word & HIGHS) | is_below(word ^ DELETE, 1), |byte| (0x20..0x7f).contains(&byte))
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks bytes below a bound, the lowest such byte for certain: a borrow may set false marks above it only.
const fn is_below(word: u64, bound: u64) -> u64 {
    word.wrapping_sub(ONES * bound) & !word & HIGHS
}

/// Sixteen at a time, which compilers make one comparison of, then eight: most of what a tracker reads is text.
fn run(bytes: &[u8], odd: impl Fn(u64) -> u64, is_plain: impl Fn(u8) -> bool) -> usize {
    let is_plain = |byte: &u8| is_plain(*byte) & (*byte != b'"') & (*byte != b'\\');
    let mut run = 0;
    for block in bytes.as_chunks::<16>().0 {
        if !block.iter().fold(true, |all, byte| all & is_plain(byte)) {
            break;
        }
        run += 16;
    }
    for chunk in bytes.get(run..).unwrap_or(&[]).as_chunks().0 {
        let word = u64::from_le_bytes(*chunk);
        let marks = is_below(word, 0x20)
            | is_below(word ^ (ONES * u64::from(b'"')), 1)
            | is_below(word ^ (ONES * u64::from(b'\\')), 1)
            | odd(word);
        if marks != 0 {
            return run + marks.trailing_zeros() as usize / 8;
        }
        run += 8;
    }
    run + bytes.iter().skip(run).take_while(|byte| is_plain(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn whole(text: &str) -> Result<(), Error> {
        let mut reader = Reader::new(text.as_bytes())?;
        reader.skip()?;
        reader.end()
    }

    #[test]
    fn what_is_json_is_read_and_nothing_else() {
        let good = [
            "{}",
            "[]",
            " [ ] ",
            "0",
            "-0",
            "-1.5e+3",
            "1E5",
            "\"\"",
            "true",
            "false",
            "null",
            "\"\u{7f}é\"",
            "{\"a\":[1,{\"b\":null}],\"c\":\"\\u00e9\\n\\/\"}",
            "[[[[[[[1]]]]]]]",
            "\"\\ud800\"",
            "\t\r\n 1",
        ];
        for text in good {
            assert_eq!(whole(text), Ok(()), "{text}");
        }
        let bad = [
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":1,}",
            "01",
            "+1",
            "1.",
            ".5",
            "1e",
            "--1",
            "0x1",
            "NaN",
            "Infinity",
            "tru",
            "TRUE",
            "nul",
            "\"",
            "\"\\\"",
            "\"\\x41\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "\"\0\"",
            "1 2",
            "{} {}",
            "[1 2]",
            "{\"a\" 1}",
            "//x",
            "[1]x",
            "\u{feff}1",
            "\"\t\"",
            "[\"\\\"]",
            "{\"a\":1 \"b\":2}",
            "-",
            "1e+",
            "]",
            ",",
        ];
        for text in bad {
            assert_eq!(whole(text), Err(Error::Malformed), "{text}");
        }
        assert_eq!(whole("[[[[[[[[[1]]]]]]]]]"), Err(Error::Limit), "nine deep");
        assert!(Reader::new(&[b'"', 0xff, b'"']).is_err());
    }

    #[test]
    fn numbers_are_whole_ones_or_none() {
        for (text, value) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("1.0", None),
            ("1e3", None),
        ] {
            assert_eq!(Reader::new(text.as_bytes()).unwrap().number(), Ok(value), "{text}");
        }
    }

    #[test]
    fn a_binary_string_is_twenty_characters_of_one_byte() {
        let read = |text: &str| Reader::new(text.as_bytes()).unwrap().text().unwrap().bytes20();
        assert_eq!(read("\"aaaaaaaaaaaaaaaaaaaa\""), Ok([b'a'; 20]));
        assert_eq!(read("\"ÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿÿ\""), Ok([0xff; 20]));
        let mixed = "\"\\u0000\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00fFÀ012345678\"";
        assert_eq!(read(mixed).unwrap()[..11], [0, b'"', b'\\', b'/', 8, 12, 10, 13, 9, 0xff, 0xc0]);
        for bad in
            ["\"\"", "\"aaaaaaaaaaaaaaaaaaa\"", "\"aaaaaaaaaaaaaaaaaaaaa\"", "\"Āaaaaaaaaaaaaaaaaaaa\""]
        {
            assert_eq!(read(bad), Err(Error::Malformed), "{bad}");
        }
    }

    #[test]
    fn surrogates_make_one_character() {
        let read = |text: &str| Reader::new(text.as_bytes()).unwrap().text().unwrap().unescaped();
        assert_eq!(read("\"\\ud83d\\ude00é\\u0041\""), "😀éA");
        assert_eq!(read("\"\\ud83dx\\ude00\\ud83d\""), "\u{fffd}x\u{fffd}\u{fffd}");
    }

    proptest! {
        #[test]
        fn plain_runs_end_where_a_slow_search_says(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let slow = bytes.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\').unwrap_or(bytes.len());
            prop_assert_eq!(plain_run(&bytes), slow);
        }

        #[test]
        fn noise_is_survived(noise in "[\\[\\]{}:,\"\\\\0-9eE.+-tfnul ]{0,60}") {
            let _ = whole(&noise);
        }

        #[test]
        fn what_was_escaped_comes_back(chars in proptest::collection::vec(any::<char>(), 0..30)) {
            let plain: std::string::String = chars.iter().collect();
            let escaped: Vec<std::string::String> =
                plain.encode_utf16().map(|unit| std::format!("\\u{unit:04x}")).collect();
            let json = std::format!("\"{}\"", escaped.concat());
            let text = Reader::new(json.as_bytes()).unwrap().text().unwrap();
            prop_assert_eq!(text.unescaped(), plain);
        }
    }
}
