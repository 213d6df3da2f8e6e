//! Runtimes: one that ends meanwhile, one that is over, none at all.

use std::sync::mpsc;
use std::thread;

use futures::FutureExt;
use longhaul::ErrorKind;
use tokio::runtime::{Builder, Runtime};

use super::*;

const PATIENCE: Duration = Duration::from_secs(3);

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn client() -> Client {
    let source = own(|_, endpoint| Ok(endpoint.token("T")));
    service(|_| reply(200)).builder(Credential::source(source)).build().unwrap()
}

#[test]
fn a_request_on_a_runtime_that_is_over_ends_with_an_error() {
    let runtime = runtime();
    let (handle, client) = (runtime.handle().clone(), client());
    runtime.shutdown_timeout(PATIENCE);
    let (told, tells) = mpsc::channel();
    thread::spawn(move || {
        let _in = handle.enter();
        told.send(farms(&client).now_or_never()).unwrap();
    });
    let answer = tells.recv_timeout(PATIENCE).expect("the thread goes on");
    assert_eq!(answer.expect("it ends").unwrap_err().kind(), ErrorKind::TokenUnavailable);
}

#[test]
fn a_runtime_ends_while_requests_begin() {
    for _ in 0..20 {
        let runtime = runtime();
        for _ in 0..64 {
            runtime.spawn(async {
                loop {
                    let _ = farms(&client()).await;
                    tokio::task::yield_now().await;
                }
            });
        }
        let (told, tells) = mpsc::channel();
        thread::spawn(move || {
            drop(runtime);
            told.send(()).unwrap();
        });
        tells.recv_timeout(PATIENCE).expect("the runtime ends");
    }
}

#[test]
fn a_fetch_that_ended_with_its_runtime_is_made_anew_on_the_next() {
    let service = endpoint(|asked| match asked.nth {
        0 => reply(200).silent(),
        _ => token("T", "R", 3600),
    });
    let client = service.client(program());
    let asked = runtime().block_on(async { tokio::time::timeout(SECOND / 5, farms(&client)).await });
    assert!(asked.is_err());
    assert_eq!(runtime().block_on(farms(&client)).unwrap(), StatusCode::OK);
    assert_eq!(service.fetches(), 2);
}

#[test]
fn a_logout_without_a_runtime_is_an_error() {
    let revoked = client().revoke().now_or_never().expect("it ends");
    assert_eq!(revoked.unwrap_err().kind(), ErrorKind::TokenUnavailable);
}

#[test]
fn settle_waits_for_a_refresh_until_its_token_is_saved() {
    let service = endpoint(|_| token("A1", "R1", 3600).after(SECOND));
    let vault = Vault::with(old("A0", MINUTE));
    vault.behaves(Manner::IsSlow);
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let client = service.client(user().store(vault.clone()));
        // The first loads it; the next one finds it old, and goes with it.
        farms(&client).await.unwrap();
        farms(&client).await.unwrap();
        client.settle().await;
    });
    drop(runtime);
    assert_eq!((service.fetches(), vault.refresh_token().as_deref()), (1, Some("R1")));
}
