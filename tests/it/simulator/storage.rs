//! The storage: signed links, ranges, versions, cut bodies.

use super::*;

#[tokio::test]
async fn signs_every_link_anew() {
    let bench = bench(quick().finish(Finish::Signed)).await;
    let uid = bench.submit(json!({})).await;
    let first = bench.poll(&uid).await.header("location").to_owned();
    let second = bench.poll(&uid).await.header("location").to_owned();
    assert_ne!(first, second);
    assert_eq!(send(bench.fetch(&first)).await.status, 200);

    bench.service.expire_links();
    let refused = send(bench.fetch(&second)).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("<Code>AuthenticationFailed</Code>"));
    assert!(refused.text().contains("not valid in the specified time frame"));
    let fresh = bench.poll(&uid).await.header("location").to_owned();
    assert_eq!(send(bench.fetch(&fresh)).await.status, 200);
}

#[tokio::test]
async fn opens_no_result_without_its_own_unchanged_link() {
    let bench = bench(quick()).await;
    let uid = bench.submit(json!({})).await;
    let other = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    for changed in [
        link.replace(&uid, &other),
        link.replacen("se=2", "se=3", 1),
        link.split_once("&sig=").unwrap().0.to_owned(),
        link.split_once('?').unwrap().0.to_owned(),
        link.replace(".parquet", ".csv"),
    ] {
        assert_ne!(changed, link);
        let reply = send(bench.fetch(&changed)).await;
        assert_eq!(reply.status, 403);
        assert!(reply.text().contains("Signature did not match"), "{}", reply.text());
        assert!(!reply.header("x-ms-version").is_empty());
    }
    let posted = send(bench.http.post(&link)).await;
    assert_eq!((posted.status.as_u16(), posted.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn a_link_lives_no_longer_than_it_should() {
    let bench = bench(quick().link_life(Duration::from_millis(300))).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    assert!(link.contains('.'), "{link}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(send(bench.fetch(&link)).await.status, 403);
}

#[tokio::test]
async fn serves_ranges_and_heads() {
    let bench = bench(quick().result_size(1_000)).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    let content = bench.service.expected(&uid).unwrap();
    for (range, content_range, bytes) in [
        ("bytes=0-0", "bytes 0-0/1000", 0..1),
        ("bytes=10-19", "bytes 10-19/1000", 10..20),
        ("bytes=990-", "bytes 990-999/1000", 990..1_000),
        ("bytes=990-5000", "bytes 990-999/1000", 990..1_000),
    ] {
        let reply = send(bench.fetch(&link).header("Range", range)).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-range")), (206, content_range));
        assert_eq!(reply.header("content-length"), (bytes.end - bytes.start).to_string());
        assert_eq!(reply.body, content.bytes(bytes));
    }
    let beyond = send(bench.fetch(&link).header("Range", "bytes=1000-")).await;
    assert_eq!((beyond.status.as_u16(), beyond.header("content-range")), (416, "bytes */1000"));

    let whole = send(bench.fetch(&link)).await;
    assert_eq!((whole.status.as_u16(), whole.header("accept-ranges")), (200, "bytes"));
    let head = send(bench.http.head(&link)).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "1000"));
    assert!(head.body.is_empty());
    for name in ["etag", "last-modified", "accept-ranges", "x-ms-version"] {
        assert_eq!(head.header(name), whole.header(name));
        assert!(!head.header(name).is_empty(), "{name}");
    }
    let again = send(bench.http.head(&link)).await;
    assert_eq!(again.status, 200, "the connection is still in step after a HEAD");
}

#[tokio::test]
async fn keeps_to_the_version_that_a_client_asks_for() {
    let bench = bench(quick().result_size(500)).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    let before = send(bench.fetch(&link)).await;
    let (tag, date) = (before.header("etag"), before.header("last-modified"));
    let weak = format!("W/{tag}");
    let status = async |name: &str, value: &str| send(bench.fetch(&link).header(name, value)).await.status.as_u16();

    assert_eq!(status("If-Match", tag).await, 200);
    assert_eq!(status("If-Match", &format!("\"x\", {tag}")).await, 200);
    assert_eq!(status("If-Match", "*").await, 200);
    assert_eq!(status("If-Match", &weak).await, 412);
    assert_eq!(status("If-Unmodified-Since", date).await, 200);

    bench.service.replace_results();
    assert_eq!(status("If-Match", tag).await, 412);
    assert_eq!(status("If-Unmodified-Since", date).await, 412);
    let ignored = send(bench.fetch(&link).header("Range", "bytes=0-9").header("If-Range", tag)).await;
    assert_eq!(ignored.status, 206);

    let after = send(bench.fetch(&link)).await;
    assert_eq!(after.body.len(), before.body.len());
    assert_ne!((after.header("etag"), &after.body), (tag, &before.body));
    let content = bench.service.expected(&uid).unwrap();
    assert!(content.verify(after.body.as_slice()).unwrap());
    assert!(!content.verify(before.body.as_slice()).unwrap());
}

#[tokio::test]
async fn cuts_every_body_after_exactly_as_many_bytes() {
    let bench = bench(quick().cut_bodies_every(100_000)).await;
    let uid = bench.submit(json!({ "size": 350_000 })).await;
    let link = bench.link(&uid).await;
    let mut bytes = Vec::new();
    for expected in [(100_000, false), (100_000, false), (100_000, false), (50_000, true)] {
        let (part, complete) = bench.read(&link, bytes.len()).await;
        assert_eq!((part.len(), complete), expected);
        bytes.extend(part);
    }
    let content = bench.service.expected(&uid).unwrap();
    assert!(content.verify(bytes.as_slice()).unwrap());
    assert_eq!(bench.service.counts().storage_bytes(), 350_000);
}

#[tokio::test]
async fn cuts_the_first_bodies_of_each_result() {
    let bench = bench(quick().cut_bodies(2, 0)).await;
    for _ in 0..2 {
        let uid = bench.submit(json!({ "size": 5_000 })).await;
        let link = bench.link(&uid).await;
        for expected in [(0, false), (0, false), (5_000, true), (5_000, true)] {
            let (part, complete) = bench.read(&link, 0).await;
            assert_eq!((part.len(), complete), expected);
        }
    }
}

#[tokio::test]
async fn a_body_that_is_short_enough_uses_up_no_cut() {
    let bench = bench(quick().cut_bodies(1, 3_000)).await;
    let uid = bench.submit(json!({ "size": 5_000 })).await;
    let link = bench.link(&uid).await;
    assert_eq!(bench.read(&link, 2_000).await.0.len(), 3_000);
    let (part, complete) = bench.read(&link, 1_999).await;
    assert_eq!((part.len(), complete), (3_000, false));
    assert!(bench.read(&link, 1_999).await.1);
}

#[tokio::test]
async fn sends_no_faster_than_its_rate() {
    let bench = bench(quick().storage_rate(1_000_000)).await;
    let uid = bench.submit(json!({ "size": 150_000 })).await;
    let link = bench.link(&uid).await;
    let start = Instant::now();
    let bytes = send(bench.fetch(&link)).await.body;
    assert!(start.elapsed() >= Duration::from_millis(150));
    assert!(bench.service.expected(&uid).unwrap().verify(bytes.as_slice()).unwrap());
}

#[tokio::test]
async fn fails_the_first_requests_to_storage() {
    let bench = bench(quick().fail_storage(2, 503).trouble_retry_after(Duration::from_secs(3))).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    for _ in 0..2 {
        let reply = send(bench.fetch(&link)).await;
        assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "3"));
        assert!(reply.text().contains("<Error><Code>"));
    }
    assert_eq!(send(bench.fetch(&link)).await.status, 200);
    assert_eq!(bench.service.counts().downloads(), 3);
}

#[tokio::test]
async fn can_be_without_ranges_and_validators() {
    let bench = bench(quick().ignore_ranges(true).no_validators(true).result_size(700)).await;
    let uid = bench.submit(json!({})).await;
    let link = bench.link(&uid).await;
    let request = bench.fetch(&link).header("Range", "bytes=700-").header("If-Match", "\"x\"");
    let reply = send(request).await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 700));
    for name in ["accept-ranges", "etag", "last-modified", "content-range"] {
        assert_eq!(reply.header(name), "", "{name}");
    }
}

#[tokio::test]
async fn serves_the_far_end_of_ten_gigabytes() {
    let bench = bench(quick()).await;
    let size = 10_000_000_000_u64;
    let uid = bench.submit(json!({ "size": size })).await;
    let link = bench.link(&uid).await;
    let range = format!("bytes={}-", size - 1_000);
    let reply = send(bench.fetch(&link).header("Range", range)).await;
    assert_eq!(reply.status, 206);
    let content = bench.service.expected(&uid).unwrap();
    assert_eq!(reply.body, content.bytes(size - 1_000..size));

    let mut response = bench.fetch(&link).send().await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert_eq!(first, content.bytes(0..first.len() as u64));
    drop(response);
    assert!(bench.service.counts().storage_bytes() < size);
}
