//! A token over the end of a process.

use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use http::{Method, StatusCode};
use longhaul::credentials::{CredentialStore, FileStore, StoreError, Token};
use longhaul::testing::{self, Simulator};
use longhaul::{Client, Credential, OAuth};

use crate::child::again;
use crate::folder::Folder;

/// Saves, and dies before anybody uses what was saved.
struct Deadly(FileStore);

impl CredentialStore for Deadly {
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>> {
        self.0.load()
    }

    fn save(&self, token: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.0.save(token).await?;
            std::process::abort()
        })
    }
}

fn store(path: &str) -> FileStore {
    FileStore::encrypted(path, [9; 32])
}

#[tokio::test]
async fn a_death_between_receipt_and_use_leaves_a_working_token() {
    if let Ok(path) = std::env::var("LONGHAUL_DIES_WITH") {
        let var = |name| std::env::var(name).unwrap();
        let oauth = OAuth::refresh_only(var("LONGHAUL_TOKEN_URL"), var("LONGHAUL_CLIENT_ID"))
            .client_secret(var("LONGHAUL_CLIENT_SECRET"))
            .store(Deadly(store(&path)));
        let client = Client::builder(var("LONGHAUL_API_URL")).credential(Credential::oauth(oauth)).no_proxy();
        let _ = get(&client.build().unwrap()).await;
        unreachable!("it has died");
    }
    let service = Simulator::builder().tokens(Duration::from_secs(3600)).refreshable().start().await.unwrap();
    let folder = Folder::new();
    let path = folder.at("token").to_str().unwrap().to_owned();
    // A login, whose access token is over.
    let key = || Credential::api_key_header("Ocp-Apim-Subscription-Key", service.subscription_key());
    let of = |oauth: OAuth| testing::client(&service).credential(Credential::oauth(oauth).and(key())).build().unwrap();
    let (url, id, secret) = (service.token_url(), service.client_id(), service.client_secret());
    get(&of(OAuth::client_credentials(url.clone(), id, secret).store(store(&path)))).await.unwrap();
    let login = store(&path).load().await.unwrap().unwrap();
    let spent = login.expose_refresh().unwrap().to_owned();
    store(&path).save(Some(login.expires_at(SystemTime::UNIX_EPOCH))).await.unwrap();

    let mut command = again(
        std::env::current_exe().unwrap(),
        module_path!(),
        "a_death_between_receipt_and_use_leaves_a_working_token",
    );
    command
        .env("LONGHAUL_DIES_WITH", &path)
        .env("LONGHAUL_TOKEN_URL", url.as_str())
        .env("LONGHAUL_CLIENT_ID", id)
        .env("LONGHAUL_CLIENT_SECRET", secret)
        .env("LONGHAUL_API_URL", service.url().as_str());
    let mut child = command.spawn().unwrap();
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert!(!status.success());

    assert_eq!(service.counts().refreshes(), 1, "the refresh token was rotated");
    let stored = store(&path).load().await.unwrap().unwrap();
    assert_ne!(stored.expose_refresh(), Some(spent.as_str()));
    let client = of(OAuth::refresh_only(url, id).client_secret(secret).store(store(&path)));
    get(&client).await.unwrap();
    // Its refresh token works too.
    service.void_tokens();
    get(&client).await.unwrap();
    assert_eq!(service.counts().refreshes(), 2);
}

async fn get(client: &Client) -> longhaul::Result<StatusCode> {
    client.request(Method::GET, "farms").send().await.map(|response| response.status())
}
