//! Messages in a row, and codes, which are signals in a row.

use super::super::peer::GATHERED_BYTES_MAX;
use super::*;

#[test]
fn messages_that_go_together_come_back_one_by_one() {
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for (message, tail) in frames() {
        // What has a tail ends what goes together, as do greetings.
        if message.is_last() {
            let alone = message.encode(&tail);
            let (frame, rest) = Frame::first(&alone).unwrap();
            assert_eq!((&frame.message, frame.tail, rest), (&message, tail.as_slice(), [].as_slice()));
        } else if bytes.len() + message.encode(&[]).len() < GATHERED_BYTES_MAX {
            bytes.extend_from_slice(&message.encode(&[]));
            expected.push(message);
        }
    }
    assert!(expected.len() > 12, "{}", expected.len());
    let last = Message::Anchor.encode(b"wss://a.example");
    bytes.extend_from_slice(&last);
    let mut rest = bytes.as_slice();
    for message in expected {
        let (frame, behind) = Frame::first(rest).unwrap();
        assert_eq!((frame.message, frame.tail), (message, [].as_slice()));
        rest = behind;
    }
    assert_eq!(rest, last);
    assert_eq!(Frame::first(rest).unwrap().1, []);
    // A greeting is alone, and no more than a few kilobytes go together.
    let hello = frames().swap_remove(0).0;
    assert!(Frame::first(&[hello.encode(&[]), vec![18]].concat()).is_err());
    let goodbyes = |count| vec![18; count];
    assert_eq!(
        Frame::first(&goodbyes(GATHERED_BYTES_MAX)).map(|(_, rest)| rest.len()),
        Ok(GATHERED_BYTES_MAX - 1)
    );
    assert_eq!(Frame::first(&goodbyes(GATHERED_BYTES_MAX + 1)), Err(Error::Oversize));
}

#[test]
fn codes_come_back_and_keep_to_their_bounds() {
    let full = code(CODE_CANDIDATES_MAX);
    let bytes = full.encode();
    assert_eq!(Code::decode(&bytes), Ok(full));
    assert!(Code::decode(&bytes[..bytes.len() - 1]).is_err());
    assert!(Code::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    assert_eq!(Code::decode(&code(CODE_CANDIDATES_MAX + 1).encode()), Err(Error::Limit));
    assert_eq!(Code::decode(&[[2].as_slice(), &bytes[1..]].concat()), Err(Error::Malformed));
    assert_eq!(Code::decode(&[0; 1025]), Err(Error::Oversize));
    let refused = |signals| assert!(Code::decode(&Code { peer: PEER, signals }.encode()).is_err());
    let offer = |role, ufrag: &str| {
        let description = Description { role, ufrag: ufrag.to_string(), ..description() };
        Signal::Offer { attempt: 5, topic: TOPIC, description }
    };
    refused(vec![]);
    refused(vec![offer(Role::Active, "aB3+")]);
    refused(vec![offer(Role::Actpass, "a=b\r\n")]);
    refused(vec![Signal::Answer { attempt: 5, description: description() }]);
    refused(vec![Signal::Decline { attempt: 5 }]);
    refused(vec![code(0).signals.remove(0), code(0).signals.remove(0)]);
}
