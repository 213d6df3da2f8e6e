//! The token endpoint of a service: clients by id and secret, and the accounts that agreed to them.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use super::answer::Answer;
use super::head::Head;
use crate::testing::counts::Counts;
use crate::testing::grant::{Grant, Refusal};
use crate::testing::tokens::{Login, Marks, Tokens, unix};

/// Issues access tokens and refresh tokens.
#[derive(Debug)]
pub(super) struct Authority {
    secrets: BTreeMap<String, String>,
    tokens: Tokens,
    parties: HashMap<Login, Party>,
    refresh: RefreshTokens,
    access: AccessTokens,
}

/// The form of access tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum AccessTokens {
    /// JWTs whose `exp` is their expiry.
    #[default]
    Jwt,
    /// Text that reveals nothing.
    Opaque,
}

/// How a service treats refresh tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RefreshTokens {
    /// Each is valid once, and replaced by its use; a second use ends the whole login.
    #[default]
    Rotating,
    /// The same one stays valid.
    LongLived,
}

/// The two that a login connects: a client, and the account that it may act for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Party {
    pub(super) client: String,
    pub(super) account: String,
}

impl Authority {
    /// Returns an endpoint whose access tokens live this long, under these limits, without clients.
    pub(super) fn new(life: Duration, refresh: RefreshTokens, limits: &[(u32, Duration)]) -> Self {
        let tokens = Tokens::new(Marks::default(), life, limits);
        let access = AccessTokens::default();
        Self { secrets: BTreeMap::new(), tokens, parties: HashMap::new(), refresh, access }
    }

    /// Issues access tokens that reveal nothing.
    pub(super) const fn opaque(mut self) -> Self {
        self.access = AccessTokens::Opaque;
        self
    }

    pub(super) fn add_client(&mut self, id: &str, secret: &str) {
        self.secrets.insert(id.to_owned(), secret.to_owned());
    }

    /// Returns an access token and a refresh token for an account, as if its user had agreed to the client.
    pub(super) fn log_in(&mut self, client: &str, account: &str, now: Instant) -> (String, String) {
        let login = self.begin(client, account);
        (self.access_token(login, now), self.tokens.renewable(login))
    }

    /// Returns for whom a bearer token speaks, if it is valid.
    pub(super) fn party(&self, bearer: &str, now: Instant) -> Option<&Party> {
        self.parties.get(&self.tokens.login_of(bearer, now)?)
    }

    /// Returns a code for a login, as if the user had agreed to a client.
    pub(super) fn authorize(&mut self, redirect_uri: &str, challenge: &str, now: Instant) -> String {
        self.tokens.authorize(redirect_uri.to_owned(), challenge.to_owned(), now)
    }

    /// Revokes one access token, and returns whether it was valid.
    pub(super) fn revoke(&mut self, bearer: &str, counts: &mut Counts, now: Instant) -> bool {
        let is_valid = self.tokens.is_good(bearer, now);
        counts.revocations += u64::from(is_valid);
        self.tokens.revoke(bearer);
        is_valid
    }

    /// Ends the login of an access token, with all its tokens, and returns whether there was one.
    pub(super) fn end(&mut self, bearer: &str, counts: &mut Counts, now: Instant) -> bool {
        let login = self.tokens.login_of(bearer, now);
        if let Some(login) = login {
            counts.revocations += 1;
            self.tokens.end(login);
        }
        login.is_some()
    }

    /// Revokes every access token; refresh tokens stay valid.
    pub(super) fn void_access(&mut self) {
        self.tokens.void_access();
    }

    /// Counts a request for tokens at its arrival. Refused, it has to wait so long.
    pub(super) fn arrive(&mut self, counts: &mut Counts, now: Instant) -> Result<(), Duration> {
        counts.token_requests += 1;
        self.tokens.windows.admit(now).inspect_err(|_| counts.tokens_throttled += 1)
    }

    /// Answers a request for tokens, as RFC 6749 has it.
    pub(super) fn answer(&mut self, head: &Head, body: &Bytes, counts: &mut Counts, now: Instant) -> Answer {
        let secret_of = |id: &str| self.secrets.get(id).map(String::as_str);
        let granted = Grant::of_form(secret_of, head.headers(), body)
            .and_then(|(client, grant)| self.grant(&client, grant, counts, now));
        let answer = match granted {
            Ok(body) => Answer::json(StatusCode::OK, &body),
            Err(refusal) => {
                let answer = Answer::json(refusal.status(), &json!({ "error": refusal.code() }));
                match refusal {
                    Refusal::InvalidClient => answer.header(WWW_AUTHENTICATE, "Basic realm=\"oauth\""),
                    _ => answer,
                }
            }
        };
        answer.header(CACHE_CONTROL, "no-store")
    }

    fn grant(&mut self, client: &str, grant: Grant, counts: &mut Counts, now: Instant) -> Result<Value, Refusal> {
        let (login, refresh_token) = match grant {
            Grant::Client => {
                counts.logins += 1;
                (self.begin(client, client), None)
            }
            Grant::Refresh { token } => {
                let login = match self.refresh {
                    RefreshTokens::Rotating => self.tokens.spend(&token),
                    RefreshTokens::LongLived => self.tokens.login_of_refresh(&token),
                };
                let ours = login.filter(|login| self.parties.get(login).is_some_and(|party| party.client == client));
                let login = ours.ok_or(Refusal::InvalidGrant)?;
                counts.refreshes += 1;
                let next = match self.refresh {
                    RefreshTokens::Rotating => self.tokens.renewable(login),
                    RefreshTokens::LongLived => token,
                };
                (login, Some(next))
            }
            Grant::Code { code, redirect_uri, verifier } => {
                let login = self.tokens.redeem(&code, &redirect_uri, &verifier, now).ok_or(Refusal::InvalidGrant)?;
                let party = Party { client: client.to_owned(), account: client.to_owned() };
                self.parties.insert(login, party);
                counts.logins += 1;
                (login, Some(self.tokens.renewable(login)))
            }
            Grant::Password => return Err(Refusal::UnsupportedGrantType),
        };
        let mut body = json!({
            "access_token": self.access_token(login, now),
            "token_type": "Bearer",
            "expires_in": self.tokens.life().as_secs().max(1),
        });
        if let (Some(next), Some(body)) = (refresh_token, body.as_object_mut()) {
            body.insert("refresh_token".to_owned(), json!(next));
        }
        Ok(body)
    }

    fn begin(&mut self, client: &str, account: &str) -> Login {
        let login = self.tokens.log_in();
        self.parties.insert(login, Party { client: client.to_owned(), account: account.to_owned() });
        login
    }

    fn access_token(&mut self, login: Login, now: Instant) -> String {
        if self.access == AccessTokens::Opaque {
            return self.tokens.opaque(login, now);
        }
        let account = self.parties.get(&login).map(|party| party.account.clone()).unwrap_or_default();
        let expiry = SystemTime::now().checked_add(self.tokens.life()).map(|at| json!(unix(at)));
        self.tokens.jwt(login, &account, expiry, now)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::testing::seen::Side;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn ask(authority: &mut Authority, form: &str, counts: &mut Counts) -> Answer {
        let request = Request::post("/token").header("Content-Type", "application/x-www-form-urlencoded");
        let head = Head::new(Side::Token, request.body(()).unwrap().into_parts().0);
        authority.answer(&head, &Bytes::copy_from_slice(form.as_bytes()), counts, Instant::now())
    }

    fn authority(refresh: RefreshTokens) -> (Authority, String) {
        let mut authority = Authority::new(HOUR, refresh, &[(1, HOUR)]);
        authority.add_client("app", "secret");
        authority.add_client("other", "secret");
        let (access, refresh) = authority.log_in("app", "farm", Instant::now());
        let party = Party { client: "app".to_owned(), account: "farm".to_owned() };
        assert_eq!(authority.party(&access, Instant::now()), Some(&party));
        assert_eq!(authority.party(&access, Instant::now() + HOUR), None);
        (authority, refresh)
    }

    #[test]
    fn a_rotating_refresh_token_is_good_once_and_a_long_lived_one_always() {
        for (kind, second) in [(RefreshTokens::Rotating, 400), (RefreshTokens::LongLived, 200)] {
            let (mut authority, refresh) = authority(kind);
            let form = format!("grant_type=refresh_token&client_id=app&refresh_token={refresh}");
            let counts = &mut Counts::default();
            assert_eq!(ask(&mut authority, &form, counts).status(), 200);
            assert_eq!(ask(&mut authority, &form, counts).status(), second, "{kind:?}");
        }
    }

    #[test]
    fn a_refresh_token_is_of_one_client() {
        let (mut authority, refresh) = authority(RefreshTokens::LongLived);
        let form = format!("grant_type=refresh_token&client_id=other&client_secret=secret&refresh_token={refresh}");
        assert_eq!(ask(&mut authority, &form, &mut Counts::default()).status(), 400);
    }

    #[test]
    fn a_client_with_its_secret_gets_a_token_and_no_refresh_token() {
        let (mut authority, _) = authority(RefreshTokens::Rotating);
        let counts = &mut Counts::default();
        let form = "grant_type=client_credentials&client_id=app&client_secret=";
        assert_eq!(ask(&mut authority, &format!("{form}wrong"), counts).status(), 401);
        assert_eq!(ask(&mut authority, &format!("{form}secret"), counts).status(), 200);
        assert_eq!(counts.logins(), 1);
    }

    #[test]
    fn a_session_ends_with_all_its_tokens_and_a_revoked_token_alone() {
        let (mut authority, refresh) = authority(RefreshTokens::LongLived);
        let (counts, now) = (&mut Counts::default(), Instant::now());
        let form = format!("grant_type=refresh_token&client_id=app&refresh_token={refresh}");
        let (access, _) = authority.log_in("app", "farm", now);
        assert!(authority.revoke(&access, counts, now) && !authority.revoke(&access, counts, now));
        assert_eq!(ask(&mut authority, &form, counts).status(), 200);
        let (access, refresh) = authority.log_in("app", "farm", now);
        assert!(authority.end(&access, counts, now) && !authority.end(&access, counts, now));
        assert_eq!(counts.revocations(), 2);
        let form = format!("grant_type=refresh_token&client_id=app&refresh_token={refresh}");
        assert_eq!(ask(&mut authority, &form, counts).status(), 400);
    }

    #[test]
    fn the_limit_counts_every_request() {
        let (mut authority, _) = authority(RefreshTokens::Rotating);
        let counts = &mut Counts::default();
        let now = Instant::now();
        assert_eq!(authority.arrive(counts, now), Ok(()));
        assert_eq!(authority.arrive(counts, now), Err(HOUR));
        assert_eq!((counts.token_requests(), counts.tokens_throttled()), (2, 1));
    }
}
