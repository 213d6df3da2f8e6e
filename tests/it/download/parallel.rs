//! Several connections for one file: the right bytes, each once, whatever a later connection is answered.

use super::*;

const TOTAL: usize = 4_000_000;
/// Bytes a second of one connection: a file takes 40 seconds with one.
const EACH: usize = 100_000;

/// A file over up to eight connections.
async fn fetch(depot: &Depot, folder: &Folder) -> Result<Receipt, Error> {
    many(depot).to_file(folder.at("7")).await
}

fn many(depot: &Depot) -> Download {
    depot.client().download(LINK).part_size(64 << 10)
}

/// Checks a file against its content, and that nothing lies beside it.
fn assert_right(folder: &Folder, content: &[u8], why: &str) {
    assert!(folder.read("7") == content, "{why}: other bytes");
    assert_eq!(folder.names(), ["7"], "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_limits_each_connection_gets_eight_and_sends_each_byte_once() {
    for most in [1, 2, 3, 8] {
        let content = fastrand_bytes(TOTAL);
        let depot = Depot::new(content.clone(), |_, answer| answer.rate(EACH));
        let folder = Folder::new();
        let receipt = many(&depot).connections(most).to_file(folder.at("7")).await.unwrap();
        assert_right(&folder, &content, "capped");
        assert_eq!((receipt.connections(), depot.most_open(), receipt.reopened()), (most, most, 0));
        // A piece that was on its way when its end was taken over comes twice, at most once a request.
        assert!(depot.sent() <= TOTAL + depot.asks().len() * CHUNK, "{} bytes over {most}", depot.sent());
        assert!(depot.asks().iter().skip(1).all(|ask| ask.header("if-match") == Some("\"v1\"")), "{most}");
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_all_cut_cost_no_byte_twice() {
    let content = fastrand_bytes(TOTAL);
    let depot = Depot::new(content.clone(), |_, answer| answer.rate(EACH).cut(150_000));
    let folder = Folder::new();
    let receipt = fetch(&depot, &folder).await.unwrap();
    assert_right(&folder, &content, "cut");
    assert!(receipt.connections() > 1 && receipt.reopened() > 8, "{receipt:?}");
    assert!(depot.sent() <= TOTAL + depot.asks().len() * CHUNK, "{} bytes", depot.sent());
    assert!(depot.most_open() <= 8);
}

#[tokio::test(start_paused = true)]
async fn an_odd_answer_to_a_later_connection_ends_in_the_right_bytes() {
    type Rule = fn(&Ask, Answer) -> Answer;
    let rules: [(&str, Rule); 17] = [
        ("200", |_, answer| answer.without("content-range").status(200)),
        ("416", |_, _| Answer::of(416, "").set("etag", "\"v1\"")),
        ("416 with the total", |_, _| Answer::of(416, "").set("content-range", format!("bytes */{TOTAL}"))),
        ("400", |_, _| Answer::of(400, "no")),
        ("503", |_, _| Answer::of(503, "busy").set("retry-after", "1")),
        ("429", |_, _| Answer::of(429, "busy").set("retry-after", "1")),
        ("500", |_, _| Answer::of(500, "oops")),
        ("shifted ahead", |ask, answer| answer.ranged(ask.first + 1, ask.end, TOTAL)),
        ("a look-alike", |ask, answer| {
            answer.set("content-range", format!("bytes 1{}-{}/{TOTAL}", ask.first, ask.end))
        }),
        ("no Content-Range", |_, answer| answer.without("content-range")),
        ("no total", |ask, answer| answer.set("content-range", format!("bytes {}-{}", ask.first, ask.end - 1))),
        ("another unit", |ask, answer| answer.set("content-range", format!("items {}-{}/*", ask.first, ask.end - 1))),
        ("another case", |ask, answer| {
            answer.set("content-range", format!("Bytes={}-{}/{TOTAL}", ask.first, ask.end - 1))
        }),
        ("a part of what was asked for", |ask, answer| answer.ranged(ask.first, ask.first + 1_000, TOTAL).short(1_000)),
        ("never", |_, answer| answer.silent()),
        ("an empty body", |_, answer| answer.cut(0)),
        ("nothing but a head", |_, answer| answer.body("")),
    ];
    for (why, rule) in rules {
        let content = fastrand_bytes(TOTAL);
        let whole = content.clone();
        let depot = Depot::new(content.clone(), move |ask, answer| match ask.number {
            1 if why == "200" => rule(ask, answer).body(whole.clone()).rate(EACH),
            1 => rule(ask, answer).rate(EACH),
            _ => answer.rate(EACH),
        });
        let folder = Folder::new();
        let receipt = fetch(&depot, &folder).await.unwrap_or_else(|error| panic!("{why}: {error}"));
        assert_eq!(receipt.bytes(), TOTAL as u64, "{why}");
        assert_right(&folder, &content, why);
        assert!(depot.asks().len() > 1, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_on_a_later_connection_leaves_its_range_to_the_others() {
    for status in [401, 403, 404, 410, 400, 409, 422, 501] {
        let content = fastrand_bytes(TOTAL);
        let depot = Depot::new(content.clone(), move |ask, answer| match ask.number {
            3 => Answer::of(status, "no"),
            _ => answer.rate(EACH),
        });
        let folder = Folder::new();
        let receipt = fetch(&depot, &folder).await.unwrap_or_else(|error| panic!("{status}: {error}"));
        assert_eq!(receipt.bytes(), TOTAL as u64, "{status}");
        assert_right(&folder, &content, "a refusal");
    }
}

#[tokio::test(start_paused = true)]
async fn ranges_that_begin_at_a_block_are_not_taken_for_what_was_asked_for() {
    let content = fastrand_bytes(TOTAL);
    let whole = content.clone();
    // Each range begins at a multiple of 64 KiB, and says so.
    let depot = Depot::new(content.clone(), move |ask, answer| {
        let first = ask.first & !0xffff;
        answer.body(whole.slice(first..ask.end)).ranged(first, ask.end, TOTAL).rate(EACH).cut(500_000)
    });
    let folder = Folder::new();
    fetch(&depot, &folder).await.unwrap();
    assert_right(&folder, &content, "blocks");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_download_goes_on_with_all_that_its_connections_had() {
    let content = fastrand_bytes(TOTAL);
    let depot = Depot::new(content.clone(), |_, answer| answer.rate(EACH));
    let folder = Folder::new();
    for _ in 0..3 {
        tokio::select! {
            ended = fetch(&depot, &folder) => panic!("it cannot end so soon: {ended:?}"),
            () = tokio::time::sleep(Duration::from_millis(2_300)) => {}
        }
    }
    let receipt = fetch(&depot, &folder).await.unwrap();
    assert_right(&folder, &content, "dropped");
    assert!(receipt.resumed_at() > 800_000, "{receipt:?}");
    // Whatever was on its way at a drop comes again.
    assert!(depot.sent() <= TOTAL + depot.asks().len() * CHUNK, "{} bytes", depot.sent());
}

#[tokio::test(start_paused = true)]
async fn weak_etags_that_are_trusted_are_enough_for_several_connections() {
    for (second, is_same) in [("W/\"v1\"", true), ("W/\"v2\"", false)] {
        let content = fastrand_bytes(TOTAL);
        let depot = Depot::new(content.clone(), move |ask, answer| {
            let etag = if ask.number < 3 { "W/\"v1\"" } else { second };
            answer.set("etag", etag).set("last-modified", DATE).set("date", DATE).rate(EACH)
        });
        let folder = Folder::new();
        match many(&depot).trust_weak_etags(true).to_file(folder.at("7")).await {
            Ok(receipt) => {
                assert!(is_same && receipt.connections() > 1, "{receipt:?}");
                assert_right(&folder, &content, "weak");
            }
            Err(error) => assert!(!is_same && error.kind() == ErrorKind::ResultChanged, "{error}"),
        }
        assert!(depot.asks().iter().all(|ask| ask.header("if-match").is_none()));
    }
}

#[tokio::test(start_paused = true)]
async fn connections_to_the_api_itself_carry_its_credential_and_are_several_on_demand() {
    for (set, several) in [(None, false), (Some(8), true)] {
        let content = fastrand_bytes(TOTAL);
        let depot = Depot::new(content.clone(), |ask, answer| match ask.number {
            4 => Answer::of(503, "busy").set("retry-after", "1"),
            _ => answer.rate(EACH).cut(300_000),
        });
        let client = script([]).client().http(depot.clone()).credential(Credential::bearer("T0KEN")).build().unwrap();
        let folder = Folder::new();
        let download = client.download("https://api.example.com/v1/files/7").part_size(64 << 10);
        let download = if let Some(most) = set { download.connections(most) } else { download };
        let receipt = download.to_file(folder.at("7")).await.unwrap();
        assert_right(&folder, &content, "the API");
        assert_eq!(receipt.connections() > 1, several, "{receipt:?}");
        assert!(depot.asks().iter().all(|ask| ask.header("authorization") == Some("Bearer T0KEN")));
    }
}

#[tokio::test(start_paused = true)]
async fn another_object_on_a_later_connection_keeps_the_part() {
    type Rule = fn(&Ask, Answer) -> Answer;
    let rules: [(&str, Rule, ErrorKind); 2] = [
        ("another total", |ask, answer| answer.ranged(ask.first, ask.end, TOTAL + 1), ErrorKind::ResultChanged),
        ("412", |_, _| Answer::of(412, ""), ErrorKind::ResultChanged),
    ];
    for (why, rule, kind) in rules {
        let content = fastrand_bytes(TOTAL);
        let depot = Depot::new(content.clone(), move |ask, answer| match ask.number {
            3 => rule(ask, answer),
            _ => answer.rate(EACH),
        });
        let folder = Folder::new();
        let error = fetch(&depot, &folder).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{why}: {error}");
        assert_eq!(folder.names(), ["7.part", "7.part.json"], "{why}");
        let before = depot.sent();
        let receipt = fetch(&depot, &folder).await.unwrap();
        assert!(receipt.resumed_at() > 0, "{why}: {receipt:?}");
        assert_right(&folder, &content, why);
        let after = depot.sent() - before;
        assert!(after <= TOTAL - before + (depot.asks().len() + 8) * CHUNK, "{why}: {before} then {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_of_retry_after_on_a_later_connection_leaves_what_is_there() {
    let content = fastrand_bytes(TOTAL);
    let depot = Depot::new(content.clone(), |ask, answer| match ask.number {
        0 => answer.rate(EACH),
        1 => Answer::of(503, "busy").set("retry-after", "86400"),
        _ => answer,
    });
    let folder = Folder::new();
    let ended = fetch(&depot, &folder).await;
    match ended {
        Ok(_) => assert_right(&folder, &content, "it ended all the same"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
            assert!(error.retry_after().is_some_and(|wait| wait > secs(80_000)), "{error}");
            assert_eq!(folder.names(), ["7.part", "7.part.json"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_replaced_while_several_connections_are_open_is_never_spliced() {
    // The second version from the fourth request on: with a validator of its own, a weak one, none.
    type Mark = fn(Answer) -> Answer;
    let marks: [(&str, Mark, Mark); 7] = [
        ("strong", |answer| answer, |answer| answer.set("etag", "\"v2\"")),
        ("strong then weak", |answer| answer, |answer| answer.set("etag", "W/\"v2\"")),
        ("strong then the same, weak", |answer| answer, |answer| answer.set("etag", "W/\"v1\"")),
        ("strong then none", |answer| answer, |answer| answer.without("etag")),
        ("weak", |answer| answer.set("etag", "W/\"v1\""), |answer| answer.set("etag", "W/\"v2\"")),
        ("none", |answer| answer.without("etag"), |answer| answer.without("etag")),
        (
            "dated",
            |answer| answer.without("etag").set("last-modified", DATE).set("date", MUCH_LATER),
            |answer| answer.without("etag").set("last-modified", LATER).set("date", MUCH_LATER),
        ),
    ];
    for (why, old_mark, new_mark) in marks {
        let (old, new) = (fastrand_bytes(TOTAL), fastrand_bytes(TOTAL));
        let second = new.clone();
        let depot = Depot::new(old.clone(), move |ask, answer| {
            let answer = answer.rate(EACH);
            match ask.number {
                0..3 => old_mark(answer).cut(900_000),
                _ => new_mark(answer.body(second.slice(ask.first..ask.end))),
            }
        });
        let folder = Folder::new();
        for _ in 0..2 {
            match fetch(&depot, &folder).await {
                Ok(_) => {
                    assert_right(&folder, &new, why);
                    break;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::ResultChanged, "{why}: {error}"),
            }
        }
        assert_right(&folder, &new, why);
    }
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_keeps_a_condition_ends_it_too() {
    let (old, new) = (fastrand_bytes(TOTAL), fastrand_bytes(TOTAL));
    let second = new.clone();
    let depot = Depot::new(old, move |ask, answer| match (ask.number, ask.header("if-match")) {
        (0..4, _) => answer.rate(EACH).cut(900_000),
        (_, Some("\"v1\"")) => Answer::of(412, ""),
        _ => answer.body(second.slice(ask.first..ask.end)).set("etag", "\"v2\"").rate(EACH),
    });
    let folder = Folder::new();
    assert_eq!(fetch(&depot, &folder).await.unwrap_err().kind(), ErrorKind::ResultChanged);
    assert_eq!(fetch(&depot, &folder).await.unwrap().resumed_at(), 0);
    assert_right(&folder, &new, "412");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stalls_or_crawls_beside_others_is_opened_anew() {
    for (why, crawls) in [("stalls", false), ("crawls", true)] {
        let content = fastrand_bytes(40_000_000);
        let depot = Depot::new(content.clone(), move |ask, answer| match ask.number {
            3 if crawls => answer.rate(EACH / 20).pieces(1_000),
            3 => answer.rate(EACH).stall(50_000),
            _ => answer.rate(EACH),
        });
        let folder = Folder::new();
        let receipt = fetch(&depot, &folder).await.unwrap();
        assert_right(&folder, &content, why);
        assert_eq!(receipt.reopened(), 1, "{why}: {receipt:?}");
        let asks = depot.asks();
        let again = asks.iter().filter(|ask| ask.number > 3 && ask.first >= asks[3].first && ask.first < asks[3].end);
        assert!(again.count() > 0, "{why}");
        assert!(depot.sent() <= content.len() + asks.len() * CHUNK, "{why}: {}", depot.sent());
    }
}

#[tokio::test(start_paused = true)]
async fn all_downloads_of_a_client_share_its_connections() {
    for most in [1, 3, 5] {
        let content = fastrand_bytes(1_500_000);
        let depot = Depot::new(content.clone(), |_, answer| answer.rate(EACH));
        let client = depot.builder().download_connections(most).build().unwrap();
        let folder = Folder::new();
        let names = ["1", "2", "3", "4"];
        let all = names.map(|name| {
            let download = client.download(format!("{LINK}{name}")).part_size(64 << 10);
            let target = folder.at(name);
            async move { download.to_file(target).await }
        });
        for receipt in futures::future::join_all(all).await {
            assert_eq!(receipt.unwrap().bytes(), 1_500_000);
        }
        assert_eq!(depot.most_open(), most);
        assert!(names.iter().all(|name| folder.read(name) == content));
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_file_and_one_connection_stay_with_one_request() {
    for (total, most) in [(60_000, 8), (TOTAL, 1)] {
        let content = fastrand_bytes(total);
        let depot = Depot::new(content.clone(), |_, answer| answer.rate(EACH));
        let folder = Folder::new();
        let receipt = many(&depot).connections(most).to_file(folder.at("7")).await.unwrap();
        assert_right(&folder, &content, "alone");
        assert_eq!((receipt.connections(), depot.asks().len(), depot.sent()), (1, 1, total));
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_storage_gets_fewer_connections() {
    let content = fastrand_bytes(TOTAL);
    let depot = Depot::new(content.clone(), |ask, answer| match ask.number {
        4..8 => Answer::of(503, "SlowDown"),
        _ => answer.rate(EACH),
    });
    let folder = Folder::new();
    let receipt = fetch(&depot, &folder).await.unwrap();
    assert_right(&folder, &content, "busy");
    assert!((2..=8).contains(&receipt.connections()), "{receipt:?}");
}
