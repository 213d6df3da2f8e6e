//! Saving: no token is lost, and none that is spent is shown again, whatever the store does.

use longhaul::ErrorKind;

use super::*;

#[tokio::test(start_paused = true)]
async fn an_unsaved_token_is_kept_and_the_spent_one_not_shown() {
    for (manner, kind) in [
        (Manner::IsFull, ErrorKind::Store),
        (Manner::Hangs, ErrorKind::Store),
        (Manner::Panics, ErrorKind::TokenUnavailable),
    ] {
        let service = rotating();
        let vault = Vault::with(spent());
        vault.behaves(manner);
        let client = service.client(user().store(vault.clone()));
        assert_eq!(farms(&client).await.unwrap_err().kind(), kind);
        vault.behaves(Manner::Works);
        tokio::time::sleep(MINUTE).await;
        farms(&client).await.unwrap();
        assert_eq!((service.last_token().as_str(), vault.refresh_token().as_deref()), ("A1", Some("R1")));
        assert_eq!(service.shown(), ["R0"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_has_failed_within_a_minute() {
    let vault = Vault::with(spent());
    vault.behaves(Manner::Hangs);
    let client = rotating().client(user().store(vault));
    let error = tokio::time::timeout(MINUTE, farms(&client)).await.expect("it ends").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("30 seconds"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_given_token_yields_to_a_later_one_in_the_store() {
    let service = rotating();
    let vault = Vault::default();
    let oauth = user().token(spent()).store(vault.clone());
    farms(&service.client(oauth.clone())).await.unwrap();
    // The next process begins, and its store is not there yet.
    vault.behaves(Manner::IsUnreadable);
    let client = service.client(oauth);
    assert_eq!(farms(&client).await.unwrap_err().kind(), ErrorKind::Store);
    vault.behaves(Manner::Works);
    tokio::time::sleep(MINUTE).await;
    farms(&client).await.unwrap();
    assert_eq!((service.last_token().as_str(), service.shown()), ("A1", vec!["R0".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expired_before_it_was_saved_still_refreshes() {
    let service = endpoint(|asked| match (asked.nth, asked.refresh_token()) {
        (0, "R0") => token("A1", "R1", 10),
        (1, "R1") => token("A2", "R2", 3600),
        _ => denied("invalid_grant"),
    });
    let vault = Vault::with(spent());
    vault.behaves(Manner::IsFull);
    let client = service.client(user().store(vault.clone()));
    farms(&client).await.unwrap_err();
    tokio::time::sleep(MINUTE).await;
    vault.behaves(Manner::Works);
    farms(&client).await.unwrap();
    assert_eq!((service.last_token().as_str(), vault.refresh_token().as_deref()), ("A2", Some("R2")));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_lags_brings_no_spent_token_back() {
    let issues = rotating();
    let service = service(move |asked| match asked.is_for_token() {
        true => (issues.answer)(asked),
        // It ends in the midst of its life.
        false => reply(if asked.nth > 0 && asked.token() == "A1" { 401 } else { 200 }),
    });
    let vault = Vault::with(spent());
    let client = service.client(user().store(vault.clone()));
    farms(&client).await.unwrap();
    vault.put(spent());
    farms(&client).await.unwrap();
    assert_eq!(service.shown(), ["R0", "R1"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_fits_in_no_header_is_not_saved() {
    let service = service(|_| reply(200));
    let vault = Vault::default();
    let source = own(|nth, endpoint| Ok(endpoint.token(if nth == 0 { "eyJ\nJ" } else { "eyJ" }).expires_in(HOUR)));
    let client = service.builder(Credential::stored_source(source, vault.clone())).build().unwrap();
    let error = farms(&client).await.unwrap_err();
    assert!(error.to_string().contains("which no header may"), "{error}");
    assert_eq!(vault.kept(), None);
    tokio::time::sleep(2 * SECOND).await;
    farms(&client).await.unwrap();
    assert_eq!(service.last_token(), "eyJ");
}

#[tokio::test(start_paused = true)]
async fn a_stored_token_that_fits_in_no_header_is_refreshed() {
    let service = rotating();
    let vault = Vault::with(Token::new("eyJ\nJ").refreshed_by("R0").expires_at(start() + HOUR));
    let client = service.client(user().store(vault.clone()));
    farms(&client).await.unwrap();
    assert_eq!((service.last_token().as_str(), vault.refresh_token().as_deref()), ("A1", Some("R1")));
}
