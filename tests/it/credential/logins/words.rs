//! Words: what errors and logs say, and what they must not.

use super::*;

#[tokio::test(start_paused = true)]
async fn secrets_that_an_endpoint_repeats_are_hidden() {
    let said = "refresh token R3FRESH is over; client_secret was S3CRET, audience AUD13NCE, header H3ADER";
    for status in [400, 401, 500] {
        let service = endpoint(move |_| {
            reply(status).json(json!({"error": "invalid_grant: R3FRESH", "error_description": said}))
        });
        let given = Token::new("ACC3SS").refreshed_by("R3FRESH").expires_at(start());
        let oauth = user().client_secret("S3CRET").param("audience", "AUD13NCE").header("x-key", "H3ADER");
        let error = farms(&service.client(oauth.token(given))).await.unwrap_err();
        let shown = format!("{error} {error:?} {error:#?} {:?}", error.fault());
        for secret in ["R3FRESH", "S3CRET", "AUD13NCE", "H3ADER", "ACC3SS"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
        let message = error.fault().and_then(longhaul::Fault::message).unwrap_or_default();
        assert!(message.contains("is over; client_secret was"), "the rest is shown: {message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_code_of_an_error_is_cut() {
    let service = endpoint(|_| denied(&"x".repeat(200_000)));
    let error = farms(&service.client(program())).await.unwrap_err();
    assert!(error.to_string().len() < 500, "{} bytes", error.to_string().len());
    assert_eq!(error.fault().and_then(longhaul::Fault::code).map(str::len), Some(100));
}

#[tokio::test(start_paused = true)]
async fn the_token_on_a_revocation_is_marked_as_a_secret() {
    let service = endpoint(|_| token("T0KEN", "R", 3600));
    let client = service.client(program().revoke_by(Method::DELETE, "https://login.example.com/me"));
    farms(&client).await.unwrap();
    client.revoke().await.unwrap();
    let revocation = &service.at("/me")[0];
    assert_eq!(revocation.token(), "T0KEN");
    assert!(!format!("{:?}", revocation.headers).contains("T0KEN"), "{:?}", revocation.headers);
}
