//! The operator's side: metrics, health and a page to look at, on a listener of its own.

use crate::{State, http, metrics, savings};
use axum::Router;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use core::fmt::Write as _;
use core::time::Duration;
use std::sync::Arc;
use swarmlet_core::tracker::server::{CloseReason, ServerSnapshot, TokenFault};
use swarmlet_core::wire::Refusal;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'";
const STYLE: &str = include_str!("admin.css");

/// Serves until `ending`.
pub(crate) async fn run(state: Arc<State>, listener: TcpListener, ending: CancellationToken) {
    let router = Router::new()
        .route("/", get(page))
        .route("/sites", get(sites))
        .route("/status.css", get(async || ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)))
        .route("/metrics", get(scrape))
        .route("/healthz", get(health))
        .route("/readyz", get(http::readyz))
        .with_state(state);
    let served = axum::serve(listener, router).with_graceful_shutdown(ending.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(event = "admin", %error);
    }
}

/// Alive, and what the other nodes are to it: a node without them is alive all the same.
async fn health(Shared(state): Shared<Arc<State>>) -> Response {
    let counts = tokio::time::timeout(Duration::from_secs(1), state.hub.count()).await.ok().flatten();
    let bus = counts.and_then(|counts| counts.tracker.bus);
    match bus {
        None => http::healthz(Shared(state)).await,
        Some(bus) if bus.up => format!("ok\nother nodes: {}\n", bus.nodes).into_response(),
        Some(_) => "ok\nother nodes: no way to them\n".into_response(),
    }
}

async fn scrape(Shared(state): Shared<Arc<State>>) -> Response {
    match metrics::text(&state).await {
        Some(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "stuck\n").into_response(),
    }
}

async fn page(Shared(state): Shared<Arc<State>>) -> Response {
    let counts = tokio::time::timeout(Duration::from_secs(1), state.hub.count()).await.ok().flatten();
    let stuck = || "<p class=bad>The hub does not answer.</p>".to_owned();
    let body = counts.map_or_else(stuck, |counts| tables(&state, &counts.tracker));
    document("Swarmlet signaller", 5, &body)
}

/// What sites save.
async fn sites(Shared(state): Shared<Arc<State>>) -> Response {
    document("What sites save", 60, &savings::page(&state))
}

fn document(title: &str, again: u32, body: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let text = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content='width=device-width'><meta http-equiv=refresh content={again}>\
         <title>{title}</title><link rel=stylesheet href=/status.css>\
         <h1>{title}</h1>{body}\
         <p class=note>Looks again every {again} seconds. See also: <a href=/>server</a>, <a href=/sites>sites</a>, <a href=/metrics>metrics</a></p></html>"
    );
    (headers, text).into_response()
}

/// Only numbers and words of ours: nothing here needs escaping.
fn tables(state: &State, c: &ServerSnapshot) -> String {
    let config = state.config();
    let yes = |flag: bool, yes: &str, no: &str| if flag { yes.to_owned() } else { no.to_owned() };
    let days = |seconds: i64| format!("{} days", seconds / 86_400);
    let mut out = String::new();
    let general = [
        ("State", yes(c.draining, "draining", "serving")),
        ("Version", env!("CARGO_PKG_VERSION").to_owned()),
        ("Running for", span(state.started.elapsed().as_secs())),
        ("Certificate ends in", metrics::certificate_seconds(state).map_or("no TLS here".to_owned(), days)),
        ("Tokens", yes(config.tokens.is_empty(), "not asked for", "asked for")),
        ("Served", yes(state.is_listed(), "listed contents only", "everything")),
    ];
    table(&mut out, "Server", general.into_iter());
    if let Some(bus) = c.bus {
        let dropped = state.bus.as_ref().map_or(0, |bus| bus.dropped());
        let rows = [
            ("Way to other nodes", yes(bus.up, "open", "none: this node serves its own clients")),
            ("Other nodes", bus.nodes.to_string()),
            ("There and back", format!("{:.1} ms", Duration::from_micros(bus.lag_us).as_secs_f64() * 1000.0)),
            ("Messages out, in", format!("{}, {}", bus.said, bus.heard)),
            ("Not carried", dropped.to_string()),
        ];
        table(&mut out, "Cluster", rows.into_iter());
    }
    let now = [
        ("WebSockets", of(c.connections, config.limits.connections_max)),
        ("Peers with a proven key", c.peers.to_string()),
        ("Swarms", of(c.swarms, config.limits.swarms_max)),
        ("Memberships", of(c.memberships, config.limits.memberships_max)),
    ];
    table(&mut out, "Now", now.into_iter());
    let since = [
        ("WebSockets", c.opened.to_string()),
        ("Messages in", c.messages.iter().sum::<u64>().to_string()),
        ("Messages out", c.messages_out.to_string()),
        ("Bytes in", c.bytes_in.to_string()),
        ("Bytes out", c.bytes_out.to_string()),
        ("Announces", c.announces.to_string()),
        ("Signals passed on", c.relays.iter().sum::<u64>().to_string()),
        ("Candidates not passed on", c.candidates_dropped.to_string()),
    ];
    table(&mut out, "Since the start", since.into_iter());
    table(&mut out, "Refused", some(Refusal::ALL.map(|r| (r.name(), c.refusals[r as usize]))));
    let faults = TokenFault::ALL.map(|f| (f.name(), c.token_faults[f as usize]));
    table(&mut out, "Tokens that were not good", some(faults));
    table(&mut out, "Closed by this side", some(CloseReason::ALL.map(|r| (r.name(), c.closes[r as usize]))));
    out
}

fn some<const N: usize>(counts: [(&'static str, u64); N]) -> impl Iterator<Item = (&'static str, String)> {
    counts.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, count.to_string()))
}

fn of(count: u32, most: u32) -> String {
    format!("{count} of {most}")
}

fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    format!("{days} d {hours} h {minutes} min")
}

fn table(out: &mut String, title: &str, rows: impl Iterator<Item = (&'static str, String)>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    let _ = write!(out, "<section><h2>{title}</h2><table>");
    for (name, value) in rows {
        let _ = write!(out, "<tr><th scope=row>{name}<td>{value}");
    }
    out.push_str("</table></section>");
}
