//! The example `export` over results in several forms: several links, pages, and nothing at all.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread;

use serde_json::{Value, json};

use super::folder::Folder;
use super::program;

/// What a path is answered with: status, headers, body.
type Answer = (&'static str, &'static str, String);

#[test]
fn every_link_of_a_result_is_downloaded() {
    let status = json!({"status": "done", "files": ["/files/a.csv", "/files/b.parquet?x=1", "/files/c"]});
    let ran = export(
        &json!({"result": [{"at": "/files", "kind": "link"}]}),
        &[
            ("/jobs/7", ("200", "", status.to_string())),
            ("/files/a.csv", file("one")),
            ("/files/b.parquet", file("two22")),
            ("/files/c", file("three")),
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_eq!(
        ran.files,
        [("7-0.csv", "one"), ("7-1.parquet", "two22"), ("7-2.json", "three")]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into()
    );
    let row = &ran.rows[0];
    assert_eq!((&row["state"], &row["error"], &row["verified"]), (&json!("succeeded"), &Value::Null, &json!("length")));
    assert_eq!((&row["bytes"], row["files"].as_array().unwrap().len()), (&json!(13), 3));
    assert!(row["file"].as_str().unwrap().ends_with("7-0.csv"), "{row}");
    assert_eq!(ran.rows[1]["totals"]["failed"], json!(0));
}

#[test]
fn a_link_that_fails_is_a_failure_and_the_others_stay() {
    let status = json!({"status": "done", "files": ["/files/a.csv", "/files/b.csv"]});
    let ran = export(
        &json!({"result": [{"at": "/files", "kind": "link"}]}),
        &[("/jobs/7", ("200", "", status.to_string())), ("/files/a.csv", file("one"))],
    );
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert_eq!(ran.files.get("7-0.csv").map(String::as_str), Some("one"), "{}", ran.said);
    assert!(ran.rows[0]["error"].as_str().unwrap().contains("404"), "{:?}", ran.rows);
}

#[test]
fn a_success_without_a_file_is_a_success() {
    let ran = export(
        &json!({"status_url": [{"at": "header:Location", "kind": "bare"}]}),
        &[("/jobs/7", ("204", "", String::new()))],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(ran.files.is_empty(), "{:?}", ran.files);
    assert_eq!((&ran.rows[0]["state"], &ran.rows[0]["file"]), (&json!("succeeded"), &Value::Null));
}

#[test]
fn pages_become_one_file() {
    let ran = export(
        &json!({"pages": {"url": "rows", "next": "header:Sforce-Locator?locator", "skip_repeated_header": true}}),
        &[
            ("/jobs/7", ("200", "", json!({"status": "done"}).to_string())),
            ("/rows", ("200", "Content-Type: text/csv\r\nSforce-Locator: n\r\n", "a\n1\n".into())),
            ("/rows?locator=n", ("200", "Content-Type: text/csv\r\nSforce-Locator: null\r\n", "a\n2\n".into())),
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_eq!(ran.files, [("7.pages".to_owned(), "a\n1\n2\n".to_owned())].into());
    assert_eq!(ran.rows[0]["bytes"], json!(6));
}

fn file(text: &str) -> Answer {
    ("200", "", text.to_owned())
}

struct Ran {
    code: Option<i32>,
    rows: Vec<Value>,
    files: BTreeMap<String, String>,
    said: String,
}

/// Runs `export` against a service whose one task is `/jobs/7`.
fn export(protocol: &Value, answers: &[(&'static str, Answer)]) -> Ran {
    let folder = Folder::new();
    let profile = folder.at("profile.json");
    fs::write(&profile, json!({"name": "forms", "protocol": protocol}).to_string()).unwrap();
    let out = folder.at("out");
    let arguments = ["--url", &serve(answers), "--path", "jobs", "--tasks", "1", "--json", "--profile"];
    let output = Command::new(program("export"))
        .args(arguments)
        .arg(&profile)
        .arg("--out")
        .arg(&out)
        .env("NO_PROXY", "127.0.0.1")
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let Output { status, stdout, stderr } = output;
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let rows = String::from_utf8(stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let files = fs::read_dir(&out).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
    });
    let files = files.filter(|(name, _)| !name.starts_with("tokens") && !name.ends_with(".part")).collect();
    Ran { code: status.code(), rows, files, said }
}

/// A service that answers each path as it is told to, and any other with 404.
fn serve(answers: &[(&'static str, Answer)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answers: BTreeMap<_, _> = answers.iter().cloned().collect();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answers = answers.clone();
            thread::spawn(move || answer(stream, &answers));
        }
    });
    url
}

fn answer(stream: TcpStream, answers: &BTreeMap<&'static str, Answer>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if header.trim().is_empty() {
            break;
        }
    }
    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
    let (status, headers, body) = match (line.starts_with("POST"), answers.get(&*path)) {
        (true, _) => ("202", "Location: /jobs/7\r\n", json!({"id": "7"}).to_string()),
        (false, Some(answer)) => answer.clone(),
        // A query that nobody asks for by name.
        (false, None) => match answers.get(path.split('?').next()?) {
            Some(answer) => answer.clone(),
            None => ("404", "", String::new()),
        },
    };
    let length = if status == "204" { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.1 {status} x\r\n{headers}{length}Connection: close\r\n\r\n{body}").ok()
}
