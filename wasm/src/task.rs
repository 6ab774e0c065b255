//! Tasks that wait for promises of the browser's. wasm-bindgen's own executor also suspends, streams and shares
//! threads, which would be some kilobytes more to download.

use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::cell::RefCell;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use js_sys::{Function, Promise};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = queueMicrotask)]
    fn soon(step: &Function);
    type Thenable;
    #[wasm_bindgen(method)]
    fn then(this: &Thenable, kept: &Function, broken: &Function);
}

/// A function that polls a task.
struct Step(Function);

impl Wake for Step {
    fn wake(self: Arc<Self>) {
        soon(&self.0);
    }
}

/// What must live as long as a task does.
type Held = Rc<RefCell<Option<(Closure<dyn FnMut()>, Waker)>>>;

/// Begins a task, once the code that is running now has ended.
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    // One kind of future, so that there is one kind of everything below.
    let mut task: Pin<Box<dyn Future<Output = ()>>> = Box::pin(task);
    let held = Held::default();
    let own = held.clone();
    let step = Closure::new(move || {
        let waker = own.borrow().as_ref().map(|(_, waker)| waker.clone());
        let Some(waker) = waker else { return };
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            // This closure with all that it holds ends when this call of it does.
            drop(own.take());
        }
    });
    let function: &Function = step.as_ref().unchecked_ref();
    let waker = Waker::from(Arc::new(Step(function.clone())));
    soon(function);
    held.replace(Some((step, waker)));
}

/// Waits until a promise settles.
pub(crate) fn settled(promise: &Promise) -> Settled {
    let state = Rc::new(RefCell::new(State::default()));
    let on = |wrap: fn(JsValue) -> Result<JsValue, JsValue>| {
        let state = state.clone();
        Closure::<dyn FnMut(JsValue)>::new(move |value| {
            let mut state = state.borrow_mut();
            state.result = Some(wrap(value));
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        })
    };
    let ends = [on(Ok), on(Err)];
    let [kept, broken] = ends.each_ref().map(|end| end.as_ref().unchecked_ref());
    promise.unchecked_ref::<Thenable>().then(kept, broken);
    Settled { state, _ends: ends }
}

/// See [`settled`].
pub(crate) struct Settled {
    state: Rc<RefCell<State>>,
    _ends: [Closure<dyn FnMut(JsValue)>; 2],
}

#[derive(Default)]
struct State {
    result: Option<Result<JsValue, JsValue>>,
    waker: Option<Waker>,
}

impl Future for Settled {
    type Output = Result<JsValue, JsValue>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.state.borrow_mut();
        if let Some(result) = state.result.take() {
            return Poll::Ready(result);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
