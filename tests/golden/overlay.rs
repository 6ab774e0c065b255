//! The messages of the mesh, like those of links: each vector decodes to its value and comes from it.

use super::{PEER, SIGNATURE, compare, read};
use swarmlet_core::ContentId;
use swarmlet_core::wire::overlay::{
    Body, Contact, Envelope, Kind, Lead, Listing, Overlay, Point, Provider, Role, RumourId,
};

const KEY: Point = Point(0x1111_1111_1111_1111_1111_1111_1111_1111);
const CONTACT: Contact = Contact { peer: PEER, nonce: 5 };
const PROVIDER: Provider = Provider { key: KEY, contact: CONTACT, until: 300, signature: SIGNATURE };
const RUMOUR: RumourId = RumourId([0x77; 16]);

fn listing() -> Listing {
    Listing {
        content: ContentId([0x55; 32]),
        by: PEER,
        sequence: 300,
        until: 301,
        size: 302,
        kind: Kind::Video,
        title: "Buck".into(),
        signature: SIGNATURE,
    }
}

fn messages() -> Vec<(String, Overlay)> {
    let routed = |route: &[u32], back: &[u32], body| Overlay::Routed {
        route: route.to_vec(),
        back: back.to_vec(),
        body,
    };
    let leads = vec![Lead { contact: CONTACT, label: 300 }];
    let answer = Body::Answer { query: 7, from: CONTACT, providers: vec![PROVIDER], leads };
    let listings = vec![listing()];
    let list = [
        ("greet", Overlay::Greet { nonce: 5, role: Role::Router, age_s: 300, wanted: true }),
        ("seek", Overlay::Seek { query: 7, key: KEY, ttl: 12, back: vec![300] }),
        ("routed-ask", routed(&[3, 4], &[], Body::Ask { query: 7, key: KEY })),
        ("routed-answer", routed(&[3], &[4], answer)),
        ("routed-store", routed(&[], &[], Body::Store { provider: PROVIDER })),
        ("routed-sealed", routed(&[], &[], Body::Sealed { bytes: vec![0xaa, 0xbb] })),
        ("routed-seek", routed(&[3], &[], Body::Seek { query: 7, key: KEY })),
        ("routed-matches", routed(&[], &[], Body::Matches { query: 7, listings })),
        ("hint", Overlay::Hint { label: 300 }),
        ("join", Overlay::Join { urgent: false }),
        ("part", Overlay::Part),
        ("rumour", Overlay::Rumour { hops: 1, bytes: vec![0xaa, 0xbb] }),
        ("heard", Overlay::Heard { rumours: vec![(RUMOUR, 2)] }),
        ("graft", Overlay::Graft { rumour: Some(RUMOUR) }),
        ("graft-next", Overlay::Graft { rumour: None }),
        ("prune", Overlay::Prune),
        ("search", Overlay::Search { query: 7, ttl: 5, back: vec![300], words: b"buck".to_vec() }),
    ];
    list.into_iter().map(|(name, message)| (name.to_owned(), message)).collect()
}

#[test]
fn messages_of_the_mesh() {
    let text = include_str!("overlay.hex");
    compare(text, messages(), |bytes| Overlay::decode(bytes).unwrap(), Overlay::encode);
    let mut variants: Vec<u8> = read(text).values().map(|bytes| bytes[0]).collect();
    variants.sort_unstable();
    variants.dedup();
    assert_eq!(variants, (0..=10).collect::<Vec<_>>());
}

#[test]
fn envelopes() {
    let card = vec![0x77; 2];
    let list = [
        ("hail", Envelope::Hail { from: CONTACT, role: Some(Role::Router), card: card.clone() }),
        ("card", Envelope::Card { from: PEER, card }),
        ("full", Envelope::Full { from: PEER }),
        ("parcel", Envelope::Parcel { from: PEER, card: true, tail: vec![0xaa, 0xbb] }),
    ];
    let list = list.into_iter().map(|(name, envelope)| (name.to_owned(), envelope)).collect();
    compare(include_str!("envelope.hex"), list, |bytes| Envelope::decode(bytes).unwrap(), Envelope::encode);
    assert!(Envelope::decode(&[2; 34]).is_err(), "a byte is left over");
}

#[test]
fn what_is_too_much_is_refused() {
    let mut long = Overlay::Seek { query: 7, key: KEY, ttl: 12, back: vec![1; 5] }.encode();
    assert!(Overlay::decode(&long).is_err(), "twelve steps and five make seventeen");
    long.resize(5000, 0);
    assert!(Overlay::decode(&long).is_err());
    let body = Body::Sealed { bytes: vec![0; 2049] };
    assert!(Overlay::decode(&Overlay::Routed { route: vec![], back: vec![], body }.encode()).is_err());
    assert!(Overlay::decode(&[9, 0]).is_err(), "a byte is left over");
}
