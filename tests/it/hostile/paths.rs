//! A caller's path that is made of somebody else's data.

use http::Method;
use longhaul::ErrorKind;
use longhaul::testing::{reply, script};
use serde_json::{Value, json};

use super::{asked, builder, client};

const OUTSIDE: [(&str, ErrorKind); 10] = [
    ("https://evil.example/x", ErrorKind::Untrusted),
    ("//evil.example/x", ErrorKind::Untrusted),
    ("http://api.example.com/x", ErrorKind::Untrusted),
    ("https://api.example.com:8443/x", ErrorKind::Untrusted),
    ("https://me@api.example.com/x", ErrorKind::Untrusted),
    ("\\\\evil.example\\x", ErrorKind::Request),
    ("../users/me", ErrorKind::Request),
    ("farms/../../users/me", ErrorKind::Request),
    ("farms/%2e%2E/users", ErrorKind::Request),
    ("/v1/../admin", ErrorKind::Request),
];

#[tokio::test(start_paused = true)]
async fn a_path_that_leaves_its_origin_or_its_folder_sends_nothing() {
    let service = script([]);
    let client = client(&service);
    for (path, kind) in OUTSIDE {
        let body = json!({"secret": "hunter2"});
        let call = client.request(Method::POST, path).json(&body).send().await.unwrap_err();
        let post = client.task().post(path).json(&body).submit::<Value>().await.unwrap_err();
        let put = client.task().put(path).json(&body).submit::<Value>().await.unwrap_err();
        let keys = client.request_key(&Method::GET, path).unwrap_err();
        assert_eq!([call.kind(), post.kind(), put.kind(), keys.kind()], [kind; 4], "{path}: {call}");
    }
    assert!(service.requests().is_empty(), "nothing was sent");
}

#[tokio::test(start_paused = true)]
async fn an_own_and_an_allowed_origin_are_asked_as_before() {
    let service = script((0..5).map(|_| reply(200)));
    let client = builder(&service).allow_origin("https://eu.example.com").build().unwrap();
    let paths =
        ["farms", "/v2/farms", "https://api.example.com/v1/farms", "https://eu.example.com/farms", "farms:count"];
    for path in paths {
        client.request(Method::GET, path).send().await.unwrap();
    }
    let own = |url: &str| (format!("GET {url}"), true);
    assert_eq!(
        asked(&service),
        [
            own("https://api.example.com/v1/farms"),
            own("https://api.example.com/v2/farms"),
            own("https://api.example.com/v1/farms"),
            own("https://eu.example.com/farms"),
            own("https://api.example.com/v1/farms:count"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_path_of_segments_holds_whatever_they_are() {
    let service = script((0..2).map(|_| reply(200).json(json!(1))));
    let client = client(&service);
    let hostile = "../../users/me?x=1#y";
    client.request(Method::GET, client.path(["farms", hostile]).unwrap()).send().await.unwrap();
    let post = client.task().post(client.path(["farms", hostile, "exports"]).unwrap());
    drop(post.submit::<Value>().await.unwrap());
    let paths: Vec<_> = service.requests().iter().map(|seen| seen.url().path().to_owned()).collect();
    let segment = "..%2F..%2Fusers%2Fme%3Fx=1%23y";
    assert_eq!(paths, [format!("/v1/farms/{segment}"), format!("/v1/farms/{segment}/exports")]);
    for bad in ["", ".", ".."] {
        assert_eq!(client.path(["farms", bad]).unwrap_err().kind(), ErrorKind::Request, "{bad}");
    }
}
