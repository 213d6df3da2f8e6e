//! The table of metrics in docs/telemetry.md, beside what Prometheus gets and what the dashboard and the rules ask for.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use longhaul::testing::{self, Simulator};
use longhaul::{Client, Credential, Limit, OAuth, RetryPolicy};
use longhaul_prometheus::{export, serve_metrics};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::test]
async fn everything_in_the_table_can_be_scraped() -> Outcome {
    let address = free_address()?;
    serve_metrics(address)?;
    exports_under_a_wrong_limit().await?;
    nothing_listens_there().await?;
    wrong_secret().await?;

    let scraped = samples(&scrape(address).await?);
    for (name, labels) in documented() {
        let found = scraped.get(&name).ok_or_else(|| format!("no sample of {name}"))?;
        assert!(found.contains(&labels), "{name} has the labels {found:?}, and is documented with {labels:?}");
        assert_eq!(found.len(), 1, "{name} has other labels, too: {found:?}");
    }
    let unknown: Vec<_> = scraped.keys().filter(|name| !documented().contains_key(*name)).collect();
    assert!(unknown.is_empty(), "not documented: {unknown:?}");
    Ok(())
}

#[test]
fn the_dashboard_asks_for_documented_metrics_alone() -> Outcome {
    let dashboard: Value = serde_json::from_str(&read("docs/dashboards/longhaul.json"))?;
    let mut asked = BTreeSet::new();
    for panel in dashboard["panels"].as_array().ok_or("no panels")? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            asked.extend(selectors(target["expr"].as_str().ok_or("a target without a query")?));
        }
    }
    let documented = documented();
    check(&asked, &documented);
    let shown: BTreeSet<_> = asked.iter().map(|(name, _)| base(name)).collect();
    let hidden: Vec<_> = documented.keys().filter(|name| !shown.contains(name.as_str())).collect();
    assert!(hidden.is_empty(), "no panel shows {hidden:?}");
    Ok(())
}

#[test]
fn the_rules_ask_for_documented_metrics_alone() {
    let rules = without_comments(&read("docs/dashboards/alerts.yml"));
    check(&selectors(&rules), &documented());

    let recorded: BTreeSet<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let names: BTreeSet<_> = rules.split(|c| !is_part(c)).filter(|word| word.starts_with("longhaul:")).collect();
    assert_eq!(names, recorded);
}

#[test]
fn each_alert_of_the_table_has_a_rule_with_its_threshold() {
    let (telemetry, rules) = (read("docs/telemetry.md"), read("docs/dashboards/alerts.yml"));
    let rules: BTreeMap<_, _> = rules.split("- alert: ").skip(1).filter_map(|rule| rule.split_once('\n')).collect();
    let mut documented = BTreeSet::new();
    let table = rows(&telemetry, "| alert | severity |");
    for row in &table {
        let [name, severity, begins, ..] = row.as_slice() else { panic!("a short row: {row:?}") };
        let name = name.trim_matches('`');
        let Some((_, words, threshold)) = THRESHOLDS.iter().find(|(alert, ..)| *alert == name) else {
            assert_eq!(name, "Daily", "an alert without a threshold here");
            continue;
        };
        let rule = rules.get(name).unwrap_or_else(|| panic!("no rule for {name}"));
        assert!(begins.contains(words), "{name} begins otherwise: {begins}");
        assert!(rule.contains(threshold), "{name} has no `{threshold}`: {rule}");
        assert!(rule.contains(&format!("severity: {severity}\n")), "{name} is {severity}");
        documented.insert(name);
    }
    assert_eq!(rules.keys().copied().collect::<BTreeSet<_>>(), documented);
}

/// An alert, words of its row in the table, and the same in its rule.
const THRESHOLDS: [(&str, &str, &str); 13] = [
    ("ThrottledForLong", "for 5 minutes", "for: 5m\n"),
    ("Unauthorized", "5 responses of 401", ">= 5\n"),
    ("Unavailable", "1 response of 503", ">= 1\n"),
    ("ErrorRate", "more than 10 %", "> 0.10\n"),
    ("LatencySpike", "3 times that of the hour before", ">= 3 * "),
    ("Throttled", "1 response of 429", ">= 1\n"),
    ("NearLimit", "80 %", ">= 0.80\n"),
    ("RefreshFailed", "could not be fetched or refreshed", ">= 1\n"),
    ("ErrorsRising", "twice as many", ">= 2 * "),
    ("LatencyRising", "1.5 times", ">= 1.5 * "),
    ("RunningForLong", "running for 24 hours", "running_for_long"),
    ("DeclaredTooHigh", "3 times in a day", "declared_too_high"),
    ("TokenNotRefreshed", "a minute at most", "token_not_refreshed"),
];

/// Submits, polls, results and tokens; and refusals, since the service allows half of what the client takes.
async fn exports_under_a_wrong_limit() -> Outcome {
    let second = Duration::from_secs(1);
    let service = Simulator::builder().limit(5, second).tokens(second * 60).task_duration(second).start().await?;
    let oauth = OAuth::client_credentials(service.token_url(), service.client_id(), service.client_secret());
    let key = Credential::api_key_header("Ocp-Apim-Subscription-Key", service.subscription_key());
    let client =
        testing::client(&service).credential(Credential::oauth(oauth).and(key)).limit(Limit::per_second(10)).build()?;
    for ended in join_all((0..10).map(|_| export(&client))).await {
        ended?;
    }
    // One that is still alive when it is looked at, and one that is gone.
    let task = client.task().post("exports").submit::<Value>().await?;
    drop(client.task().post("exports").submit::<Value>().await?);
    std::mem::forget(task);
    Ok(())
}

async fn nothing_listens_there() -> Outcome {
    let client =
        Client::builder(format!("http://{}", free_address()?)).no_proxy().retry(RetryPolicy::none()).build()?;
    assert!(client.get("farms").send().await.is_err());
    Ok(())
}

async fn wrong_secret() -> Outcome {
    let service = Simulator::builder().tokens(Duration::from_secs(60)).start().await?;
    let oauth = OAuth::client_credentials(service.token_url(), service.client_id(), "wrong");
    let client = testing::client(&service).credential(Credential::oauth(oauth)).build()?;
    assert!(client.get("farms").send().await.is_err());
    Ok(())
}

/// The metrics of the table, by their names at Prometheus, with the names of their labels.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let row = |row: Vec<String>| {
        let name = row.first()?.trim_matches('`').replace('.', "_");
        // Values of labels stand in parentheses.
        let labels = row.get(2)?.split('(').map(|part| part.rsplit(')').next().unwrap_or_default());
        let labels = labels.collect::<String>().split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some((name, labels))
    };
    let table: BTreeMap<_, _> =
        rows(&read("docs/telemetry.md"), "| name | kind |").into_iter().filter_map(row).collect();
    assert!(table.len() >= 16, "{table:?}");
    table
}

/// The cells of a table of docs/telemetry.md, below its head.
fn rows(text: &str, head: &str) -> Vec<Vec<String>> {
    let table = text.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    table
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// Names with the label sets that they come with. Parts of a histogram count as the histogram.
fn samples(text: &str) -> BTreeMap<String, BTreeSet<BTreeSet<String>>> {
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    for line in text.lines().filter(|line| line.starts_with("longhaul_")) {
        let (name, labels) = selectors(line).into_iter().next().unwrap();
        found.entry(base(&name).to_owned()).or_default().insert(&labels - &BTreeSet::from(["le".to_owned()]));
    }
    found
}

/// All `longhaul_name{label="..", ..}` in a text. Values may hold what would end a name elsewhere.
fn selectors(text: &str) -> BTreeSet<(String, BTreeSet<String>)> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("longhaul_") {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let mut labels = BTreeSet::new();
        if let Some(inner) = rest.strip_prefix('{') {
            let (mut label, mut quoted, mut escaped) = (String::new(), false, false);
            for c in inner.chars() {
                match c {
                    '"' if !escaped => quoted = !quoted,
                    '}' if !quoted => break,
                    '=' | '!' if !quoted && !label.is_empty() => drop(labels.insert(std::mem::take(&mut label))),
                    c if !quoted && (c.is_ascii_alphanumeric() || c == '_') => label.push(c),
                    _ => {}
                }
                escaped = c == '\\' && !escaped;
            }
        }
        found.insert((name.to_owned(), labels));
    }
    found
}

fn check(asked: &BTreeSet<(String, BTreeSet<String>)>, documented: &BTreeMap<String, BTreeSet<String>>) {
    assert!(!asked.is_empty());
    for (name, labels) in asked {
        let known = documented.get(base(name)).unwrap_or_else(|| panic!("{name} is not documented"));
        // Those of the scrape are Prometheus's own.
        let labels: BTreeSet<_> =
            labels.iter().filter(|label| !["job", "instance"].contains(&label.as_str())).collect();
        assert!(
            labels.iter().all(|label| known.contains(*label)),
            "{name} is asked for with {labels:?}, and has {known:?}"
        );
    }
}

/// The histogram that a series is part of.
fn base(name: &str) -> &str {
    let parts = ["_bucket", "_sum", "_count"];
    parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name)
}

fn without_comments(yaml: &str) -> String {
    yaml.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| [line, "\n"]).collect()
}

async fn scrape(address: SocketAddr) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    Ok(text)
}

/// An address that nothing listens at, now.
fn free_address() -> Result<SocketAddr, std::io::Error> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)).unwrap()
}
