//! Ranged HTTP. Never reads more than was asked for; what the bytes are worth is for the node to prove.

use crate::convert::Plain;
use crate::host::Ended;
use crate::task::settled;
use js_sys::{Promise, Uint8Array};
use swarmlet_core::Failure;
use swarmlet_core::content::http::{Take, judge};
use swarmlet_core::util::text;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{AbortSignal, Response};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch, catch)]
    fn begin(url: &str, init: &JsValue) -> Result<Promise, JsValue>;
    /// `www/worker/body.js`: `undefined` when the body is not as long as it should be.
    #[wasm_bindgen(js_namespace = self, js_name = readBody)]
    fn read_body(response: &Response, skip: f64, length: f64, rest: f64) -> Promise;
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
            drop(read_body(&response, 0.0, 0.0, 0.0));
            Ended::Missing
        }
        Take::Refuse => {
            drop(read_body(&response, 0.0, 0.0, 0.0));
            Ended::Failed(Failure::Status(status))
        }
        // The length is bounded by the node's own request, not by the server.
        Take::Body { skip, length, rest } => {
            match settled(&read_body(&response, skip as f64, length as f64, rest as f64)).await {
                Ok(bytes) => match bytes.dyn_ref::<Uint8Array>() {
                    Some(bytes) => Ended::Bytes(bytes.to_vec()),
                    None => Ended::Failed(Failure::Status(status)),
                },
                Err(_) => Ended::Failed(Failure::Network),
            }
        }
    }
}
