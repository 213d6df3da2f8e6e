//! What a client counts, told through the `metrics` facade.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use longhaul::testing::{reply, script};
use longhaul::{Limit, RetryPolicy};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// Keeps every number by its name and labels.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<BTreeMap<String, Vec<f64>>>>);

struct Handle(Kept, String);

impl Kept {
    fn handle(&self, key: &Key) -> Arc<Handle> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(Handle(self.clone(), format!("{}{{{}}}", key.name(), labels.join(","))))
    }

    fn values(&self, name: &str) -> Vec<f64> {
        self.0.lock().unwrap().get(name).cloned().unwrap_or_default()
    }

    fn sum(&self, name: &str) -> f64 {
        self.values(name).iter().sum()
    }

    fn text(&self) -> String {
        format!("{:#?}", self.0.lock().unwrap())
    }
}

impl Handle {
    fn push(&self, value: f64) {
        self.0.0.lock().unwrap().entry(self.1.clone()).or_default().push(value);
    }
}

impl CounterFn for Handle {
    fn increment(&self, value: u64) {
        self.push(value as f64);
    }

    fn absolute(&self, _: u64) {
        unreachable!("longhaul only counts up");
    }
}

impl GaugeFn for Handle {
    fn increment(&self, value: f64) {
        self.push(value);
    }

    fn decrement(&self, value: f64) {
        self.push(-value);
    }

    fn set(&self, value: f64) {
        self.push(value);
    }
}

impl HistogramFn for Handle {
    fn record(&self, value: f64) {
        self.push(value);
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.handle(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.handle(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.handle(key))
    }
}

#[test]
fn what_happens_is_told_as_it_happens_with_its_labels() {
    let kept = Kept::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    metrics::with_local_recorder(&kept, || {
        runtime.block_on(async {
            let service = script([
                reply(202).header("location", "/v1/tasks/7?sig=S3CRET").after(Duration::from_millis(250)),
                reply(429).header("retry-after", "2"),
                reply(200).json(7),
                reply(0).lost(),
                reply(200),
            ]);
            let retry = RetryPolicy::standard();
            let client = service.client().retry(retry).limit(Limit::per_minute(10)).build().unwrap();
            client.task().post("exports").submit::<u32>().await.unwrap().await.unwrap();
            client.request(Method::GET, "farms").send().await.unwrap();
            let task = client.task().post("exports").submit::<u32>().await;
            drop(task);
        });
    });
    let (limit, host) = ("10 per 60s of the account", "host=api.example.com");
    let (polls, submits) = ("route=GET api.example.com/v1/tasks/*", "route=POST api.example.com/v1/exports");
    for (name, sum) in [
        ("longhaul.requests{class=submit}".to_owned(), 2.0),
        ("longhaul.requests{class=poll}".to_owned(), 2.0),
        ("longhaul.requests{class=call}".to_owned(), 2.0),
        (format!("longhaul.answers{{{polls},{host},status_class=4xx,status=429}}"), 1.0),
        (format!("longhaul.answers{{{polls},{host},status_class=2xx,status=200}}"), 1.0),
        (format!("longhaul.broken{{route=GET api.example.com/v1/farms,{host},reason=lost}}"), 1.0),
        (format!("longhaul.refused{{limit={limit},cause=within_known_limits}}"), 1.0),
        (format!("longhaul.pauses{{limit={limit}}}"), 1.0),
        ("longhaul.retries{reason=lost}".to_owned(), 1.0),
        ("longhaul.tasks_ended{state=succeeded}".to_owned(), 1.0),
        ("longhaul.tasks{state=accepted}".to_owned(), 0.0),
        ("longhaul.alerts{severity=warning,alert=throttled}".to_owned(), 1.0),
    ] {
        assert!(!kept.values(&name).is_empty(), "{name} is not told: {}", kept.text());
        assert_eq!(kept.sum(&name), sum, "{name}: {}", kept.text());
    }
    assert_eq!(kept.values(&format!("longhaul.latency{{{submits},{host}}}"))[0], 0.25, "in seconds");
    assert_eq!(kept.values(&format!("longhaul.limit_use{{limit={limit}}}"))[0], 0.1);
    assert!(!kept.text().contains("S3CRET"), "{}", kept.text());
}
