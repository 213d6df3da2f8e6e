//! A property: no answer makes reading panic or loop.

use std::sync::LazyLock;

use super::*;

/// Any JSON, with the members that a protocol looks for among its names.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let names = prop::sample::select(vec![
        "status",
        "state",
        "error",
        "result",
        "Result",
        "Location",
        "TaskUid",
        "id",
        "done",
        "percentComplete",
        "links",
        "rel",
        "href",
        "code",
        "message",
        "properties",
        "provisioningState",
        "_links",
        "self",
        "resourceLocation",
        "x",
    ]);
    let words = prop::sample::select(vec![
        "Succeeded",
        "failed",
        "running",
        "monitor",
        "/t",
        "https://s.example/b?sig=x",
        "http://[",
        "",
        "42",
        "\u{0}",
        "op:x",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<f64>().prop_map(|number| serde_json::json!(number)),
        any::<u64>().prop_map(Into::into),
        words.prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec((names.clone(), inner), 0..5).prop_map(|members| {
                serde_json::Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

/// The protocols of all built-in profiles, their kinds too.
static PROTOCOLS: LazyLock<Vec<Protocol>> = LazyLock::new(|| {
    let profiles = Profile::NAMES.iter().map(|name| serde_json::to_value(Profile::by_name(name).unwrap()).unwrap());
    profiles
        .flat_map(|mut profile| {
            let kinds = profile["kinds"].as_object_mut().map(std::mem::take).unwrap_or_default();
            std::iter::once(profile["protocol"].take()).chain(kinds.into_iter().map(|(_, kind)| kind))
        })
        .map(|protocol| serde_json::from_value(protocol).unwrap())
        .collect()
});

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("LONGHAUL_LONG").is_some() { 100_000 } else { 1000 },
        ..ProptestConfig::default()
    })]

    /// No JSON, header or status makes reading panic, or lead on for ever without a wait.
    #[test]
    fn no_answer_makes_reading_panic_or_loop(
        preset in 0..PROTOCOLS.len(),
        answers in prop::collection::vec(
            (100..600_u16, any_json(), "[ -~]{0,24}", "[ -~]{0,12}", prop::option::of("[/a-z.?:]{0,8}")),
            1..12,
        ),
    ) {
        let protocol = PROTOCOLS[preset].clone();
        let url: Url = "https://a.example/v1/exports".parse().unwrap();
        let mut cursor = Cursor::new(Method::POST, &url, SystemTime::UNIX_EPOCH);
        let mut follows = 0;
        for (code, body, location, retry_after, moved) in answers.iter().cycle().take(60) {
            let mut headers = HeaderMap::new();
            headers.insert("location", moved.as_ref().unwrap_or(location).parse().unwrap());
            headers.insert("retry-after", retry_after.parse().unwrap());
            let reply = Reply::new(StatusCode::from_u16(*code).unwrap(), url.clone(), headers, body.to_string());
            match protocol.read(&mut cursor, &reply, SystemTime::UNIX_EPOCH) {
                Step::Follow { after, .. } if after.is_zero() => follows += 1,
                Step::Wait(report) => {
                    prop_assert!(!report.state().is_terminal());
                    prop_assert!(report.percent().is_none_or(|percent| (0.0..=100.0).contains(&percent)));
                    follows = 0;
                }
                Step::Follow { .. } => follows = 0,
                _ => break,
            }
            prop_assert!(follows <= 14, "led on {follows} times in a row");
        }
    }
}
