//! Ranged HTTP. Never reads more than was asked for; what the bytes are worth is for the node to prove.

use crate::convert::{Plain, get};
use crate::host::Ended;
use crate::task::settled;
use js_sys::{Promise, Uint8Array};
use swarmlet_core::Failure;
use swarmlet_core::content::http::{Take, judge};
use swarmlet_core::util::text;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{AbortSignal, ReadableStreamDefaultReader, Response};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch, catch)]
    fn begin(url: &str, init: &JsValue) -> Result<Promise, JsValue>;
}

/// Fetches bytes `start..end` of a resource of `total` bytes.
pub(crate) async fn range(url: String, start: u64, end: u64, total: u64, signal: AbortSignal) -> Ended {
    let web = url.starts_with("https://") || url.starts_with("http://");
    if !web || start >= end {
        return Ended::Failed(Failure::Unsupported);
    }
    let mut range = String::from("bytes=");
    text::push_number(&mut range, start);
    range.push('-');
    text::push_number(&mut range, end - 1);
    let headers = Plain::new().set("range", range).done();
    // The browser's cache would keep a second copy, and Chromium begins ranges of one file in parallel several times over:
    // 8 % more from the server.
    let init = Plain::new().set("headers", headers).set("signal", signal).set("cache", "no-store").done();
    let answer = match begin(&url, &init) {
        Ok(promise) => settled(&promise).await,
        Err(error) => Err(error),
    };
    let Ok(response) = answer else { return Ended::Failed(Failure::Network) };
    let response: Response = response.unchecked_into();
    let status = response.status();
    let content_range = response.headers().get("content-range").ok().flatten();
    match judge(status, content_range.as_deref(), start, end, total) {
        Take::Missing => {
            cancel(&response);
            Ended::Missing
        }
        Take::Refuse => {
            cancel(&response);
            Ended::Failed(Failure::Status(status))
        }
        Take::Body { skip, length, rest } => body(&response, skip, length, rest).await,
    }
}

fn cancel(response: &Response) {
    if let Some(stream) = response.body() {
        drop(stream.cancel());
    }
}

/// Reads a body chunk by chunk and stops at the first byte too many.
async fn body(response: &Response, skip: u64, length: u64, rest: u64) -> Ended {
    let wrong = Ended::Failed(Failure::Status(response.status()));
    let Some(stream) = response.body() else { return wrong };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let whole = skip.saturating_add(length).saturating_add(rest);
    let mut seen = 0_u64;
    // The length is bounded by the node's own request, not by the server.
    let mut out = Vec::with_capacity(length as usize);
    loop {
        let Ok(step) = settled(&reader.read()).await else { return Ended::Failed(Failure::Network) };
        let Ok(chunk) = get(&step, "value").dyn_into::<Uint8Array>() else { break };
        let size = u64::from(chunk.length());
        if seen + size > whole {
            drop(reader.cancel());
            return wrong;
        }
        // The part of the range that lies in this chunk.
        let from = skip.clamp(seen, seen + size) - seen;
        let to = (skip + length).clamp(seen, seen + size) - seen;
        if from < to {
            let at = out.len();
            out.resize(at + (to - from) as usize, 0);
            chunk.subarray(from as u32, to as u32).copy_to(&mut out[at..]);
        }
        seen += size;
    }
    if seen == whole && out.len() as u64 == length { Ended::Bytes(out) } else { wrong }
}
