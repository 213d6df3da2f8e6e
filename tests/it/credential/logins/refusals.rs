//! Refusals: which of them want a login, and which pass by themselves.

use longhaul::ErrorKind;

use super::*;

#[tokio::test(start_paused = true)]
async fn an_outage_wants_no_login_whatever_its_body_says() {
    let page = reply(403).body("<html>blocked by the firewall</html>");
    let framework = |status: u16, error: &str| reply(status).json(json!({"status": status, "error": error}));
    for answer in [
        framework(500, "Internal Server Error"),
        framework(502, "bad_gateway"),
        framework(503, "Service Unavailable"),
        framework(429, "rate_limit_exceeded"),
        page,
    ] {
        let service = endpoint(move |_| answer.clone());
        let error = farms(&service.client(user().token(spent()))).await.unwrap_err();
        assert_eq!((error.kind(), error.needs_login()), (ErrorKind::TokenUnavailable, false), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_wants_a_login() {
    for answer in [denied("invalid_grant"), denied("of_its_own"), reply(400), reply(401)] {
        let service = endpoint(move |_| answer.clone());
        let error = farms(&service.client(user().token(spent()))).await.unwrap_err();
        assert_eq!((error.kind(), error.needs_login()), (ErrorKind::TokenRefused, true), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_tells_of_the_answer_that_refused_it() {
    let service = service(|asked| match (asked.is_for_token(), asked.nth) {
        (true, 0) => token("A", "", 3600),
        (true, _) => denied("invalid_client"),
        (false, _) => reply(401),
    });
    let error = farms(&service.client(program())).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::TokenRefused, 1), "{error}");
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
}
