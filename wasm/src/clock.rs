//! Time: `performance.now()` as the node's clock, and one `setTimeout` as its alarm.

use core::cell::Cell;
use js_sys::Function;
use swarmlet_core::Instant;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, millis: f64) -> i32;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: i32);
}

/// The longest delay that `setTimeout` does not cut to zero is 2^31 ms; an hour is early, which does no harm.
const DELAY_MS_MAX: f64 = 3_600_000.0;

/// Microseconds since this worker began.
#[must_use]
pub fn now() -> Instant {
    Instant::from_micros((performance_now() * 1000.0) as u64)
}

/// One alarm clock. Ringing early is allowed, so it is only set again when the next deadline is sooner:
/// a message each fraction of a millisecond must not cost two timer calls each.
pub(crate) struct Alarm {
    ring: Closure<dyn FnMut()>,
    set: Cell<Option<(i32, Instant)>>,
}

impl Alarm {
    pub(crate) fn new(ring: impl FnMut() + 'static) -> Self {
        Self { ring: Closure::new(ring), set: Cell::new(None) }
    }

    /// To be called when it rang.
    pub(crate) fn rang(&self) {
        self.set.set(None);
    }

    /// Rings at `due` at the latest. `None`: an alarm that is set may still ring.
    pub(crate) fn set(&self, due: Option<Instant>, now: Instant) {
        let Some(due) = due else { return };
        if let Some((id, at)) = self.set.get() {
            if at <= due {
                return;
            }
            clear_timeout(id);
        }
        // Rounded up, or the last fraction of a millisecond would be spun away.
        let millis = (due.since(now).as_micros() as f64 / 1000.0).ceil().min(DELAY_MS_MAX);
        self.set.set(Some((set_timeout(self.ring.as_ref().unchecked_ref(), millis), due)));
    }
}
