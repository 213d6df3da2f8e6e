//! Settings that make no sense: `build` refuses each, and says what to write instead.

use std::time::Duration;

use longhaul::protocols::Source;
use longhaul::retries::{EnvelopeRule, Schedule};
use longhaul::telemetry::Alerts;
use longhaul::{Client, ClientBuilder, Credential, ErrorKind, PollPolicy, Profile, RetryPolicy};

fn builder() -> ClientBuilder {
    Client::builder("https://api.example.com")
}

#[track_caller]
fn refused(builder: ClientBuilder, words: &[&str]) {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn thresholds_that_are_no_share_or_no_multiple() {
    let standard = Alerts::standard;
    for (alerts, words) in [
        (standard().error_rate(10.0), ["error_rate(10)", "0.1 for 10 %"]),
        (standard().error_rate(-1.0), ["error_rate(-1)", "from 0 to 1"]),
        (standard().error_rate(f64::NAN), ["error_rate(NaN)", "from 0 to 1"]),
        (standard().near_limit(80.0), ["near_limit(80)", "0.8 for 80 %"]),
        (standard().near_limit(0.0), ["near_limit(0)", "above 0"]),
        (standard().near_limit(f64::INFINITY), ["near_limit(inf)", "above 0"]),
        (standard().latency_spike(f64::NAN), ["latency_spike(NaN)", "3 for three times as much"]),
        (standard().latency_spike(0.5), ["latency_spike(0.5)", "from 1 on"]),
        (standard().rising_latency(-1.5), ["rising_latency(-1.5)", "from 1 on"]),
        (standard().rising_errors(f64::INFINITY), ["rising_errors(inf)", "from 1 on"]),
        (standard().summary_every(Duration::ZERO), ["summary_every(0ns)", "24 hours"]),
    ] {
        refused(builder().alerts(alerts), &words);
    }
    for alerts in [
        standard(),
        Alerts::none(),
        standard().error_rate(0.0).near_limit(1.0).latency_spike(1.0).rising_errors(100.0),
        standard().error_rate(1.0),
    ] {
        builder().alerts(alerts).build().unwrap();
    }
}

#[test]
fn envelopes_of_statuses_that_are_none() {
    let rule = |reads_as| EnvelopeRule::reads_as(reads_as, Source::pointer("/code"), ["x"]);
    for (rule, words) in [
        (rule(200), ["`reads_as` is 200", "400 to 599"]),
        (rule(42), ["`reads_as` is 42", "429 for throttled"]),
        (rule(600), ["`reads_as` is 600", "400 to 599"]),
        (rule(429).status(999), ["`status` is 999", "100 to 599"]),
        (rule(429).status(0), ["`status` is 0", "/code"]),
    ] {
        refused(builder().profile(Profile::auto().envelope(rule)), &words);
    }
    builder().profile(Profile::auto().envelope(rule(401).status(200))).build().unwrap();
}

#[test]
fn schedules_that_grow_by_what_is_no_number_or_never_pause() {
    let policy = RetryPolicy::standard;
    let nan = Schedule::standard().factor(f64::NAN);
    for (builder, words) in [
        (builder().retry(policy().schedule(nan.clone())), ["factor", "NaN"]),
        (builder().profile(Profile::auto().retry(policy().schedule(nan.clone()))), ["factor", "retries"]),
        (builder().poll_policy(PollPolicy::standard().schedule(nan)), ["factor", "poll policy"]),
    ] {
        refused(builder, &words);
    }
    let at_once = Schedule::constant(Duration::ZERO);
    for schedule in [
        at_once.clone(),
        Schedule::standard().longest(Duration::ZERO),
        Schedule::exponential(Duration::ZERO, Duration::from_secs(9)),
        Schedule::steps([Duration::from_secs(1), Duration::ZERO]),
        Schedule::decorrelated(Duration::ZERO, Duration::from_secs(9)),
    ] {
        let endless = policy().retries(u32::MAX).without_budget().schedule(schedule);
        refused(builder().retry(endless), &["without a pause", "Schedule::standard()"]);
    }
    for fine in [
        policy().retries(u32::MAX).without_budget(),
        policy().retries(u32::MAX).schedule(at_once.clone()),
        policy().retries(20).without_budget().schedule(at_once),
        policy().schedule(Schedule::standard().factor(0.5)),
        policy().schedule(Schedule::standard().factor(f64::INFINITY)),
    ] {
        builder().retry(fine).build().unwrap();
    }
}

#[test]
fn credentials_that_no_header_may_hold() {
    for (credential, words) in [
        (Credential::bearer("TOP\nSECRET"), ["part `bearer` holds a line break", "look at"]),
        (Credential::api_key_header("X-Key", "TOP\r\nSECRET"), ["header `x-key`", "a line break"]),
        (Credential::api_key_header("X-Key", "TOP\0SECRET"), ["header `x-key`", "a control character"]),
        (Credential::api_key_header("X Key", "SECRET"), ["`x key`", "an invalid header name"]),
        (Credential::basic("a:b", "SECRET"), ["basic", "a colon"]),
        (Credential::bearer("Bearer Bearer SECRET"), ["bearer", "a space"]),
        (Credential::bearer("Basic SECRET"), ["bearer", "a space"]),
    ] {
        let error = builder().credential(credential.clone()).build().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("SECRET"), "{error}");
        refused(builder().credential(credential), &words);
    }
    builder().credential(Credential::bearer("bearer abc\n")).build().unwrap();
    builder().credential(Credential::api_key_header("X-Key", " abc \r\n")).build().unwrap();
}
