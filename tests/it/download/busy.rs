//! A storage that asks to wait: for seconds, for days, for one file and for all.

use longhaul::RetryPolicy;

use super::*;

const DAY: &str = "86400";

fn busy(status: u16, wait: &str) -> Canned {
    reply(status).header("retry-after", wait).body("busy")
}

#[tokio::test(start_paused = true)]
async fn a_day_is_an_error_that_carries_it_in_every_sink() {
    for status in [429, 503, 202, 500] {
        for sink in [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory] {
            let service = script([busy(status, DAY), part("0-9/10", TEN_BYTES)]);
            let client = service.client().build().unwrap();
            let folder = Folder::new();
            let begun = Instant::now();
            let error = sink.run(client.download(LINK), &folder).await.unwrap_err();
            assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Interrupted, Some(secs(86_400))), "{error}");
            assert_eq!((begun.elapsed(), folder.names().len()), (Duration::ZERO, 0), "{status}, {sink:?}");
            // The client remembers it, and does not ask before.
            let error = sink.run(client.download(FRESH), &folder).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
            assert!(error.retry_after().is_some_and(|left| left <= secs(86_400)), "{error}");
            assert_eq!(service.requests().len(), 1, "{status}, {sink:?}");
            tokio::time::sleep(secs(86_401)).await;
            assert_eq!(sink.run(client.download(LINK), &folder).await.unwrap(), TEN_BYTES);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_wants_to_wait_for_a_day_says_so() {
    let service = script([part("0-9/10", "0123").cut(), busy(503, DAY), part("4-9/10", "456789")]);
    let client = service.client().retry(RetryPolicy::standard().give_up_over(secs(100_000))).build().unwrap();
    let begun = Instant::now();
    assert_eq!(client.download(LINK).to_memory(10).await.unwrap(), TEN_BYTES);
    assert!(begun.elapsed() >= secs(86_400));
    let client = service.client().retry(RetryPolicy::standard().give_up_over(secs(5))).build().unwrap();
    service.then(busy(503, "6"));
    let error = client.download(LINK).to_memory(10).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Interrupted, Some(secs(6))));
}

#[tokio::test(start_paused = true)]
async fn a_day_mid_way_keeps_the_part() {
    let service = script([part("0-9/10", "0123").cut(), busy(503, DAY)]);
    let client = service.client().build().unwrap();
    let folder = Folder::new();
    let error = client.download(LINK).to_file(folder.at("7")).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(secs(86_400)), "{error}");
    assert_eq!(folder.names(), ["7.part", "7.part.json"]);
    tokio::time::sleep(secs(86_400)).await;
    service.then(part("4-9/10", "456789"));
    assert_eq!(client.download(LINK).to_file(folder.at("7")).await.unwrap().resumed_at(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_wait_past_the_deadline_ends_it_at_once() {
    let service = script([busy(503, "60")]);
    let begun = Instant::now();
    let download = service.client().build().unwrap().download(LINK).timeout(secs(30));
    let error = download.to_memory(10).await.unwrap_err();
    assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::DeadlineExceeded, Duration::ZERO), "{error}");
    assert_eq!(error.retry_after(), Some(secs(60)));
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_for_all_files_of_a_storage_and_for_no_other() {
    let service = script([busy(503, "60")]);
    let client = service.client().build().unwrap();
    let other = "https://other.example.net/7?sig=S3CRET";
    (0..3).for_each(|_| service.then(part("0-9/10", TEN_BYTES)));
    let begun = Instant::now();
    let first = async {
        let got = client.download(LINK).to_memory(10).await.unwrap();
        (got, begun.elapsed())
    };
    let rest = async {
        tokio::time::sleep(secs(10)).await;
        client.download(other).to_memory(10).await.unwrap();
        let free = begun.elapsed();
        client.download(FRESH).to_memory(10).await.unwrap();
        (free, begun.elapsed())
    };
    let ((got, waited), (free, held)) = tokio::join!(first, rest);
    assert_eq!((got.as_ref(), waited, free, held), (TEN_BYTES, secs(60), secs(10), secs(60)));
}
