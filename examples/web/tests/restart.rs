//! Exports outlive the worker that follows them.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use longhaul::testing::{self, Finish, Simulator};
use longhaul::{Client, Profile};
use longhaul_web::{Status, Store, Worker, routes};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::test]
async fn a_second_worker_finishes_what_the_first_began() -> Outcome {
    let service = Simulator::builder().task_duration(Duration::from_secs(2)).finish(Finish::Signed).start().await?;
    let folder = tempfile::tempdir()?;

    let app = App::start(&service, folder.path()).await?;
    let accepted = app.caller()?.post("exports").json(&json!({ "size": 5_000 })).send().await?;
    assert_eq!(accepted.status(), 202);
    let location = accepted.headers().get("location").ok_or("no Location")?.to_str()?.to_owned();
    let id = accepted.json::<Value>().await?.get("id").and_then(Value::as_str).ok_or("no id")?.to_owned();
    assert_eq!(location, format!("/exports/{id}"));
    while app.status(&id).await?.status != "running" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    app.kill().await;
    assert!(folder.path().join(format!("{id}.token")).exists());
    let polls = service.counts().polls();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(service.counts().polls(), polls, "a killed worker asks no more");

    let app = App::start(&service, folder.path()).await?;
    let status = app.ended(&id).await?;
    assert_eq!((status.status.as_str(), status.bytes), ("succeeded", Some(5_000)));
    let file = app.caller()?.get(format!("exports/{id}/file")).send().await?.bytes().await?;
    assert!(service.expected(&id).ok_or("no such task")?.verify(&*file)?);
    assert!(!folder.path().join(format!("{id}.token")).exists());
    assert_eq!(service.counts().submits(), 1);
    Ok(())
}

#[tokio::test]
async fn a_failed_export_says_why() -> Outcome {
    let service = Simulator::start().await?;
    let folder = tempfile::tempdir()?;
    let app = App::start(&service, folder.path()).await?;
    let body = json!({ "fail": "no such farm", "duration_ms": 50 });
    let accepted: Value = app.caller()?.post("exports").json(&body).send().await?.json().await?;
    let status = app.ended(accepted.get("id").and_then(Value::as_str).ok_or("no id")?).await?;
    assert_eq!(status.status, "failed");
    assert!(status.error.is_some_and(|error| error.contains("no such farm")));
    Ok(())
}

#[tokio::test]
async fn longhaul_itself_can_wait_for_it() -> Outcome {
    let service = Simulator::builder().finish(Finish::Signed).start().await?;
    let folder = tempfile::tempdir()?;
    let app = App::start(&service, folder.path()).await?;
    let task = app.caller()?.task().post("exports").json(&json!({ "size": 700 })).submit::<Status>().await?;
    assert_eq!(task.await?.value()?.bytes, Some(700));
    Ok(())
}

#[tokio::test]
async fn an_id_leads_out_of_no_folder() -> Outcome {
    let service = Simulator::start().await?;
    let folder = tempfile::tempdir()?;
    let app = App::start(&service, folder.path()).await?;
    for (path, expected) in [("exports/none", 404), ("exports/none/file", 404), ("exports/..%2Fsecret", 400)] {
        let refused = app.caller()?.get(path).send().await.map(|response| response.status());
        let status = refused.or_else(|error| error.status().ok_or(error))?;
        assert_eq!(status, expected, "{path}");
    }
    Ok(())
}

/// Everything that a process would hold: a client, the web side, and the worker.
struct App {
    address: SocketAddr,
    work: JoinHandle<()>,
}

impl App {
    async fn start(service: &Simulator, folder: &std::path::Path) -> Result<Self, Box<dyn Error>> {
        let (client, store) = (testing::client(service).build()?, Store::open(folder)?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let worker = Worker::new(client.clone(), store.clone());
        let web = axum::serve(listener, routes(client, store)).into_future();
        let work = tokio::spawn(async move {
            let (worked, served) = tokio::join!(worker.run(), web);
            assert!(worked.is_ok() && served.is_ok());
        });
        Ok(Self { address, work })
    }

    /// Drops all of it, in the middle of whatever it does.
    async fn kill(self) {
        self.work.abort();
        assert!(self.work.await.is_err());
    }

    fn caller(&self) -> Result<Client, longhaul::Error> {
        Client::builder(format!("http://{}", self.address)).profile(Profile::auto()).no_proxy().build()
    }

    async fn status(&self, id: &str) -> Result<Status, longhaul::Error> {
        self.caller()?.get(format!("exports/{id}")).send().await?.json().await
    }

    async fn ended(&self, id: &str) -> Result<Status, Box<dyn Error>> {
        for _ in 0..500 {
            let status = self.status(id).await?;
            if !matches!(status.status.as_str(), "accepted" | "running") {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("the export has not ended after ten seconds".into())
    }
}
