//! Progress, and what is kept of it.

use longhaul::testing::{reply, script};
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn progress_is_kept_where_an_answer_does_not_name_it() {
    let at = |percent: Value| reply(200).json(json!({"status": "running", "percentComplete": percent}));
    let service = script([
        reply(202).header("location", "tasks/1"),
        at(json!(10)),
        reply(200).json(json!({"status": "running"})),
        reply(503),
        reply(0).lost(),
        at(json!(40)),
        at(json!(30)),
        at(Value::Null),
        reply(200).json(json!({"status": "succeeded", "result": 7})),
    ]);
    let client = service.client().build().unwrap();
    let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
    let mut told = Vec::new();
    while let Some(update) = task.advance().await {
        told.push(update.unwrap().percent());
    }
    let percents =
        [None, Some(10.0), Some(10.0), Some(10.0), Some(10.0), Some(40.0), Some(30.0), Some(30.0), Some(100.0)];
    assert_eq!(told, percents);
    assert_eq!(task.await.unwrap().last_update().percent(), Some(100.0));
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_keeps_how_far_it_was() {
    let service = script([
        reply(202).header("location", "tasks/1"),
        reply(200).json(json!({"status": "running", "percentComplete": 70})),
        reply(200).json(json!({"status": "failed"})),
    ]);
    let client = service.client().build().unwrap();
    let error = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap_err();
    assert_eq!(error.last_update().unwrap().percent(), Some(70.0));
}
