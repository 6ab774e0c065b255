//! Bencoding: strict, and the same after a round.

use crate::content::ContentError::{self, Malformed, WrongType};
use crate::content::bencode::{DEPTH_MAX, Reader, put_bytes, put_int};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec::Vec;

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Int(u32),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Dict(BTreeMap<Vec<u8>, Self>),
}

impl Value {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(number) => put_int(out, u64::from(*number)),
            Self::Bytes(bytes) => put_bytes(out, bytes),
            Self::List(values) => {
                out.push(b'l');
                values.iter().for_each(|value| value.put(out));
                out.push(b'e');
            }
            Self::Dict(values) => {
                out.push(b'd');
                for (key, value) in values {
                    put_bytes(out, key);
                    value.put(out);
                }
                out.push(b'e');
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ContentError> {
        Ok(match reader.peek()? {
            b'i' => Self::Int(u32::try_from(reader.int()?).unwrap()),
            b'l' => {
                let mut values = Vec::new();
                reader.list()?;
                while reader.item()? {
                    values.push(Self::read(reader)?);
                }
                Self::List(values)
            }
            b'd' => {
                let mut values = BTreeMap::new();
                let mut keys = reader.dict()?;
                while let Some(key) = reader.key(&mut keys)? {
                    values.insert(key.to_vec(), Self::read(reader)?);
                }
                Self::Dict(values)
            }
            _ => Self::Bytes(reader.bytes()?.to_vec()),
        })
    }
}

fn value() -> impl Strategy<Value = Value> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..12);
    let leaf = prop_oneof![any::<u32>().prop_map(Value::Int), bytes().prop_map(Value::Bytes)];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            proptest::collection::btree_map(bytes(), inner, 0..6).prop_map(Value::Dict),
        ]
    })
}

proptest! {
    #[test]
    fn reads_what_it_wrote_and_nothing_longer_or_shorter(value in value(), extra in any::<u8>()) {
        let mut bytes = Vec::new();
        value.put(&mut bytes);
        prop_assert_eq!(Reader::check(&bytes), Ok(()));
        prop_assert_eq!(Value::read(&mut Reader::new(&bytes)), Ok(value));
        prop_assert_eq!(Reader::new(&bytes).skip(), Ok(bytes.as_slice()));
        prop_assert_eq!(Reader::check(&bytes[..bytes.len() - 1]), Err(Malformed));
        bytes.push(extra);
        prop_assert_eq!(Reader::check(&bytes), Err(Malformed));
    }

    #[test]
    fn what_is_accepted_has_one_encoding(bytes in "[idle0-9:\\-]{0,24}") {
        if Reader::check(bytes.as_bytes()).is_ok() && !bytes.contains('-') {
            let value = Value::read(&mut Reader::new(bytes.as_bytes()));
            let mut again = Vec::new();
            value.unwrap().put(&mut again);
            prop_assert_eq!(again, bytes.as_bytes());
        }
    }
}

#[test]
fn refuses_what_is_not_canonical() {
    let bad: &[&[u8]] = &[
        b"",
        b"i",
        b"ie",
        b"i-e",
        b"i-0e",
        b"i00e",
        b"i01e",
        b"i-01e",
        b"i+1e",
        b"i 1e",
        b"i1",
        b"i1.0e",
        b"i9223372036854775808e",
        b"i-9223372036854775809e",
        b"i99999999999999999999999999e",
        b"1",
        b"1:",
        b"2:a",
        b"01:a",
        b"00:",
        b"-1:a",
        b"+1:a",
        b"1a",
        b":",
        b"18446744073709551615:a",
        b"18446744073709551616:a",
        b"99999999999999999999999:a",
        b"l",
        b"li1e",
        b"d",
        b"d1:a",
        b"d1:ae",
        b"d1:ai1e",
        b"di1ei1ee",
        b"dle1:ae",
        b"d1:bi1e1:ai1ee",
        b"d1:ai1e1:ai1ee",
        b"d2:aai1e1:ai1ee",
        b"e",
        b"i1ei1e",
        b"lee",
        b"x",
        b"\0",
    ];
    for bytes in bad {
        assert_eq!(Reader::check(bytes), Err(Malformed), "{}", bytes.escape_ascii());
    }
    for bytes in
        [&b"i0e"[..], b"i-1e", b"i9223372036854775807e", b"i-9223372036854775808e", b"0:", b"le", b"de"]
    {
        assert_eq!(Reader::check(bytes), Ok(()), "{}", bytes.escape_ascii());
    }
    assert_eq!(Reader::new(b"0:").int(), Err(WrongType));
    assert_eq!(Reader::new(b"i1e").bytes(), Err(WrongType));
    assert_eq!(Reader::new(b"le").dict().map(drop), Err(WrongType));
    assert_eq!(Reader::new(b"de").list(), Err(WrongType));
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| [b"l".repeat(depth), b"e".repeat(depth)].concat();
    assert_eq!(Reader::check(&nested(usize::from(DEPTH_MAX))), Ok(()));
    assert_eq!(Reader::check(&nested(usize::from(DEPTH_MAX) + 1)), Err(Malformed));
    assert_eq!(Reader::check(&b"l".repeat(4 << 20)), Err(Malformed));
    assert_eq!(Reader::check(&b"d1:a".repeat(1 << 20)), Err(Malformed));
}
