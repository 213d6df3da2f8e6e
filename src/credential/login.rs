//! Login: a user's login through the browser, with PKCE.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::Url;

use super::oauth_settings::OAuthSettings;
use crate::error::{Error, ErrorKind};
use crate::redact::{Mask, Secret, brief, shown};

/// A login in progress: [`OAuth::login`](crate::OAuth::login). `Debug` shows neither its state nor its verifier.
///
/// A login is valid once. Keep it until the browser comes back; [`state`](Login::state) distinguishes several.
pub struct Login {
    url: Url,
    state: Secret,
    pub(crate) verifier: Secret,
    /// The endpoint that the code is for.
    endpoint: String,
    client_id: String,
}

impl Login {
    /// Begins a login: [`OAuth::login`](super::OAuth::login).
    pub(super) fn begin(settings: &OAuthSettings) -> Result<Self, Error> {
        settings.check()?;
        let wrong = |why: &str| Error::new(ErrorKind::Config, why);
        let (authorize, redirect, client_id, scope) =
            settings.login_at().ok_or_else(|| wrong("a login needs OAuth::authorization_code"))?;
        let mut url = Url::parse(authorize).map_err(|_| wrong("the URL to log in at is no URL"))?;
        let (state, verifier) = (random()?, random()?);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose().as_bytes()));
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("state", state.expose())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(scope) = scope {
            query.append_pair("scope", scope);
        }
        drop(query);
        Ok(Self { url, state, verifier, endpoint: settings.endpoint.clone(), client_id: client_id.to_owned() })
    }

    /// Returns the URL for the browser, which your code opens.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the state, which comes back with the code.
    #[must_use]
    pub fn state(&self) -> &str {
        self.state.expose()
    }

    /// Returns whether the login was begun with these settings: its code is for no other service.
    pub(super) fn is_of(&self, settings: &OAuthSettings) -> bool {
        settings.login_at().is_some() && settings.endpoint == self.endpoint && settings.client_id == self.client_id
    }

    /// Returns the code in the URL that the service redirected the browser to, if the code belongs to this login.
    ///
    /// `known` are the secrets of the credential that the login was begun for: the service may repeat them in its
    /// answer.
    pub(crate) fn code(&self, redirected: &str, known: Vec<Secret>) -> Result<Secret, Error> {
        let wrong = |why: String| Error::new(ErrorKind::TokenRefused, why);
        // A web server knows only the path and the query.
        let here = Url::parse("http://localhost/").map_err(|_| wrong("there is no URL".into()))?;
        let url =
            here.join(redirected).map_err(|_| wrong("the URL that the browser was redirected to is no URL".into()))?;
        let find =
            |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
        if ["state", "code", "error"].into_iter().all(|name| find(name).is_none()) {
            let why = "the redirect has neither state nor code: pass the whole URL that the browser was redirected to";
            return Err(wrong(why.into()));
        }
        // Checked first: an answer that an attacker created must not log in here (RFC 6749, 10.12).
        if !find("state").is_some_and(|state| is_equal(state.as_bytes(), self.state.expose().as_bytes())) {
            return Err(wrong("the redirect has another state: it belongs to another login".into()));
        }
        if let Some(error) = find("error") {
            let own = [self.state.clone(), self.verifier.clone()].into_iter().chain(find("code").map(Secret::new));
            let mask = Mask::from_secrets(known).and(own);
            let shown = |text: &str, most| brief(&mask.hide(text), most);
            let said = find("error_description").map(|said| format!(": {}", shown(&said, 300))).unwrap_or_default();
            return Err(wrong(format!("the login was refused: `{}`{said}", shown(&error, 100))));
        }
        find("code").map(Secret::new).ok_or_else(|| wrong("the redirect has no code".into()))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("url", &shown(&self.url)).finish_non_exhaustive()
    }
}

/// Returns 256 random bits, as 43 characters.
fn random() -> Result<Secret, Error> {
    let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|error| Error::new(ErrorKind::Config, format!("the system gives no random numbers: {error}")))?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

/// Compares in constant time, at whatever position the two differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::OAuth;

    fn login() -> Login {
        OAuth::authorization_code(
            "https://l.example/authorize?a=1",
            "https://l.example/token",
            "id",
            "http://localhost/b",
        )
        .scope("a b")
        .login()
        .unwrap()
    }

    #[test]
    fn takes_the_code_of_its_own_answer_alone() {
        let login = login();
        let state = login.state().to_owned();
        assert_eq!(
            login.code(&format!("http://localhost/b?code=C%20D&state={state}"), Vec::new()).unwrap().expose(),
            "C D"
        );
        assert_eq!(login.code(&format!("/b?state={state}&code=C"), Vec::new()).unwrap().expose(), "C");
        for (redirected, why) in [
            ("/b?code=C".to_owned(), "another state"),
            ("/b?code=C&state=other".to_owned(), "another state"),
            ("/b?error=access_denied".to_owned(), "another state"),
            (format!("/b?state={state}&error=access_denied&error_description=no"), "`access_denied`: no"),
            (format!("/b?state={state}"), "has no code"),
            ("http://[".to_owned(), "no URL"),
        ] {
            let error = login.code(&redirected, Vec::new()).unwrap_err();
            assert!(error.to_string().contains(why), "{redirected}: {error}");
            assert!(!format!("{error} {error:?}").contains(&state));
        }
    }

    #[test]
    fn each_has_a_state_and_a_challenge_of_its_own_and_shows_none() {
        let (one, other) = (login(), login());
        assert!(one.state() != other.state() && one.url() != other.url());
        let pairs: std::collections::HashMap<_, _> = one.url().query_pairs().into_owned().collect();
        assert_eq!(
            (pairs["a"].as_str(), pairs["scope"].as_str(), pairs["redirect_uri"].as_str()),
            ("1", "a b", "http://localhost/b")
        );
        assert!(one.verifier.expose().len() >= 43);
        let shown = format!("{one:?}");
        assert!(!shown.contains(one.state()) && !shown.contains(one.verifier.expose()), "{shown}");
    }
}
