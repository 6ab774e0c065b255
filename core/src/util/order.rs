//! Sorting, once: the standard library's sorts are made anew, 3 to 5 KB of code, for each type that is sorted.

use alloc::vec::Vec;

/// The numbers below `len` in the order that `less` says: a heap sort, n log n at worst, not stable.
#[must_use]
pub fn order(len: usize, less: &dyn Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut items: Vec<usize> = (0..len).collect();
    for top in (0..len / 2).rev() {
        sift(&mut items, top, less);
    }
    for end in (1..len).rev() {
        items.swap(0, end);
        sift(&mut items[..end], 0, less);
    }
    items
}

/// Lets the item at `top` sink until neither child is greater.
fn sift(items: &mut [usize], mut top: usize, less: &dyn Fn(usize, usize) -> bool) {
    loop {
        let mut child = 2 * top + 1;
        if child >= items.len() {
            return;
        }
        if child + 1 < items.len() && less(items[child], items[child + 1]) {
            child += 1;
        }
        if !less(items[top], items[child]) {
            return;
        }
        items.swap(top, child);
        top = child;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_sorts(values in prop::collection::vec(0u16..50, 0..100)) {
            let order = order(values.len(), &|a, b| values[a] < values[b]);
            let ours: Vec<u16> = order.iter().map(|at| values[*at]).collect();
            let mut theirs = values;
            theirs.sort_unstable();
            prop_assert_eq!(ours, theirs);
        }
    }
}
