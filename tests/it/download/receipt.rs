//! The receipt: what a person should know of a file that is whole.

use longhaul::downloads::Overwrite;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_page_of_html_under_another_name_is_a_warning() {
    for (link, kind, disposition, warns) in [
        (LINK, "text/html", None, true),
        (LINK, "Text/HTML; charset=utf-8", None, true),
        (LINK, "application/xhtml+xml", None, true),
        (LINK, "application/octet-stream", None, false),
        (LINK, "text/csv", None, false),
        ("https://store.example.net/page.html?sig=S3CRET", "text/html", None, false),
        ("https://store.example.net/page.html?sig=S3CRET", "text/html", Some("attachment; filename=a.csv"), true),
    ] {
        let answer = part("0-9/10", TEN_BYTES).header("content-type", kind);
        let answer = disposition.map_or(answer.clone(), |stated| answer.header("content-disposition", stated));
        let folder = Folder::new();
        let service = script([answer]);
        let client = service.client().build().unwrap();
        let receipt = client.download(link).to_file(folder.at("7")).await.unwrap();
        let warnings = receipt.warnings();
        assert_eq!(warnings.iter().any(|warning| warning.contains("HTML")), warns, "{link} {kind}: {warnings:?}");
        assert!(!format!("{receipt:?}").contains("S3CRET"));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_file_of_several_connections_and_calls_is_known_again() {
    let content = fastrand_bytes(4_000_000);
    let depot = Depot::new(content.clone(), |ask, answer| match ask.header("if-none-match") {
        Some("\"v1\"") => Answer::of(304, "").set("etag", "\"v1\""),
        _ => answer.rate(100_000).cut(700_000),
    });
    let folder = Folder::new();
    let download = || depot.client().download(LINK).part_size(64 << 10).overwrite(Overwrite::IfDifferent);
    download().timeout(secs(5)).to_file(folder.at("7")).await.unwrap_err();
    let begun = Instant::now();
    let receipt = download().to_file(folder.at("7")).await.unwrap();
    assert!(receipt.connections() > 1 && receipt.resumed_at() > 0 && !receipt.is_unchanged(), "{receipt:?}");
    assert_eq!((receipt.elapsed(), receipt.path()), (begun.elapsed(), Some(&*folder.at("7"))));
    let sent = depot.sent();
    let receipt = download().to_file(folder.at("7")).await.unwrap();
    assert!(receipt.is_unchanged() && receipt.bytes() == 4_000_000, "{receipt:?}");
    assert_eq!((depot.sent(), folder.names()), (sent, vec!["7".to_owned()]));
    assert!(folder.read("7") == content);
}
