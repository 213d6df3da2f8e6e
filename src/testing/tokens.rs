//! The tokens of the service: the issued ones, and their validity.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::testing::trouble::TokenTrouble;
use crate::testing::window::Windows;

/// Every issued token, spent or not.
#[derive(Debug)]
pub(super) struct Tokens {
    marks: Marks,
    life: Duration,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    codes: HashMap<String, Code>,
    logins: u64,
    pub(super) windows: Windows,
    /// The failures of the next requests, in this order.
    pub(super) trouble: VecDeque<TokenTrouble>,
}

/// Marks that every token of this service contains and no other text does, so that a misplaced token is found.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    pub(super) access: String,
    pub(super) refresh: String,
}

/// One login, and all tokens that originate from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Login(u64);

#[derive(Debug)]
struct Access {
    login: Login,
    until: Option<Instant>,
}

#[derive(Debug)]
struct Refresh {
    login: Login,
    spent: bool,
}

#[derive(Debug)]
struct Code {
    redirect_uri: String,
    challenge: String,
    until: Option<Instant>,
    /// The login that the code granted.
    spent: Option<Login>,
}

impl Tokens {
    pub(super) fn new(marks: Marks, life: Duration, limits: &[(u32, Duration)]) -> Self {
        Self {
            marks,
            life,
            access: HashMap::new(),
            refresh: HashMap::new(),
            codes: HashMap::new(),
            logins: 0,
            windows: Windows::new(limits),
            trouble: VecDeque::new(),
        }
    }

    pub(super) fn life(&self) -> Duration {
        self.life
    }

    pub(super) fn is_good(&self, access: &str, now: Instant) -> bool {
        self.login_of(access, now).is_some()
    }

    /// Returns the login of a valid access token.
    pub(super) fn login_of(&self, access: &str, now: Instant) -> Option<Login> {
        let found = self.access.get(access).filter(|access| access.until.is_none_or(|until| now < until));
        found.map(|access| access.login)
    }

    /// Returns the login of a refresh token that was not spent.
    pub(super) fn login_of_refresh(&self, refresh: &str) -> Option<Login> {
        self.refresh.get(refresh).filter(|refresh| !refresh.spent).map(|refresh| refresh.login)
    }

    pub(super) fn log_in(&mut self) -> Login {
        self.logins += 1;
        Login(self.logins)
    }

    /// Issues a new access token that reveals nothing.
    pub(super) fn opaque(&mut self, login: Login, now: Instant) -> String {
        let token = format!("{}{}", self.marks.access, random(32));
        self.keep(token, login, now)
    }

    /// Issues a new access token that names its user and, in this member, its expiry.
    pub(super) fn jwt(&mut self, login: Login, user: &str, expiry: Option<Value>, now: Instant) -> String {
        let mut claims = json!({ "sub": user, "iat": unix(SystemTime::now()) });
        if let (Some(expiry), Some(claims)) = (expiry, claims.as_object_mut()) {
            claims.insert("exp".to_owned(), expiry);
        }
        let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let header = part(json!({ "alg": "none", "typ": "JWT" }));
        let token = format!("{header}.{}.{}{}", part(claims), self.marks.access, random(20));
        self.keep(token, login, now)
    }

    fn keep(&mut self, token: String, login: Login, now: Instant) -> String {
        self.access.insert(token.clone(), Access { login, until: now.checked_add(self.life) });
        token
    }

    /// Issues a new refresh token, valid once.
    pub(super) fn renewable(&mut self, login: Login) -> String {
        let token = format!("{}{}", self.marks.refresh, random(32));
        self.refresh.insert(token.clone(), Refresh { login, spent: false });
        token
    }

    /// Spends a refresh token. A token that was spent before must be assumed stolen: its whole login ends ([RFC 9700,
    /// 4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2)).
    pub(super) fn spend(&mut self, refresh: &str) -> Option<Login> {
        let found = self.refresh.get_mut(refresh)?;
        let login = found.login;
        if std::mem::replace(&mut found.spent, true) {
            self.end(login);
            return None;
        }
        Some(login)
    }

    /// Issues a code, as if a user had agreed.
    pub(super) fn authorize(&mut self, redirect_uri: String, challenge: String, now: Instant) -> String {
        let code = random(24);
        let until = now.checked_add(LIFE_OF_A_CODE);
        self.codes.insert(code.clone(), Code { redirect_uri, challenge, until, spent: None });
        code
    }

    /// Spends a code ([RFC 7636, 4.6](https://www.rfc-editor.org/rfc/rfc7636#section-4.6)). A second use of a code, or
    /// a use with a wrong parameter, indicates a stolen code: the code is void from then on.
    pub(super) fn redeem(&mut self, code: &str, redirect_uri: &str, verifier: &str, now: Instant) -> Option<Login> {
        let found = self.codes.remove(code)?;
        if let Some(login) = found.spent {
            self.end(login);
            return None;
        }
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let in_time = found.until.is_none_or(|until| now < until);
        if !in_time || found.redirect_uri != redirect_uri || found.challenge != challenge {
            return None;
        }
        let login = self.log_in();
        self.codes.insert(code.to_owned(), Code { spent: Some(login), ..found });
        Some(login)
    }

    /// Revokes an access token, or the whole login of a refresh token ([RFC 7009,
    /// 2.1](https://www.rfc-editor.org/rfc/rfc7009#section-2.1)).
    pub(super) fn revoke(&mut self, token: &str) {
        self.access.remove(token);
        if let Some(login) = self.refresh.get(token).map(|refresh| refresh.login) {
            self.end(login);
        }
    }

    /// Revokes every access token.
    pub(super) fn void_access(&mut self) {
        self.access.clear();
    }

    /// Revokes everything that was issued.
    pub(super) fn void_all(&mut self) {
        self.access.clear();
        self.refresh.clear();
        self.codes.clear();
    }

    /// Revokes all tokens of a login.
    pub(super) fn end(&mut self, login: Login) {
        self.access.retain(|_, access| access.login != login);
        self.refresh.retain(|_, refresh| refresh.login != login);
    }
}

impl Default for Marks {
    fn default() -> Self {
        Self { access: format!("at{}", random(10)), refresh: format!("rt{}", random(10)) }
    }
}

/// Returns the seconds since 1970, to the millisecond.
pub(super) fn unix(moment: SystemTime) -> f64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1_000.0).round() / 1_000.0
}

/// Returns random letters and digits.
pub(super) fn random(length: usize) -> String {
    (0..length).map(|_| fastrand::alphanumeric()).collect()
}

/// Long enough for any test, and within the ten minutes of RFC 6749, 4.1.2.
const LIFE_OF_A_CODE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    /// The example of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn tokens() -> (Tokens, Instant) {
        (Tokens::new(Marks::default(), HOUR, &[]), Instant::now())
    }

    #[test]
    fn an_access_token_is_good_until_its_life_is_over() {
        let (mut tokens, now) = tokens();
        let login = tokens.log_in();
        for token in [tokens.opaque(login, now), tokens.jwt(login, "me", None, now)] {
            assert!(tokens.is_good(&token, now + HOUR - Duration::from_nanos(1)));
            assert!(!tokens.is_good(&token, now + HOUR));
        }
        assert!(!tokens.is_good("another", now));
    }

    #[test]
    fn a_refresh_token_is_good_once_and_its_reuse_ends_the_login() {
        let (mut tokens, now) = tokens();
        let (login, other) = (tokens.log_in(), tokens.log_in());
        let (first, kept) = (tokens.renewable(login), tokens.renewable(other));
        assert_eq!(tokens.spend(&first), Some(login));
        let (access, second) = (tokens.opaque(login, now), tokens.renewable(login));
        assert_eq!(tokens.spend(&first), None);
        assert!(!tokens.is_good(&access, now));
        assert_eq!(tokens.spend(&second), None);
        assert_eq!(tokens.spend(&kept), Some(other));
    }

    #[test]
    fn a_code_is_good_once_with_all_that_belongs_to_it() {
        let (mut tokens, now) = tokens();
        for (uri, verifier, late) in
            [("https://a/other", VERIFIER, 0), ("https://a/", "x", 0), ("https://a/", VERIFIER, 60)]
        {
            let code = tokens.authorize("https://a/".into(), CHALLENGE.into(), now);
            assert_eq!(tokens.redeem(&code, uri, verifier, now + Duration::from_secs(late)), None);
            assert_eq!(tokens.redeem(&code, "https://a/", VERIFIER, now), None);
        }
        let code = tokens.authorize("https://a/".into(), CHALLENGE.into(), now);
        let login = tokens.redeem(&code, "https://a/", VERIFIER, now).unwrap();
        let access = tokens.opaque(login, now);
        assert_eq!(tokens.redeem(&code, "https://a/", VERIFIER, now), None);
        assert!(!tokens.is_good(&access, now));
    }

    #[test]
    fn revoking_ends_one_access_token_or_a_whole_login() {
        let (mut tokens, now) = tokens();
        let login = tokens.log_in();
        let (one, other, refresh) = (tokens.opaque(login, now), tokens.opaque(login, now), tokens.renewable(login));
        tokens.revoke(&one);
        assert!(!tokens.is_good(&one, now) && tokens.is_good(&other, now));
        tokens.revoke(&refresh);
        assert!(!tokens.is_good(&other, now));
        assert_eq!(tokens.spend(&refresh), None);
    }
}
