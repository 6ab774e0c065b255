//! Connections by their ids. Each message takes a dozen looks at them, so one is a step and not a walk down a tree: hosts
//! use the lower half of an id again when its connection is gone (an index of theirs, mostly), which makes it a place in
//! a row here. Ids without a place of their own are kept in a tree. A leaf.

use super::{Conn, ConnId};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The row is at most this much longer than twice as long as it was: ids are not dense by promise.
const STRIDE: usize = 64;
/// A row of this length is never given back.
const ROW_MIN: usize = 1024;

/// All connections. At most `connections_max`.
#[derive(Debug, Default)]
pub(super) struct Conns {
    /// By the lower half of the id. The last one is never empty.
    row: Vec<Option<(ConnId, Box<Conn>)>>,
    /// How many are there.
    near: usize,
    /// Whose place is taken, or too far away.
    far: BTreeMap<ConnId, Box<Conn>>,
}

fn place(id: ConnId) -> usize {
    usize::try_from(id.0 & 0xffff_ffff).unwrap_or(usize::MAX)
}

impl Conns {
    pub(super) fn len(&self) -> usize {
        self.near + self.far.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn contains(&self, id: ConnId) -> bool {
        self.get(id).is_some()
    }

    pub(super) fn get(&self, id: ConnId) -> Option<&Conn> {
        match self.row.get(place(id)) {
            Some(Some((near, conn))) if *near == id => Some(conn),
            _ => self.far.get(&id).map(Box::as_ref),
        }
    }

    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        match self.row.get_mut(place(id)) {
            Some(Some((near, conn))) if *near == id => Some(conn),
            _ => self.far.get_mut(&id).map(Box::as_mut),
        }
    }

    /// Ids are never used twice.
    pub(super) fn insert(&mut self, id: ConnId, conn: Box<Conn>) {
        let at = place(id);
        if at >= self.row.len() && at <= self.row.len() * 2 + STRIDE {
            self.row.resize_with(at + 1, || None);
        }
        match self.row.get_mut(at) {
            Some(free @ None) => {
                *free = Some((id, conn));
                self.near += 1;
            }
            Some(Some(_)) | None => drop(self.far.insert(id, conn)),
        }
    }

    pub(super) fn remove(&mut self, id: ConnId) -> Option<Box<Conn>> {
        let taken = self.row.get_mut(place(id)).and_then(|at| at.take_if(|(near, _)| *near == id));
        let Some((_, conn)) = taken else { return self.far.remove(&id) };
        self.near -= 1;
        while let Some(None) = self.row.last() {
            self.row.pop();
        }
        // What a crowd has needed is not kept for the few that come one by one.
        if self.row.len() * 4 < self.row.capacity() && self.row.capacity() > ROW_MIN {
            self.row.shrink_to(self.row.len() * 2);
        }
        Some(conn)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &Conn)> {
        let near = self.row.iter().flatten().map(|(id, conn)| (*id, conn.as_ref()));
        near.chain(self.far.iter().map(|(id, conn)| (*id, conn.as_ref())))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Conn> {
        self.row
            .iter_mut()
            .flatten()
            .map(|(_, conn)| conn.as_mut())
            .chain(self.far.values_mut().map(Box::as_mut))
    }

    pub(super) fn ids(&self) -> Vec<ConnId> {
        self.iter().map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bucket, Stage};
    use super::*;
    use crate::rng::Rng;
    use crate::time::Instant;
    use crate::tracker::server::Rate;

    fn conn(mark: u64) -> Box<Conn> {
        let bucket = Bucket::new(Rate { per_minute: 1, burst: 1 }, Instant::ZERO);
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&mark.to_le_bytes());
        let stage = Stage::Challenged { nonce };
        let (messages, patience) = (bucket, bucket);
        Box::new(Conn {
            address: None,
            origin: None,
            bearer: None,
            elsewhere: [None; 2],
            stage,
            messages,
            patience,
        })
    }

    fn mark(conn: &Conn) -> Option<u64> {
        let Stage::Challenged { nonce } = &conn.stage else { return None };
        nonce.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// Places that are used again, places of sockets elsewhere, and ids from anywhere.
    #[test]
    fn it_is_a_map() {
        let mut rng = Rng::new([4; 32]);
        let (mut conns, mut model) = (Conns::default(), BTreeMap::new());
        for serial in 0..20_000_u64 {
            let places = if serial / 4000 % 2 == 0 { 600 } else { 30 };
            let low = match rng.below(12) {
                0 => 0xffff_ffff,
                1 => rng.below(0xffff_ffff),
                _ => rng.below(places),
            };
            let id = ConnId(serial << 32 | low);
            conns.insert(id, conn(serial));
            model.insert(id, serial);
            while model.len() as u64 > places / 2 {
                let at = usize::try_from(rng.below(model.len() as u64)).unwrap();
                let id = *model.keys().nth(at).unwrap();
                let gone = model.remove(&id);
                assert_eq!(conns.remove(id).as_deref().and_then(mark), gone);
                assert!(!conns.contains(id) && conns.get_mut(id).is_none() && conns.remove(id).is_none());
            }
            assert_eq!((conns.len(), conns.is_empty()), (model.len(), model.is_empty()));
            assert_eq!(conns.get(id).and_then(mark), model.get(&id).copied());
        }
        let mut ids = conns.ids();
        ids.sort_unstable();
        assert!(ids.iter().eq(model.keys()) && conns.iter_mut().count() == ids.len());
        assert!(ids.iter().all(|id| conns.get(*id).and_then(mark) == Some(model[id])));
        assert!(!conns.far.is_empty() && conns.near > 0, "both kinds were there");
        ids.into_iter().for_each(|id| drop(conns.remove(id)));
        assert!(conns.row.is_empty() && conns.row.capacity() <= ROW_MIN);
    }
}
