//! Where a link leads, and what goes along: redirects, credentials, plain HTTP.

use super::*;

#[tokio::test(start_paused = true)]
async fn five_redirects_are_followed_bare_and_six_are_not() {
    let hop = |n: usize| reply(307).header("location", &format!("https://s{n}.example.net/7?sig=S3CRET"));
    for status in [301, 302, 303, 307, 308] {
        let service = script([reply(status).header("location", "https://s0.example.net/7?sig=S3CRET")]);
        (1..5).for_each(|n| service.then(hop(n)));
        service.then(whole(TEN_BYTES));
        let client = service.client().credential(Credential::bearer("T0KEN")).build().unwrap();
        assert_eq!(client.download(LINK).to_memory(10).await.unwrap(), TEN_BYTES);
        assert_eq!(service.requests().len(), 6);
        assert_all_bare(&service);
    }
    let service = script((0..6).map(hop));
    let error = memory(&service).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResultUnavailable);
    assert!(error.to_string().contains("more than 5 redirects"), "{error}");
    assert_eq!(service.requests().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_relative_redirect_is_joined() {
    for (location, expected) in [
        ("/other/8?sig=S3CRET", "https://store.example.net/other/8?sig=S3CRET"),
        ("8?sig=S3CRET", "https://store.example.net/exports/8?sig=S3CRET"),
        ("//b.example.net/8?sig=S3CRET", "https://b.example.net/8?sig=S3CRET"),
        ("/8?next=https://c.example.net/", "https://store.example.net/8?next=https://c.example.net/"),
    ] {
        let service = script([reply(302).header("location", location), whole(TEN_BYTES)]);
        assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
        assert_eq!(service.requests()[1].url().as_str(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_that_leads_nowhere_is_an_error() {
    for location in ["", "ftp://a.example/7", "https://user:S3CRET@a.example/7", "//user:S3CRET@a.example/7"] {
        let service = script([reply(302).header("location", location).header("location", location)]);
        let answer = if location.is_empty() { reply(302) } else { reply(302).header("location", location) };
        let service = if location.is_empty() { script([answer]) } else { service };
        let error = memory(&service).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResultUnavailable, "{location}: {error}");
        assert_eq!(service.requests().len(), 1, "{location}");
        assert!(!format!("{error} {error:?}").contains("S3CRET"));
    }
    let service = script([reply(302).header("location", "http://a.example/7?sig=S3CRET")]);
    assert_eq!(memory(&service).await.unwrap_err().kind(), ErrorKind::Untrusted);
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_resume_begins_at_the_link_again_and_pins_every_hop() {
    let hop = || reply(302).header("location", FRESH);
    let service = script([hop(), part("0-9/10", "0123").cut(), hop(), part("4-9/10", "456789")]);
    assert_eq!(memory(&service).await.unwrap(), TEN_BYTES);
    let urls: Vec<_> = service.requests().iter().map(|request| request.url().to_string()).collect();
    assert_eq!(urls, [LINK, FRESH, LINK, FRESH]);
    assert_eq!(asked(&service, "if-match"), ["-", "-", "\"v1\"", "\"v1\""]);
}

#[tokio::test]
async fn no_credential_cookie_or_referer_ever_comes_to_the_storage() {
    for finish in [Finish::Resource, Finish::Signed, Finish::ResultOnly] {
        let builder = Simulator::builder().finish(finish).cut_bodies_every(400_000).fail_storage(1, 403);
        let bench = Bench::start(builder).await;
        let folder = Folder::new();
        bench.outcome.download().to_file(folder.at("7")).await.unwrap();
        let link = bench.outcome.links()[0].expose();
        bench.client.download(link).to_memory(1_000_000).await.unwrap();
        let counts = bench.service.counts();
        assert_eq!((counts.downloads(), counts.misplaced_credentials()), (7, 0), "{finish:?}");
        let log = bench.service.log();
        let storage = log.iter().filter(|seen| seen.side() == Side::Storage);
        let names: BTreeSet<_> = storage.flat_map(Seen::header_names).map(HeaderName::as_str).collect();
        let expected = ["accept-encoding", "host", "if-match", "range", "user-agent"];
        assert!(names.iter().all(|name| expected.contains(name) || *name == "accept"), "{names:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_link_is_sent_byte_for_byte() {
    let link = "https://store.example.net/a%20b/%E2%82%AC.parquet?sv=2022&se=2030-01-02T00%3A00%3A00Z&sig=a%2Fb%3D+c";
    let service = script([whole(TEN_BYTES)]);
    service.client().build().unwrap().download(link).to_memory(10).await.unwrap();
    assert_eq!(service.requests()[0].url().as_str(), link);
}

#[tokio::test(start_paused = true)]
async fn a_link_of_the_apis_own_goes_with_the_credential() {
    let service =
        script([part("0-9/10", "0123").cut(), reply(503).header("retry-after", "7"), part("4-9/10", "456789")]);
    let client = service.client().credential(Credential::bearer("T0KEN")).build().unwrap();
    let got = client.download("https://api.example.com/v1/files/7").to_memory(10).await.unwrap();
    assert_eq!(got, TEN_BYTES);
    assert_eq!(asked(&service, "authorization"), ["Bearer T0KEN"; 3]);
    assert_eq!(asked(&service, "range"), ["bytes=0-", "bytes=4-", "bytes=4-"]);
    assert_eq!(asked(&service, "if-match"), ["-", "\"v1\"", "\"v1\""]);
    assert_eq!(asked(&service, "accept-encoding"), ["identity"; 3]);
    assert_eq!(service.gaps(), [1, 7].map(secs));
}

#[tokio::test(start_paused = true)]
async fn a_signed_link_goes_bare_also_on_the_apis_own_origin() {
    let service = script([whole(TEN_BYTES)]);
    let client = service.client().credential(Credential::bearer("T0KEN")).build().unwrap();
    client.download("https://api.example.com/v1/files/7?sig=S3CRET").to_memory(10).await.unwrap();
    assert_all_bare(&service);
}

#[tokio::test(start_paused = true)]
async fn a_redirect_away_from_the_api_leaves_the_credential_behind() {
    let to = |url: &str| reply(302).header("location", url);
    let service = script([
        to("/v1/files/7/newest"),
        to("https://store.example.net/7?sig=S3CRET"),
        // A storage must not make the client call the API in its own name.
        to("https://api.example.com/v1/farms"),
        whole(TEN_BYTES),
    ]);
    let client = service.client().credential(Credential::bearer("T0KEN")).build().unwrap();
    client.download("https://api.example.com/v1/files/7").to_memory(10).await.unwrap();
    assert_eq!(asked(&service, "authorization"), ["Bearer T0KEN", "Bearer T0KEN", "-", "-"]);
}

#[tokio::test(start_paused = true)]
async fn plain_http_is_refused_but_on_this_machine() {
    for refused in ["http://store.example.net/7?sig=S3CRET", "http://10.0.0.1/7?sig=S3CRET", "http://[2001:db8::1]/7"] {
        let service = script([whole(TEN_BYTES)]);
        let error = service.client().build().unwrap().download(refused).to_memory(10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Untrusted, "{refused}");
        assert!(service.requests().is_empty(), "{refused}");
    }
    for fine in ["http://127.0.0.1:9/7?sig=S3CRET", "http://localhost/7?sig=S3CRET", "http://[::1]:9/7", LINK] {
        let service = script([whole(TEN_BYTES)]);
        service.client().build().unwrap().download(fine).to_memory(10).await.unwrap();
        assert_eq!(service.requests().len(), 1, "{fine}");
    }
}

#[tokio::test]
async fn a_link_that_sending_would_change_is_refused_by_every_sink() {
    for sink in [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory] {
        let service = script([whole(TEN_BYTES)]);
        let download = service.client().build().unwrap().download("https://store.example.net/7?rscd='7'&sig=S3CRET");
        let folder = Folder::new();
        let error = sink.run(download, &folder).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request, "{sink:?}");
        assert!(error.to_string().contains("percent-encode `'`"), "{error}");
        assert!(service.requests().is_empty() && folder.names().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_of_the_link_goes_to_its_own_origin_alone() {
    let service = script([
        reply(302).header("location", "/exports/8?sig=S3CRET"),
        reply(302).header("location", "https://other.example.net/8?sig=S3CRET"),
        part("0-9/10", "0123").cut(),
        reply(302).header("location", "/exports/8?sig=S3CRET"),
        part("4-9/10", "456789"),
    ]);
    let client = service.client().build().unwrap();
    let download = client.download(LINK).header("X-Key", "old").header("x-key", "K3Y");
    assert!(!format!("{download:?}").contains("K3Y"));
    assert_eq!(download.to_memory(10).await.unwrap(), TEN_BYTES);
    let sent: Vec<_> = service.requests().iter().map(|request| request.header("x-key").map(str::to_owned)).collect();
    let key = Some("K3Y".to_owned());
    assert_eq!(sent, [key.clone(), key.clone(), None, key.clone(), key]);

    let service = script([]);
    let client = service.client().build().unwrap();
    for (name, value) in [("Range", "bytes=0-"), ("Host", "a.example"), ("x-key", "a\nb")] {
        let error = client.download(LINK).header(name, value).to_memory(10).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request, "{error}");
    }
    assert!(service.requests().is_empty());
}
