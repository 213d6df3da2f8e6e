//! The road of requests for tokens: what is known of the API and of its credential plays no part there.

use futures::StreamExt;
use longhaul::protocols::Source;
use longhaul::retries::EnvelopeRule;
use longhaul::{ErrorKind, Event, Profile};

use super::*;

#[tokio::test(start_paused = true)]
async fn the_rules_of_the_api_are_not_for_answers_with_tokens() {
    let service = endpoint(|_| reply(200).json(json!({"Code": 7, "access_token": "A", "note": "x".repeat(1000)})));
    let rule = EnvelopeRule::reads_as(400, Source::pointer("/Code"), ["0"]).unless();
    let client = service.builder(Credential::oauth(program())).profile(Profile::auto().envelope(rule)).body_limit(100);
    assert_eq!(farms(&client.build().unwrap()).await.unwrap(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_the_token_endpoint_is_none_of_the_credential() {
    let service = endpoint(|_| {
        let told = token("A", "R", 3600).header("x-ratelimit-limit", "10");
        told.header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "600")
    });
    let client = service.client(program());
    let begun = tokio::time::Instant::now();
    for _ in 0..20 {
        farms(&client).await.unwrap();
    }
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_token_endpoint_names_no_credential() {
    let service = endpoint(|asked| match asked.nth {
        0 => reply(429),
        _ => token("A", "R", 3600),
    });
    let client = service.client(program());
    let events = client.events();
    farms(&client).await.unwrap();
    let refused = events.filter(|event| std::future::ready(matches!(event, Event::Refused { .. }))).next().await;
    let Some(Event::Refused { request, credential, .. }) = refused else { panic!("no refusal") };
    assert_eq!((&*request, credential), ("POST https://login.example.com/token", None));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_silent_is_given_up_after_half_a_minute() {
    let service = endpoint(|asked| match asked.nth {
        0 => token("A", "R", 3600).silent(),
        _ => token("A", "R", 3600),
    });
    let client = service.builder(Credential::oauth(program())).attempt_timeout(10 * MINUTE).build().unwrap();
    let begun = tokio::time::Instant::now();
    farms(&client).await.unwrap();
    assert!(begun.elapsed() >= 30 * SECOND && begun.elapsed() <= 32 * SECOND, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_endpoint_tells_how_often_it_was_asked() {
    let service = endpoint(|_| token("A", "R", 3600).lost());
    let error = farms(&service.client(program())).await.unwrap_err();
    assert_eq!((error.kind(), service.fetches()), (ErrorKind::TokenUnavailable, 5));
    assert!(!error.to_string().contains("not repeated"), "{error}");
}
