//! What came of a scene.

use super::LoadOptions;
use super::process::Usage;
use super::scenes::Tally;
use serde_json::{Map, Value, json};

/// Figures by name, in the order in which they were found.
pub(super) struct Report(Map<String, Value>);

impl Report {
    pub(super) fn new(options: &LoadOptions) -> Self {
        let mut map = Map::new();
        map.insert("scene".to_owned(), format!("{:?}", options.scene).to_lowercase().into());
        map.insert("speech".to_owned(), format!("{:?}", options.speech).to_lowercase().into());
        map.insert("connections".to_owned(), options.connections.into());
        Self(map)
    }

    pub(super) fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// A number with three decimals at most.
    pub(super) fn rate(&mut self, name: &str, count: f64, seconds: f64) {
        self.put(name, json!((count / seconds.max(1e-9) * 1000.0).round() / 1000.0));
    }

    /// Percentiles in milliseconds.
    pub(super) fn latency(&mut self, name: &str, micros: &mut [u64]) {
        micros.sort_unstable();
        let at = |share: f64| {
            let index = ((micros.len() as f64 * share) as usize).min(micros.len().saturating_sub(1));
            micros.get(index).map_or(Value::Null, |micros| json!(*micros as f64 / 1000.0))
        };
        let value = json!({ "count": micros.len(), "p50": at(0.5), "p99": at(0.99), "p999": at(0.999) });
        self.put(name, value);
    }

    /// How clients at a rate have fared.
    pub(super) fn tally(&mut self, name: &str, tally: &Tally) {
        self.put(&format!("{name}_announces"), tally.sent);
        self.put(&format!("{name}_answers"), tally.answers);
        self.latency(&format!("{name}_offer_ms"), &mut tally.times.clone());
    }

    /// What the server's process has used in between.
    pub(super) fn usage(&mut self, before: Option<Usage>, after: Option<Usage>, works: f64) {
        let (Some(before), Some(after)) = (before, after) else { return };
        self.rate("server_cpu_us_each", (after.cpu - before.cpu) * 1e6, works);
        self.put("server_rss_kib", json!({ "before": before.rss / 1024, "after": after.rss / 1024 }));
    }

    pub(super) fn into_line(self) -> String {
        format!("{}\n", Value::Object(self.0))
    }
}
