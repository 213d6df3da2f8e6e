//! Blobs and signed links on a running Azurite, the emulator of Azure's storage.
//!
//! `tests/run.sh` starts Azurite and names it in the environment. The links are signed as Azure
//! documents it for the version in [`VERSION`]:
//! <https://learn.microsoft.com/rest/api/storageservices/create-service-sas> and
//! <https://learn.microsoft.com/rest/api/storageservices/create-account-sas>.

use std::env;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Client, RequestBuilder, StatusCode};
use sha2::Sha256;
use url::Url;

/// One storage account on a running Azurite.
pub(crate) struct Azurite {
    endpoint: Url,
    account: String,
    key: Vec<u8>,
    http: Client,
}

/// How long a signed link is good for.
#[derive(Clone, Copy)]
pub(crate) enum SignedLife {
    /// From now on, for this long, and up to a second longer: `se` is written in whole seconds.
    ValidFor(Duration),
    /// It ended an hour ago.
    Expired,
}

impl Azurite {
    /// The Azurite that `tests/run.sh` has started, or `None` where it has not.
    ///
    /// # Panics
    ///
    /// Where `CI` is `true` and there is no Azurite: there, nothing may be skipped.
    pub(crate) fn from_env() -> Option<Self> {
        let Ok(url) = env::var("LONGHAUL_AZURITE_URL") else {
            assert!(
                env::var("CI").as_deref() != Ok("true"),
                "LONGHAUL_AZURITE_URL is not set, and CI skips no test: run tests/run.sh"
            );
            eprintln!("skipped: LONGHAUL_AZURITE_URL is not set; tests/run.sh starts Azurite");
            return None;
        };
        let key = env::var("LONGHAUL_AZURITE_KEY").expect("LONGHAUL_AZURITE_KEY is set");
        Some(Self {
            endpoint: Url::parse(&url).expect("LONGHAUL_AZURITE_URL is a URL"),
            account: env::var("LONGHAUL_AZURITE_ACCOUNT").expect("LONGHAUL_AZURITE_ACCOUNT is set"),
            key: STANDARD.decode(key).expect("LONGHAUL_AZURITE_KEY is base64"),
            http: Client::builder().no_proxy().timeout(PATIENCE).build().unwrap(),
        })
    }

    /// Makes the container, unless it is there already. Azure wants 3 to 63 of `a-z`, `0-9`, `-`.
    pub(crate) async fn create_container(&self, container: &str) {
        let mut url = self.owner_url(&[container]);
        url.query_pairs_mut().append_pair("restype", "container");
        let request = self.http.put(url).body(Bytes::new());
        expect(request, &[StatusCode::CREATED, StatusCode::CONFLICT]).await;
    }

    /// Puts the whole blob in one request; one of that name is replaced and gets another `ETag`.
    pub(crate) async fn put_blob(&self, container: &str, blob: &str, content: Bytes) {
        let request = self.http.put(self.owner_url(&[container, blob]));
        let request = request
            .header("x-ms-blob-type", "BlockBlob")
            // reqwest leaves it out of an empty body, and Azure insists on it.
            .header(CONTENT_LENGTH, content.len())
            .body(content);
        expect(request, &[StatusCode::CREATED]).await;
    }

    /// Deletes a blob that is there.
    pub(crate) async fn delete_blob(&self, container: &str, blob: &str) {
        let request = self.http.delete(self.owner_url(&[container, blob]));
        expect(request, &[StatusCode::ACCEPTED]).await;
    }

    /// A link that lets its holder read this one blob: a service SAS.
    pub(crate) fn sas(&self, container: &str, blob: &str, life: SignedLife) -> String {
        self.read_url(container, blob, life, &self.key)
    }

    /// A link that lives for an hour, but is signed with a key that is not the account's.
    pub(crate) fn sas_with_wrong_signature(&self, container: &str, blob: &str) -> String {
        self.read_url(container, blob, SignedLife::ValidFor(HOUR), b"not the account's key")
    }

    fn read_url(&self, container: &str, blob: &str, life: SignedLife, key: &[u8]) -> String {
        let expiry = life.expiry();
        let resource = format!("/blob/{}/{container}/{blob}", self.account);
        // sp, st, se, resource, si, sip, spr, sv, sr, snapshot, ses, rscc, rscd, rsce, rscl, rsct
        let signed = format!("r\n\n{expiry}\n{resource}\n\n\n\n{VERSION}\nb\n\n\n\n\n\n\n");
        let mut url = self.url(&[container, blob]);
        url.query_pairs_mut().extend_pairs([
            ("sv", VERSION),
            ("sr", "b"),
            ("sp", "r"),
            ("se", &expiry),
            ("sig", &sign(key, &signed)),
        ]);
        url.into()
    }

    /// A URL with leave to make, write and delete whatever is at this path: an account SAS.
    fn owner_url(&self, path: &[&str]) -> Url {
        let expiry = SignedLife::ValidFor(HOUR).expiry();
        // account, sp, ss, srt, st, se, sip, spr, sv, ses, and the line end after it
        let account = &self.account;
        let signed = format!("{account}\nwdc\nb\nco\n\n{expiry}\n\n\n{VERSION}\n\n");
        let mut url = self.url(path);
        url.query_pairs_mut().extend_pairs([
            ("sv", VERSION),
            ("ss", "b"),
            ("srt", "co"),
            ("sp", "wdc"),
            ("se", &expiry),
            ("sig", &sign(&self.key, &signed)),
        ]);
        url
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.endpoint.clone();
        url.path_segments_mut().unwrap().extend(path);
        url
    }
}

impl SignedLife {
    fn expiry(self) -> String {
        let now = Timestamp::now();
        let end = match self {
            Self::ValidFor(life) => now + life + Duration::from_nanos(999_999_999),
            Self::Expired => now - HOUR,
        };
        Timestamp::from_second(end.as_second()).unwrap().to_string()
    }
}

fn sign(key: &[u8], signed: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(signed.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

async fn expect(request: RequestBuilder, statuses: &[StatusCode]) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let body = response.text().await.unwrap();
    assert!(statuses.contains(&status), "Azurite answered {status}: {body}");
}

/// The first version of the service that takes 5000 MiB in one Put Blob is 2019-12-12; this one
/// has the sixteen signed lines of 2020-12-06. A request without `x-ms-version` speaks its `sv`.
const VERSION: &str = "2022-11-02";
const HOUR: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(60);
