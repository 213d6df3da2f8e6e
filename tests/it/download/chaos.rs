//! Storages that fail in every way at once: a file ends as one version of its object, whole, or not at all.

use std::collections::BTreeMap;
use std::env;

use longhaul::downloads::Overwrite;

use super::*;

const TOTAL: usize = 1_200_000;
/// After so many requests, nothing fails any more.
const FAULTS: usize = 40;

/// How a storage marks its versions.
#[derive(Clone, Copy, Debug)]
enum Mark {
    Strong,
    Weak,
    Dated,
    Young,
    Nothing,
    /// A strong ETag that is missing now and then.
    Unsteady,
}

impl Mark {
    fn put(self, answer: Answer, version: usize, random: &mut fastrand::Rng) -> Answer {
        let answer = answer.without("etag");
        let etag = format!("\"v{version}\"");
        let date = if version == 0 { DATE } else { LATER };
        match self {
            Self::Strong => answer.set("etag", etag),
            Self::Weak => answer.set("etag", format!("W/{etag}")),
            Self::Dated => answer.set("last-modified", date).set("date", MUCH_LATER),
            Self::Young => answer.set("last-modified", date).set("date", date),
            Self::Nothing => answer,
            Self::Unsteady if random.u8(..4) == 0 => answer,
            Self::Unsteady => answer.set("etag", etag),
        }
    }
}

/// An answer that fails in some way, or does not.
fn faulty(ask: &Ask, answer: Answer, whole: &Bytes, random: &mut fastrand::Rng) -> Answer {
    let some = random.usize(1..300_000);
    match random.u8(..22) {
        0..4 => answer.cut(some),
        4 => answer.reset(some),
        5 => answer.stall(some),
        6 => answer.silent(),
        7 => Answer::of(503, "busy").set("retry-after", "2"),
        8 => Answer::of(429, "busy"),
        9 => Answer::of(500, "oops"),
        10 => answer.status(200).without("content-range").body(whole.clone()).cut(some),
        11 => answer.status(200).without("content-range").body(whole.clone()).chunked().cut(some),
        12 if ask.end > ask.first => answer.ranged(ask.first + 1, ask.end + 1, TOTAL),
        13 => answer.without("content-range"),
        14 => Answer::of(416, ""),
        15 => answer.cut(0),
        16 if ask.end > ask.first + 2_000 => answer.ranged(ask.first, ask.first + 1_000, TOTAL).short(1_000),
        17 => answer.rate(3_000).pieces(500).cut(some),
        18 => answer.chunked().cut(some),
        _ => answer,
    }
}

fn storage(seed: u64, mark: Mark, versions: [Bytes; 2]) -> Depot {
    let mut random = fastrand::Rng::with_seed(seed);
    let replaced_at = random.usize(1..FAULTS);
    let hashes = random.bool().then(|| versions.clone().map(|version| checksums::goog_hash(&version)));
    let (keeps_conditions, rate) = (random.bool(), random.usize(20_000..300_000));
    Depot::new(versions[0].clone(), move |ask, answer| {
        let mut random = fastrand::Rng::with_seed(seed ^ (ask.number as u64) << 32);
        let version = usize::from(ask.number >= replaced_at);
        let content = &versions[version];
        let answer = answer.body(content.slice(ask.first.min(TOTAL)..ask.end)).rate(rate);
        let condition = ask.header("if-match").map(|etag| etag != format!("\"v{version}\""));
        let condition = condition.or(ask.header("if-unmodified-since").map(|date| date == DATE && version == 1));
        if keeps_conditions && condition == Some(true) {
            return Answer::of(412, "");
        }
        let answer = if ask.number < FAULTS { faulty(ask, answer, content, &mut random) } else { answer };
        let answer = match &hashes {
            Some(hashes) if answer.is_of_object() => answer.set("x-goog-hash", &*hashes[version]),
            _ => answer,
        };
        mark.put(answer, version, &mut random)
    })
}

/// Links that each serve some requests; the task gives the next one.
#[tokio::test(start_paused = true)]
async fn links_that_serve_some_requests_are_enough() {
    let seeds = if env::var("LONGHAUL_LONG").is_ok() { 500 } else { 40 };
    for seed in 0..seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let (each, rate) = (random.usize(2..8), random.usize(50_000..300_000));
        let content = fastrand_bytes(TOTAL);
        let used = Mutex::new(BTreeMap::new());
        let depot = Depot::new(content.clone(), move |ask, answer| {
            let mut random = fastrand::Rng::with_seed(seed ^ (ask.number as u64) << 32);
            let mut used = used.lock().unwrap();
            let uses = used.entry(ask.target.clone()).or_insert(0);
            *uses += 1;
            if *uses > each { Answer::of(403, "expired") } else { answer.rate(rate).cut(random.usize(1..200_000)) }
        });
        let api = Depot::new(Bytes::new(), |ask, _| match ask.number {
            0 => Answer::of(201, "").set("location", "https://api.example.com/v1/tasks/7").set("retry-after", "1"),
            number => {
                let link = format!("https://store.example.net/7?sig=S3CRET{number}");
                Answer::of(200, json!({"Status": "finished", "Result": link}).to_string())
                    .set("content-type", "application/json")
            }
        });
        let client = script([]).client().http(api.clone()).storage_http(depot.clone());
        let client = client.profile(Profile::smag_task()).build().unwrap();
        let outcome = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
        let folder = Folder::new();
        let download = outcome.download().part_size(64 << 10).connections(random.usize(1..=8));
        let receipt = download.to_file(folder.at("7")).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(folder.read("7") == content, "seed {seed}: other bytes");
        assert_eq!(usize::try_from(receipt.renewed()).unwrap(), api.asks().len() - 2, "seed {seed}");
        assert!(depot.sent() <= TOTAL + depot.asks().len() * CHUNK, "seed {seed}: {} bytes", depot.sent());
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_a_file_is_one_version_as_a_whole() {
    let seeds = if env::var("LONGHAUL_LONG").is_ok() { 1_000 } else { 24 };
    let first = env::var("LONGHAUL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    for seed in first..first + seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let marks = [Mark::Strong, Mark::Weak, Mark::Dated, Mark::Young, Mark::Nothing, Mark::Unsteady];
        let mark = marks[random.usize(..marks.len())];
        let versions = [(); 2].map(|()| fastrand_bytes(TOTAL));
        let depot = storage(seed, mark, versions.clone());
        let client = depot.client();
        let folder = Folder::new();
        let is_whole = |why: &str| {
            let file = folder.read("7");
            assert!(versions.iter().any(|version| file == *version), "seed {seed}, {mark:?}, {why}: other bytes");
            assert_eq!(folder.names(), ["7"], "seed {seed}, {mark:?}, {why}");
        };
        let mut done = false;
        for call in 0..60 {
            let most = random.usize(1..=8);
            let download = client.download(LINK).connections(most).part_size(64 << 10);
            let download = if random.bool() { download.timeout(secs(random.u64(1..200))) } else { download };
            let patience = secs(if call < 20 { random.u64(1..400) } else { 100_000 });
            match tokio::time::timeout(patience, download.to_file(folder.at("7"))).await {
                Ok(Ok(_)) => {
                    is_whole(&format!("call {call}"));
                    done = true;
                    break;
                }
                Ok(Err(error)) => assert_expected(&error, seed),
                Err(_) => {}
            }
            assert!(!folder.at("7").exists(), "seed {seed}, {mark:?}");
        }
        assert!(done, "seed {seed}, {mark:?}: no call ended well, {} requests", depot.asks().len());
        // A file of the first version is not taken for the second, whatever is kept with it.
        let mut is_second = false;
        for _ in 0..60 {
            let from = depot.asks().len();
            let download = client.download(LINK).part_size(64 << 10).overwrite(Overwrite::IfDifferent);
            match download.to_file(folder.at("7")).await {
                Ok(_) => is_whole("once more"),
                Err(error) => assert_expected(&error, seed),
            }
            if from >= FAULTS {
                is_second = folder.read("7") == versions[1];
                break;
            }
        }
        assert!(is_second, "seed {seed}, {mark:?}: the first version stayed");
        for sink in [Sink::Writer, Sink::Stream, Sink::Memory] {
            let depot = storage(seed, mark, versions.clone());
            match sink.run(depot.client().download(LINK), &folder).await {
                Ok(got) => assert!(versions.contains(&got), "seed {seed}, {mark:?}, {sink:?}: other bytes"),
                Err(error) => assert_expected(&error, seed),
            }
        }
        assert!(depot.most_open() <= 8, "seed {seed}, {mark:?}: {} connections", depot.most_open());
    }
}

fn assert_expected(error: &Error, seed: u64) {
    let expected = [ErrorKind::Interrupted, ErrorKind::ResultChanged, ErrorKind::DeadlineExceeded, GONE];
    assert!(expected.contains(&error.kind()), "seed {seed}: {error}");
}
