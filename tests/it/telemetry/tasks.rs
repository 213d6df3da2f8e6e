use longhaul::Task;
use serde_json::{Value, json};

use super::*;
use crate::support::accepted;

async fn submit(client: &Client) -> Task<Value> {
    client.task().post("exports").submit().await.unwrap()
}

fn alive(client: &Client) -> Vec<(&'static str, u64)> {
    client.stats().tasks().alive().collect()
}

fn ended(client: &Client) -> Vec<(&'static str, u64)> {
    client.stats().tasks().ended().collect()
}

#[tokio::test(start_paused = true)]
async fn a_task_is_counted_in_each_of_its_states_and_once_at_its_end() {
    let running = || reply(200).json(json!({"status": "running"}));
    let service =
        script([accepted().json(json!({"status": "accepted"})), running(), running(), reply(200).json(json!(7))]);
    let client = service.client().build().unwrap();
    let mut task = submit(&client).await;
    assert_eq!(alive(&client), [("accepted", 1)]);
    task.advance().await.unwrap().unwrap();
    task.advance().await.unwrap().unwrap();
    assert_eq!(alive(&client), [("running", 1)]);
    task.advance().await.unwrap().unwrap();
    task.await.unwrap();
    assert_eq!((alive(&client), ended(&client)), (vec![], vec![("succeeded", 1)]));
    let tasks = client.stats().tasks().clone();
    assert_eq!((tasks.begun(), tasks.dropped()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_with_its_submit_was_never_alive() {
    let service = script([reply(200).json(json!(7)), reply(400)]);
    let client = service.client().build().unwrap();
    drop(submit(&client).await);
    client.task().post("exports").submit::<Value>().await.unwrap_err();
    let tasks = client.stats().tasks().clone();
    assert_eq!((alive(&client), ended(&client)), (vec![], vec![("succeeded", 1)]));
    assert_eq!((tasks.begun(), tasks.dropped()), (1, 0), "a submit that failed is no task");
}

#[tokio::test(start_paused = true)]
async fn a_failed_a_stopped_and_a_dropped_task_are_told_apart() {
    let service = script([accepted(), reply(200).json(json!({"status": "failed"}))]);
    let client = service.client().build().unwrap();
    submit(&client).await.await.unwrap_err();
    assert_eq!((alive(&client), ended(&client)), (vec![], vec![("failed", 1)]));

    service.then(accepted());
    service.then(reply(410));
    submit(&client).await.await.unwrap_err();
    assert_eq!(ended(&client), [("failed", 1), ("stopped", 1)], "the status is gone, and nobody knows how it ended");

    service.then(accepted().header("retry-after", "60"));
    submit(&client).await.timeout(secs(30)).await.unwrap_err();
    assert_eq!((alive(&client), ended(&client)), (vec![], vec![("failed", 1), ("stopped", 2)]));

    service.then(accepted());
    service.then(accepted());
    let (one, other) = (submit(&client).await, submit(&client).await);
    assert_eq!(client.stats().tasks().alive_in_all(), 2);
    drop(one);
    assert_eq!((client.stats().tasks().alive_in_all(), client.stats().tasks().dropped()), (1, 1));
    drop(other);
    assert_eq!((client.stats().tasks().alive_in_all(), client.stats().tasks().dropped()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_resumed_task_is_alive_at_its_new_client() {
    let service = script([accepted(), reply(200).json(json!(7))]);
    let (first, second) = (service.client().build().unwrap(), service.client().build().unwrap());
    let task = submit(&first).await;
    let resumed = second.resume::<Value>(task.token()).unwrap();
    drop(task);
    assert_eq!((first.stats().tasks().alive_in_all(), first.stats().tasks().dropped()), (0, 1));
    assert_eq!(alive(&second), [("running", 1)], "what it is, nobody has asked yet");
    resumed.await.unwrap();
    assert_eq!((alive(&second), ended(&second)), (vec![], vec![("succeeded", 1)]));
}
