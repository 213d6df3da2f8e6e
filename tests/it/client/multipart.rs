//! Forms with files: their bytes on the wire, and again on each attempt.

use longhaul::ErrorKind;
use longhaul::http::Multipart;
use longhaul::testing::{Recorded, reply, script};

fn form() -> Multipart {
    Multipart::new().text("file_name", "farms.csv").file("file", "farms.csv", "text/csv", "email\nann@example.com\n")
}

/// Returns the values of the parts, by the boundary that the header names.
fn parts(request: &Recorded) -> Vec<String> {
    let boundary = request.header("content-type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
    let body = String::from_utf8(request.body().to_vec()).unwrap();
    let inner = body.strip_prefix(&format!("--{boundary}\r\n")).unwrap();
    let inner = inner.strip_suffix(&format!("\r\n--{boundary}--\r\n")).unwrap();
    inner
        .split(&format!("\r\n--{boundary}\r\n"))
        .map(|part| part.split_once("\r\n\r\n").unwrap().1.to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_submit_that_is_repeated_sends_the_same_form() {
    let service = script([
        reply(503),
        reply(0).unsent(),
        reply(308).header("location", "/v1/activities/import"),
        reply(202).header("location", "tasks/1"),
        reply(200),
    ]);
    let client = service.client().build().unwrap();
    let submit = client.task().post("activities/contacts_file_import").multipart(form());
    submit.submit::<()>().await.unwrap().await.unwrap();
    let requests = service.requests();
    assert_eq!(parts(&requests[0]), ["farms.csv", "email\nann@example.com\n"]);
    for again in &requests[1..4] {
        assert_eq!(
            (again.body(), again.header("content-type")),
            (requests[0].body(), requests[0].header("content-type"))
        );
    }
    // A poll has neither the form nor its type.
    assert_eq!((requests[4].body().len(), requests[4].header("content-type")), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_call_sends_a_form_and_each_call_has_its_own_boundary() {
    let service = script([reply(200), reply(200)]);
    let client = service.client().build().unwrap();
    for _ in 0..2 {
        client.post("imports").multipart(form()).send().await.unwrap();
    }
    let requests = service.requests();
    assert_eq!(parts(&requests[0]), parts(&requests[1]));
    assert_ne!(requests[0].header("content-type"), requests[1].header("content-type"));
}

#[tokio::test(start_paused = true)]
async fn a_form_that_cannot_be_written_is_not_sent() {
    let service = script([reply(200)]);
    let client = service.client().build().unwrap();
    let form = Multipart::new().file("a", "b", "text/csv\nevil: 1", "");
    let error = client.post("imports").multipart(form).send().await.unwrap_err();
    assert_eq!((error.kind(), service.requests().len()), (ErrorKind::Request, 0));
}
