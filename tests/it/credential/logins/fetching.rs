//! Fetching: which token counts, by which clock, and that all who wait get on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_source_makes_its_tokens_by_the_clients_clock() {
    let service = service(|_| reply(200));
    let source = own(|_, endpoint| Ok(endpoint.token("T").expires_in(HOUR)));
    // The system's clock is years behind this one; then years ahead of it.
    for clock in [start(), SystemTime::UNIX_EPOCH + HOUR] {
        let credential = Credential::source(source.clone());
        let client = service.builder(credential).clock(Clock::starting_at(clock)).build().unwrap();
        farms(&client).await.unwrap();
        assert_eq!(service.last_token(), "T");
        let fetched = source.times();
        tokio::time::sleep(HOUR).await;
        farms(&client).await.unwrap();
        assert_eq!(source.times(), fetched + 1, "it ends when its hour is over");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_comes_expired_leaves_the_good_one_in_use() {
    let service = endpoint(|asked| match asked.nth {
        0 => token("good", "R1", 100),
        // `{"exp":1000}`: it was over half a century ago.
        _ => reply(200).json(json!({"access_token": "e30.eyJleHAiOjEwMDB9.c2ln", "refresh_token": "R2"})),
    });
    let vault = Vault::default();
    let client = service.client(program().store(vault.clone()));
    farms(&client).await.unwrap();
    tokio::time::sleep(85 * SECOND).await;
    farms(&client).await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(vault.refresh_token().as_deref(), Some("R2"), "it came");
    farms(&client).await.unwrap();
    assert_eq!(service.last_token(), "good");
}

#[tokio::test(start_paused = true)]
async fn lives_that_are_shorter_than_the_queue_still_get_everybody_on() {
    let service = endpoint(|_| token("T", "R", 1));
    let limit = Limit::per(1, 3 * SECOND);
    let client = service.builder(Credential::oauth(program())).limit(limit).build().unwrap();
    let begun = tokio::time::Instant::now();
    let answers = join_all((0..30).map(|_| farms(&client))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(begun.elapsed() < 95 * SECOND && service.fetches() <= 60, "{:?} {}", begun.elapsed(), service.fetches());
}

#[tokio::test(start_paused = true)]
async fn many_refused_at_once_in_a_queue_of_one_cost_one_fetch() {
    let service = service(|asked| match asked.is_for_token() {
        true => token(&format!("A{}", asked.nth), "R", 3600).after(SECOND),
        false => reply(if asked.token() == "A1" { 200 } else { 401 }).after(SECOND / 20),
    });
    let limit = Limit::concurrent(1);
    let client = service.builder(Credential::oauth(program())).limit(limit).build().unwrap();
    let all = join_all((0..50).map(|_| farms(&client)));
    let answers = tokio::time::timeout(10 * MINUTE, all).await.expect("no deadlock");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(service.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn clients_whose_clocks_differ_share_a_credential() {
    let service = endpoint(|_| token("T", "R", 3600));
    let credential = Credential::oauth(program());
    let one = service.builder(credential.clone()).build().unwrap();
    let other = service.builder(credential).clock(Clock::starting_at(start() + 2 * HOUR)).build().unwrap();
    for _ in 0..50 {
        farms(&one).await.unwrap();
        farms(&other).await.unwrap();
    }
    assert!(service.fetches() <= 2, "{}", service.fetches());
}

#[tokio::test(start_paused = true)]
async fn a_date_that_is_years_off_says_nothing_about_the_clocks() {
    let claims = format!(r#"{{"exp":{}}}"#, (525_601 * HOUR).as_secs());
    let jwt = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
    for date in ["Thu, 01 Jan 2099 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        let jwt = jwt.clone();
        let service = endpoint(move |_| reply(200).json(json!({"access_token": jwt})).header("date", date));
        let client = service.client(program());
        farms(&client).await.unwrap();
        tokio::time::sleep(HOUR).await;
        // It is over by its own word, and so is the next, which is the same.
        farms(&client).await.unwrap_err();
        assert_eq!(service.fetches(), 2, "{date}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_with_a_line_break_behind_it_is_one_without() {
    let service = endpoint(|_| token("T", "R", 3600));
    let line = |url: &str| format!("{url}\r\n");
    let refreshed = user().token(spent()).refresh_at(line(ENDPOINT)).revoke_at(line(REVOKE));
    for oauth in [OAuth::client_credentials(line(ENDPOINT), "id", "secret"), refreshed] {
        let client = service.client(oauth);
        farms(&client).await.unwrap();
        client.revoke().await.unwrap();
    }
    assert_eq!((service.fetches(), service.at("/revoke").len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_download_outlives_an_endpoint_that_is_down_for_a_while() {
    // One in use, which is refused; then an outage that outlasts all tries for one token.
    let service = service(|asked| match (asked.is_for_token(), asked.nth) {
        (true, 1..=5) => reply(500),
        (true, nth) => token(&format!("A{nth}"), "", 36000),
        (false, 0) => reply(401),
        (false, _) => reply(200).body("data"),
    });
    let client = service.client(program());
    let download = client.download("https://api.example.com/v1/files/1").to_memory(100).await;
    assert_eq!(download.unwrap().as_ref(), b"data");
    assert_eq!(service.last_token(), "A6");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_waits_for_an_endpoint_that_is_down() {
    let service = service(|asked| match (asked.is_for_token(), asked.class, asked.token()) {
        (true, ..) => match asked.nth {
            0 => token("A0", "", 3600),
            1..=8 => reply(503).json(json!({"error": "Service Unavailable"})),
            _ => token("A1", "", 3600),
        },
        (_, Priority::Submit, _) => reply(202).header("location", "tasks/1"),
        (.., "A1") => reply(200).json(json!(7)),
        _ => reply(401),
    });
    let client = service.client(program());
    let task = client.task().post("exports").submit::<u32>().await.unwrap();
    assert_eq!(task.await.unwrap().value().unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_of_a_login_is_for_what_was_granted() {
    let login =
        OAuth::authorization_code("https://login.example.com/authorize", ENDPOINT, "id", "https://a.example/back");
    let elsewhere = OAuth::refresh_only(ENDPOINT, "id");
    for (oauth, form) in [
        (login, "grant_type=refresh_token&refresh_token=R0&client_id=id"),
        (elsewhere, "grant_type=refresh_token&refresh_token=R0&scope=farms&client_id=id"),
    ] {
        let service = endpoint(|_| token("A1", "R1", 3600));
        let old = Token::new("A0").refreshed_by("R0").expires_at(start());
        farms(&service.client(oauth.scope("farms").token(old))).await.unwrap();
        assert_eq!(service.at("/token")[0].body, form);
    }
}
