//! The journal of a file that was fetched out of order: exactly what is missing or damaged comes again.

use super::*;

const TOTAL: usize = 4_000_000;

/// Leaves the part of a download over several connections, and returns its content.
async fn with_holes(folder: &Folder) -> Bytes {
    let content = fastrand_bytes(TOTAL);
    let depot = Depot::new(content.clone(), |_, answer| answer.rate(100_000));
    let download = depot.client().download(LINK).part_size(64 << 10).timeout(secs(5));
    let error = download.to_file(folder.at("7")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    content
}

fn journal(folder: &Folder) -> Value {
    serde_json::from_slice(&folder.read("7.part.json")).unwrap()
}

/// The runs of a journal.
fn runs(journal: &Value) -> Vec<(usize, usize)> {
    let number = |run: &Value, name: &str| usize::try_from(run[name].as_u64().unwrap()).unwrap();
    journal["runs"].as_array().unwrap().iter().map(|run| (number(run, "start"), number(run, "end"))).collect()
}

/// The ranges that are missing beside these runs.
fn gaps(runs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut at = 0;
    let mut gaps = Vec::new();
    for (start, end) in runs.iter().copied().chain([(TOTAL, TOTAL)]) {
        if at < start {
            gaps.push((at, start));
        }
        at = end;
    }
    gaps
}

/// Goes on with one connection, and returns the receipt and the ranges that were asked for.
async fn go_on(folder: &Folder, content: &Bytes) -> (Receipt, Vec<(usize, usize)>) {
    let depot = Depot::new(content.clone(), |_, answer| answer);
    let receipt = depot.client().download(LINK).connections(1).to_file(folder.at("7")).await.unwrap();
    assert!(folder.read("7") == *content, "other bytes");
    assert_eq!(folder.names(), ["7"]);
    let asks = depot.asks().iter().map(|ask| (ask.first, ask.end)).collect();
    assert_eq!(depot.sent() as u64, TOTAL as u64 - receipt.resumed_at());
    (receipt, asks)
}

#[tokio::test(start_paused = true)]
async fn a_part_with_holes_is_filled_exactly() {
    let folder = Folder::new();
    let content = with_holes(&folder).await;
    let runs = runs(&journal(&folder));
    assert!(runs.len() > 2, "{runs:?}");
    let (receipt, asks) = go_on(&folder, &content).await;
    assert_eq!(asks, gaps(&runs));
    assert_eq!(receipt.resumed_at(), runs.iter().map(|(start, end)| (end - start) as u64).sum::<u64>());
}

#[tokio::test(start_paused = true)]
async fn a_part_with_holes_is_filled_by_several_connections_too() {
    let folder = Folder::new();
    let content = with_holes(&folder).await;
    let depot = Depot::new(content.clone(), |_, answer| answer.rate(100_000).cut(130_000));
    let receipt = depot.client().download(LINK).part_size(64 << 10).to_file(folder.at("7")).await.unwrap();
    assert!(folder.read("7") == content, "other bytes");
    assert!(receipt.connections() > 1 && receipt.resumed_at() > 0, "{receipt:?}");
    let missing = TOTAL - usize::try_from(receipt.resumed_at()).unwrap();
    assert!(depot.sent() <= missing + depot.asks().len() * CHUNK, "{} of {missing}", depot.sent());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_run_is_fetched_again_and_only_it() {
    let folder = Folder::new();
    let content = with_holes(&folder).await;
    let mut runs = runs(&journal(&folder));
    let (start, end) = runs.remove(1);
    let mut part = folder.read("7.part");
    part[(start + end) / 2] ^= 1;
    folder.write("7.part", part);
    let (_, asks) = go_on(&folder, &content).await;
    assert_eq!(asks, gaps(&runs));
}

#[tokio::test(start_paused = true)]
async fn bytes_between_the_runs_are_not_trusted() {
    let folder = Folder::new();
    let content = with_holes(&folder).await;
    let runs = runs(&journal(&folder));
    let mut part = folder.read("7.part");
    part.resize(TOTAL, 0);
    for (start, end) in gaps(&runs) {
        part[start..end].fill(0x55);
    }
    folder.write("7.part", part);
    assert_eq!(go_on(&folder, &content).await.1, gaps(&runs));
}

#[tokio::test(start_paused = true)]
async fn a_journal_of_version_1_is_read() {
    let folder = Folder::new();
    let content = with_holes(&folder).await;
    let object = journal(&folder)["object"].clone();
    for member in ["pin", "identity"] {
        let old =
            json!({"version": 1, "object": object, member: {"etag": "\"v1\"", "total": TOTAL}, "synced": 1_000_000});
        folder.write("7.part", &content[..1_000_000]);
        folder.write("7.part.json", old.to_string());
        let (receipt, asks) = go_on(&folder, &content).await;
        assert_eq!((receipt.resumed_at(), asks), (1_000_000, vec![(1_000_000, TOTAL)]), "{member}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_with_holes_of_a_replaced_object_is_not_used() {
    let folder = Folder::new();
    with_holes(&folder).await;
    let other = fastrand_bytes(TOTAL);
    let depot = Depot::new(other.clone(), |ask, answer| match ask.header("if-match") {
        Some("\"v1\"") => Answer::of(412, ""),
        _ => answer.set("etag", "\"v2\""),
    });
    let receipt = depot.client().download(LINK).to_file(folder.at("7")).await.unwrap();
    assert_eq!(receipt.resumed_at(), 0);
    assert!(folder.read("7") == other, "other bytes");
}

#[tokio::test(start_paused = true)]
async fn a_slow_download_can_be_resumed_before_its_second_second_is_over() {
    for most in [1, 8] {
        let content = fastrand_bytes(TOTAL);
        let depot = Depot::new(content.clone(), |_, answer| answer.rate(50_000).pieces(5_000));
        let folder = Folder::new();
        let download = depot.client().download(LINK).connections(most).part_size(64 << 10);
        tokio::select! {
            ended = download.to_file(folder.at("7")) => panic!("it cannot end so soon: {ended:?}"),
            () = tokio::time::sleep(Duration::from_millis(1_900)) => {}
        }
        // What a kill would leave now: no drop has made it resumable.
        let runs = runs(&journal(&folder));
        let kept: usize = runs.iter().map(|(start, end)| end - start).sum();
        assert!(kept >= 5_000, "{most}: {runs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_with_a_weak_etag_goes_on_where_that_is_trusted() {
    let weak = |range: &str, body: &'static str| {
        bare_part(range, body).header("etag", "W/\"v1\"").header("last-modified", DATE).header("date", DATE)
    };
    for (first, second, resumed_at) in [(true, true, 4), (true, false, 0), (false, true, 0), (false, false, 0)] {
        let folder = Folder::new();
        let service = script([weak("0-9/10", "0123").cut(), reply(404)]);
        let client = service.client().build().unwrap();
        client.download(LINK).trust_weak_etags(first).to_file(folder.at("7")).await.unwrap_err();
        service.then(if resumed_at > 0 { weak("4-9/10", "456789") } else { weak("0-9/10", "0123456789") });
        let ended = client.download(LINK).trust_weak_etags(second).to_file(folder.at("7")).await;
        assert_eq!(ended.map(|receipt| receipt.resumed_at()).ok(), Some(resumed_at), "{first} then {second}");
        assert_eq!((folder.read("7").as_slice(), folder.names().len()), (TEN_BYTES, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_of_unknown_length_goes_on_too() {
    let content = fastrand_bytes(1_000_000);
    let endless = |_: &Ask, answer: Answer| answer.status(200).without("content-range").chunked().rate(100_000);
    type Rule = fn(&Ask, Answer) -> Answer;
    let rules: [(&str, Rule, bool); 5] = [
        ("a range", |_, answer| answer, true),
        (
            "a range without a total",
            |ask, answer| {
                let last = ask.end - 1;
                answer.set("content-range", format!("bytes {}-{last}/*", ask.first)).chunked()
            },
            true,
        ),
        ("all of it again", |_, answer| answer, true),
        ("another version", |_, answer| answer.set("etag", "\"v2\""), false),
        ("no validator", |_, answer| answer.without("etag"), false),
    ];
    for (why, rule, goes_on) in rules {
        let folder = Folder::new();
        let depot = Depot::new(content.clone(), endless);
        let download = depot.client().download(LINK).timeout(secs(5));
        download.to_file(folder.at("7")).await.unwrap_err();
        let whole = content.clone();
        let depot = Depot::new(content.clone(), move |ask, answer| match why {
            "a range" | "a range without a total" => rule(ask, answer),
            _ => rule(ask, answer.status(200).without("content-range").body(whole.clone()).chunked()),
        });
        let receipt = depot.client().download(LINK).to_file(folder.at("7")).await.unwrap();
        assert!(folder.read("7") == content, "{why}: other bytes");
        assert_eq!((receipt.resumed_at() > 0, receipt.bytes()), (goes_on, 1_000_000), "{why}: {receipt:?}");
        assert_eq!(folder.names(), ["7"], "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn runs_with_holes_of_a_result_of_unknown_length_begin_anew() {
    let folder = Folder::new();
    let content = with_holes(&folder).await;
    let mut journal = journal(&folder);
    journal["identity"].as_object_mut().unwrap().remove("total");
    folder.write("7.part.json", journal.to_string());
    let depot = Depot::new(content.clone(), |_, answer| answer);
    depot.client().download(LINK).to_file(folder.at("7")).await.unwrap();
    assert!(folder.read("7") == content, "other bytes");
    assert_eq!(folder.names(), ["7"]);
}
