//! A client of a profile: its base, its headers, its secrets, and what recorded answers say of it.

use std::time::{Duration, UNIX_EPOCH};

use longhaul::credentials::{CredentialStyle, OAuthStyle, Secrets};
use longhaul::http::Transcript;
use longhaul::limits::Clock;
use longhaul::protocols::{ResultKind, Source};
use longhaul::tasks::Transcripts;
use longhaul::testing::{Script, reply, script};
use longhaul::{Client, ClientBuilder, Credential, ErrorKind, Profile, Protocol, State};
use serde_json::{Value, json};

use crate::support::{accepted, asked};

fn build_error(builder: ClientBuilder) -> String {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

/// A client of a profile whose requests are answered by a script, in 2030.
fn of(profile: Profile, service: &Script) -> ClientBuilder {
    let start = UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    Client::for_profile(profile).http(service.clone()).storage_http(service.clone()).clock(Clock::starting_at(start))
}

#[test]
fn what_a_profile_leaves_open_is_asked_for_by_name() {
    let secrets = || Secrets::new().set("client_id", "i");
    for (builder, expected) in [
        (Client::for_profile(Profile::aprimo()), "set it by `.variable(\"env\", ..)`"),
        (Client::for_profile(Profile::auto()), "the profile `auto` has no base URL"),
        (Client::for_profile(Profile::sitecore_send()), "needs the secrets [api_key]"),
        (Client::for_profile(Profile::genesys()).secrets(secrets()), "the secret `client_secret`"),
        (Client::for_profile(Profile::genesys()).secrets(secrets()), "Secrets{\"client_id\"}"),
        (
            Client::for_profile(Profile::sitecore_send()).secrets(secrets()).credential(Credential::bearer("t")),
            "set one of the two",
        ),
        (
            Client::for_profile(Profile::auto().base("https://a.example").header("a b", "x")),
            "the profile's header `a b`",
        ),
        (
            Client::for_profile(
                Profile::auto()
                    .base("https://a.example")
                    .credential_style(CredentialStyle::oauth(OAuthStyle::client_credentials("{login}/token"))),
            )
            .secrets(secrets().set("client_secret", "s")),
            "names the variable `login`",
        ),
    ] {
        let error = build_error(builder);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_profiles_headers_go_to_the_api_alone_and_yield_to_the_call() {
    let profile = Profile::auto()
        .base("https://api.example.com/v1")
        .variable("version", "2")
        .header("API-VERSION", "{version}")
        .header("Accept", "application/hal+json")
        .protocol(Protocol::auto().result(Source::pointer("/file"), ResultKind::Link));
    let service = script([
        accepted(),
        reply(200).json(json!({"status": "done", "file": "https://store.example.net/f"})),
        reply(200).body("x"),
        reply(200).json(json!({})),
    ]);
    let client = of(profile, &service).build().unwrap();
    let outcome = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    outcome.download().to_memory(100).await.unwrap();
    client.get("farms").header("accept", "text/csv").send().await.unwrap();
    let seen = service.requests();
    let versions: Vec<_> = seen.iter().map(|request| request.header("api-version")).collect();
    assert_eq!(versions, [Some("2"), Some("2"), None, Some("2")]);
    let accepted: Vec<_> = seen.iter().map(|request| request.header("accept")).collect();
    assert_eq!((accepted[0], accepted[3]), (Some("application/hal+json"), Some("text/csv")));
    assert_ne!(accepted[2], Some("application/hal+json"));
}

#[tokio::test(start_paused = true)]
async fn the_styles_of_a_profile_become_its_credential() {
    let profile = Profile::auto()
        .base("https://api.example.com/v1")
        .variable("key_header", "X-Subscription")
        .credential_style(CredentialStyle::header("{key_header}", "key"))
        .credential_style(CredentialStyle::header_scheme("X-Auth", "Token", "auth"))
        .credential_style(CredentialStyle::query("apikey", "query"))
        .credential_style(CredentialStyle::basic("user", "password"));
    assert_eq!(profile.secret_names(), ["auth", "key", "password", "query", "user"]);
    let secrets = ["auth", "key", "password", "query", "user"]
        .into_iter()
        .fold(Secrets::new(), |secrets, name| secrets.set(name, format!("my-{name}")));
    let service = script([reply(200).json(json!({}))]);
    of(profile, &service).secrets(secrets).build().unwrap().get("farms").send().await.unwrap();
    let seen = &service.requests()[0];
    assert_eq!(seen.header("x-subscription"), Some("my-key"));
    assert_eq!(seen.header("x-auth"), Some("Token my-auth"));
    assert_eq!(seen.url().query(), Some("apikey=my-query"));
    assert_eq!(seen.header("authorization"), Some("Basic bXktdXNlcjpteS1wYXNzd29yZA=="));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_the_place_of_a_file_does_not_become_the_file() {
    let busy = || {
        let body = r#"{"Code": 429, "Error": "RATE_LIMITING"}"#;
        reply(200)
            .header("content-type", "application/json")
            .header("content-length", &body.len().to_string())
            .body(body)
    };
    let profile = Profile::sitecore_send()
        .without_credential()
        .protocol(Protocol::auto().result(Source::pointer("/file"), ResultKind::Link));
    let file = r#"{"rows": [1, 2]}"#;
    let service = script([
        accepted(),
        reply(200).json(json!({"status": "done", "file": "https://api.sitecoresend.io/v3/files/1"})),
        busy(),
        busy(),
        reply(200).header("content-type", "application/json").header("content-length", "16").body(file),
    ]);
    let client = of(profile, &service).build().unwrap();
    let outcome = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    assert_eq!(outcome.download().to_memory(100).await.unwrap(), file);
    assert_eq!(service.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_status_without_its_link_is_a_value_and_no_file() {
    let service = script([accepted(), reply(200).json(json!({"status": "done", "fle": "https://s.example/f"}))]);
    let protocol = Protocol::auto().result(Source::pointer("/file"), ResultKind::Link);
    let client = service.client().profile(Profile::auto().protocol(protocol)).build().unwrap();
    let outcome = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    let error = outcome.download().to_memory(100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResultUnavailable);
    assert!(error.to_string().contains("no link at /file"), "{error}");
    assert_eq!(outcome.value().unwrap()["status"], "done");
}

#[tokio::test(start_paused = true)]
async fn sitecores_margin_is_added_to_the_stated_end_for_each_attempt() {
    let refused = |expires: &str| {
        let body = json!({"Code": 429, "Error": "RATE_LIMITING", "Context": null});
        reply(200).header("x-ratelimit-expires", expires).json(body)
    };
    let service = script([
        refused("01/01/2030 00:00:07"),
        refused("01/01/2030 00:00:20"),
        reply(200).json(json!({"Code": 0, "Error": null, "Context": {}})),
    ]);
    let secrets = Secrets::new().set("api_key", "K");
    let client = of(Profile::sitecore_send(), &service).secrets(secrets).build().unwrap();
    client.get("lists.json").send().await.unwrap();
    let at: Vec<_> = service.requests().iter().map(longhaul::testing::Recorded::at).collect();
    assert!(at[1] >= Duration::from_millis(7_050), "{at:?}");
    assert!(at[2] >= Duration::from_millis(20_100), "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn a_recorded_task_is_read_again_by_its_profile_and_holds_no_secret() {
    let service = script([
        accepted().header("set-cookie", "sid=C00KIE"),
        reply(200).header("retry-after", "5").json(json!({"status": "running", "echo": "my-t0ken"})),
        reply(429).header("retry-after", "9"),
        reply(200).json(json!({"status": "done", "file": "https://s.example/f?sp=r&sig=S1GNED"})),
    ]);
    let transcripts = Transcripts::new();
    let protocol = Protocol::auto().result(Source::pointer("/file"), ResultKind::Link);
    let profile = Profile::auto().kind("export", protocol);
    let client = service
        .client()
        .profile(profile.clone())
        .credential(Credential::bearer("my-t0ken"))
        .transcripts(&transcripts)
        .build()
        .unwrap();
    let outcome = client.task().kind("export").post("exports").submit::<Value>().await.unwrap().await.unwrap();
    assert!(outcome.links()[0].expose().contains("S1GNED"));
    let all = transcripts.all();
    assert_eq!((all.len(), all[0].len(), all[0].kind()), (1, 4, Some("export")));
    let text = serde_json::to_string(&all[0]).unwrap();
    for secret in ["C00KIE", "my-t0ken", "S1GNED"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let again: Transcript = serde_json::from_str(&text).unwrap();
    let replay = profile.replay(None, &again);
    assert_eq!(replay.state(), Some(State::Succeeded), "{replay}");
    assert!(replay.to_string().contains("succeeded, with 1 link(s)"), "{replay}");

    let other = Profile::auto().protocol(Protocol::auto().word("done", State::Running)).replay(Some("none"), &again);
    assert!(other.flaw().unwrap().contains("has no kind `none`; its kinds are []"), "{other}");
    let blind = Profile::auto().kind("export", Protocol::auto().word("done", State::Running)).replay(None, &again);
    assert!(blind.flaw().unwrap().contains("takes the task for `running`"), "{blind}");
    let early = Profile::auto().kind("export", Protocol::auto().word("running", State::Succeeded)).replay(None, &again);
    assert!(early.flaw().unwrap().contains("before the last 2 answers"), "{early}");
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_would_ask_elsewhere_is_told_so() {
    let text = json!({
        "base": "https://api.example.com/v1/", "method": "POST",
        "answers": [
            {"url": "https://api.example.com/v1/exports", "status": 201, "body": {"jobId": "9"}},
            {"url": "https://api.example.com/v1/exports/9", "status": 200, "body": {"state": "done"}},
        ],
    });
    let transcript: Transcript = serde_json::from_value(text).unwrap();
    let of = |template: &str| Profile::auto().protocol(Protocol::auto().status_template(template));
    assert_eq!(of("exports/{id}").replay(None, &transcript).state(), Some(State::Succeeded));
    let wrong = of("jobs/{id}").replay(None, &transcript);
    let flaw = wrong.flaw().unwrap();
    assert!(flaw.contains("would ask GET https://api.example.com/v1/jobs/9"), "{flaw}");
    assert!(flaw.contains("is that of https://api.example.com/v1/exports/9"), "{flaw}");
}

#[tokio::test(start_paused = true)]
async fn many_tasks_are_recorded_apart() {
    let transcripts = Transcripts::new();
    let service = script([
        reply(202).header("location", "/v1/tasks/1"),
        reply(202).header("location", "/v1/tasks/2"),
        reply(200).json(json!({"status": "failed"})).at("/v1/tasks/1"),
        reply(200).json(json!({"status": "running"})).at("/v1/tasks/2"),
        reply(200).json(json!({"status": "failed"})).at("/v1/tasks/2"),
    ]);
    let client = service.client().transcripts(&transcripts).build().unwrap();
    let one = client.task().post("exports").submit::<Value>().await.unwrap();
    let two = client.task().post("exports").submit::<Value>().await.unwrap();
    let (one, two) = tokio::join!(one, two);
    assert!(one.is_err() && two.is_err());
    let lengths: Vec<_> = transcripts.all().iter().map(Transcript::len).collect();
    assert_eq!(lengths, [2, 3], "{:?}", asked(&service));
}
