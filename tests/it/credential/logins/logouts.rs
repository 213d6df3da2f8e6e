//! Logouts, and logins beside a refresh: whose token is in use afterwards.

use longhaul::ErrorKind;

use super::*;

const AUTHORIZE: &str = "https://login.example.com/authorize";

fn browser() -> OAuth {
    OAuth::authorization_code(AUTHORIZE, ENDPOINT, "id", "http://localhost/back")
}

/// Begins a login, and ends it.
async fn logs_in(client: &Client, oauth: &OAuth) -> longhaul::Result<()> {
    let login = oauth.login().unwrap();
    let back = format!("/back?code=C&state={}", login.state());
    client.log_in(login, back).await
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_under_way_does_not_undo_a_login() {
    let service = endpoint(|asked| match asked.body.contains("authorization_code") {
        true => token("bob", "RB", 3600),
        false => token("alice", "RA", 3600).after(10 * SECOND),
    });
    let vault = Vault::with(spent());
    let oauth = browser().store(vault.clone());
    let client = service.client(oauth.clone());
    let (answer, login) = tokio::join!(farms(&client), async {
        tokio::time::sleep(SECOND).await;
        logs_in(&client, &oauth).await
    });
    answer.unwrap();
    login.unwrap();
    tokio::time::sleep(MINUTE).await;
    farms(&client).await.unwrap();
    assert_eq!((service.last_token().as_str(), vault.refresh_token().as_deref()), ("bob", Some("RB")));
}

#[tokio::test(start_paused = true)]
async fn a_code_goes_to_the_endpoint_that_its_login_was_begun_at() {
    let service = endpoint(|_| token("T", "R", 3600));
    let others = OAuth::refresh_only("https://other.example/token", "id").token_header("x-other", "").token(spent());
    let credential = Credential::oauth(others).and(Credential::oauth(browser()));
    let client = service.builder(credential).build().unwrap();
    logs_in(&client, &browser()).await.unwrap();
    let stranger = OAuth::authorization_code(AUTHORIZE, ENDPOINT, "another", "http://localhost/back");
    assert_eq!(logs_in(&client, &stranger).await.unwrap_err().kind(), ErrorKind::Config);
    let with_code = service.asked().into_iter().filter(|asked| asked.body.contains("code="));
    assert_eq!(with_code.map(|asked| asked.url.to_string()).collect::<Vec<_>>(), [ENDPOINT]);
}

#[tokio::test(start_paused = true)]
async fn an_unconfirmed_logout_is_an_error_and_forgets_all_the_same() {
    let service = service(|asked| match asked.url.path() {
        "/revoke" => reply(401).json(json!({"error": "invalid_client"})),
        _ => token("T", "R", 3600),
    });
    let vaults = [Vault::default(), Vault::default()];
    let of = |vault: &Vault, header: &str| {
        Credential::oauth(program().token_header(header, "").store(vault.clone()).revoke_at(REVOKE))
    };
    let credential = of(&vaults[0], "x-one").and(of(&vaults[1], "x-two"));
    let client = service.builder(credential).build().unwrap();
    farms(&client).await.unwrap();
    assert!(vaults.iter().all(|vault| vault.kept().is_some()));
    let error = client.revoke().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TokenUnavailable);
    assert!(error.to_string().contains("perhaps still valid at the service"), "{error}");
    assert!(vaults.iter().all(|vault| vault.kept().is_none()));
    assert_eq!(service.at("/revoke").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_logout_ends_a_token_that_came_and_was_not_saved() {
    let service = rotating();
    let vault = Vault::with(spent());
    vault.behaves(Manner::IsFull);
    let client = service.client(user().store(vault.clone()).revoke_at(REVOKE));
    farms(&client).await.unwrap_err();
    vault.behaves(Manner::Works);
    client.revoke().await.unwrap();
    let revoked = &service.at("/revoke")[0].body;
    assert!(revoked.contains("token=R1&"), "{revoked}");
    assert_eq!(vault.kept(), None);
}

#[tokio::test(start_paused = true)]
async fn a_request_during_a_logout_does_not_bring_the_token_back() {
    let service =
        service(|asked| reply(200).after(if asked.url.path() == "/revoke" { 5 * SECOND } else { SECOND / 9 }));
    let client = service.client(user().store(Vault::with(old("A0", HOUR))).revoke_at(REVOKE));
    farms(&client).await.unwrap();
    let (revoked, meanwhile) = tokio::join!(client.revoke(), async {
        tokio::time::sleep(SECOND).await;
        farms(&client).await
    });
    revoked.unwrap();
    assert!(meanwhile.unwrap_err().needs_login());
    assert!(farms(&client).await.unwrap_err().needs_login());
    assert_eq!(service.at("/v1/farms").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_logout_with_the_token_on_it_uses_a_good_one() {
    let service = rotating();
    let at = "https://login.example.com/tokens/me";
    for (left, used) in [(HOUR, "A0"), (Duration::ZERO, "A1")] {
        let client = service.client(user().token(old("A0", left)).revoke_by(Method::DELETE, at));
        client.revoke().await.unwrap();
        assert_eq!(service.last_token(), used);
    }
    assert_eq!(service.at("/tokens/me").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_has_the_token_and_nothing_that_asks_for_one() {
    let service = endpoint(|_| token("A", "R", 3600));
    let client = service.client(program().param("audience", "api").revoke_at(REVOKE));
    farms(&client).await.unwrap();
    client.revoke().await.unwrap();
    assert!(service.at("/token")[0].body.contains("audience=api"));
    assert_eq!(service.at("/revoke")[0].body, "token=R&token_type_hint=refresh_token");
}

#[tokio::test(start_paused = true)]
async fn after_a_logout_the_numbers_know_of_no_token() {
    let token_of = |client: &Client| client.stats().tokens()[0].clone();
    for (oauth, needs_login) in [(user().token(spent()), true), (program(), false)] {
        let service = service(|asked| match (asked.is_for_token(), asked.nth) {
            (true, 0) => token("T", "R", 3600),
            (true, _) => denied("invalid_grant"),
            (false, _) => reply(200).after(SECOND),
        });
        let client = service.client(oauth.revoke_at(REVOKE));
        farms(&client).await.unwrap();
        assert!(token_of(&client).is_active());
        let (revoked, ()) = tokio::join!(client.revoke(), async {
            tokio::time::sleep(SECOND / 2).await;
            assert!(!token_of(&client).is_active(), "it is not used any more");
        });
        revoked.unwrap();
        let token = token_of(&client);
        assert_eq!((token.is_active(), token.needs_login(), token.left()), (false, needs_login, None));
        assert_eq!((token.age(), token.refreshes()), (None, 1));
        farms(&client).await.unwrap_err();
        assert!(!token_of(&client).is_active());
        assert_eq!(token_of(&client).needs_login(), needs_login);
    }
}
