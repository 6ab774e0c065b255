//! What a crowd has needed goes back to the system when the crowd is gone. The allocator keeps freed pages otherwise, and a
//! server would show for days what one bad minute took.

/// Fewer connections than this free too little to be looked for.
const CROWD: usize = 256;

/// The most connections there were since memory was last given back.
#[derive(Debug, Default)]
pub(crate) struct Tide {
    high: usize,
}

impl Tide {
    /// Whether there is a crowd that may leave.
    pub(crate) const fn is_high(&self) -> bool {
        self.high >= CROWD
    }

    /// Whether most of a crowd has left since this last said so.
    pub(crate) fn has_ebbed(&mut self, connections: usize) -> bool {
        self.high = self.high.max(connections);
        let ebbed = self.high - connections >= CROWD && connections <= self.high / 2;
        if ebbed {
            self.high = connections;
        }
        ebbed
    }
}

/// Has the allocator give back every page that nothing is on.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn give_back() {
    #[allow(unsafe_code, reason = "a call without arguments that point anywhere; there is no safe way to it")]
    // SAFETY: malloc_trim may be called by any thread at any time (malloc_trim(3): MT-Safe).
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other allocators do it by themselves, or not at all.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) const fn give_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_for_each_crowd_that_leaves() {
        let mut tide = Tide::default();
        let steps = [
            (10, false),
            (0, false),
            (1000, false),
            (600, false),
            (500, true),
            (400, false),
            (0, true),
            (0, false),
        ];
        for (connections, ebbed) in steps {
            assert_eq!(tide.has_ebbed(connections), ebbed, "{connections}");
        }
    }
}
