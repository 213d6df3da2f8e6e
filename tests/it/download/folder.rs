//! Names that a storage suggests, and all links of an outcome in one folder.

use longhaul::downloads::Overwrite;
use longhaul::protocols::{ResultKind, Source};
use longhaul::{Protocol, downloads::DownloadAll};

use super::*;

/// A file behind one of several links: its name on the storage is its content.
fn content_of(ask: &Ask) -> Vec<u8> {
    let path = ask.target.split('?').next().unwrap();
    path.bytes().cycle().take(100_000).collect()
}

/// A storage of many files, each of 100 kB, each with an ETag of its own.
fn shelf(rule: impl Fn(&Ask, Answer) -> Answer + Send + Sync + 'static) -> Depot {
    Depot::new(vec![0; 100_000].into(), move |ask, answer| {
        let body = content_of(ask)[ask.first..ask.end].to_vec();
        let path = ask.target.split('?').next().unwrap();
        rule(ask, answer.body(body).set("etag", format!("\"{path}\"")))
    })
}

/// The outcome of a task with these links.
async fn outcome(depot: &Depot, paths: &[&str]) -> Outcome<Value> {
    let files: Vec<_> = paths.iter().map(|path| format!("https://store.example.net{path}?sig=S3CRET")).collect();
    let service = script([accepted(), reply(200).json(json!({"status": "succeeded", "files": files}))]);
    let client = service.client().storage_http(depot.clone()).download_connections(64).build().unwrap();
    task_of(&client).await
}

async fn task_of(client: &Client) -> Outcome<Value> {
    let protocol = Protocol::auto().result(Source::pointer("/files/*"), ResultKind::Link);
    client.task().protocol(protocol).post("exports").submit::<Value>().await.unwrap().await.unwrap()
}

/// One connection for each file.
fn single(all: DownloadAll) -> DownloadAll {
    all.each_with(|download| download.connections(1))
}

fn names(receipts: &[Receipt]) -> Vec<String> {
    let name = |receipt: &Receipt| receipt.path().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    receipts.iter().map(name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_suggested_name_never_leaves_the_folder() {
    for disposition in [
        "attachment; filename=\"../../evil.csv\"",
        "attachment; filename=\"..\\..\\evil.csv\"",
        "attachment; filename=\"/etc/passwd\"",
        "attachment; filename=\"C:\\windows\\system32\\x.dll\"",
        "attachment; filename*=UTF-8''..%2F..%2Fevil.csv",
        "attachment; filename*=UTF-8''%2e%2e%5cevil.csv",
        "attachment; filename=\"..\"",
        "attachment; filename=\".\"",
        "attachment; filename=\"\"",
        "attachment; filename=\"/\"",
        "attachment; filename=\"CON\"",
        "attachment; filename=\"nul.csv\"",
        "attachment; filename=\".bashrc\"",
        "attachment; filename=\"7.part\"",
        "attachment; filename=\"7.part.json\"",
        "attachment; filename*=UTF-8''a%00b%0d%0a.csv",
        "attachment; filename*=UTF-8''%e2%80%aegpj.exe",
        "attachment; filename*=UTF-8''a%ff",
        "attachment; filename=\"a:b*c?.csv\"",
        "attachment; filename=\"unclosed",
        "attachment",
        "garbage;;;=;filename=x;",
    ] {
        let outside = Folder::new();
        let inside = outside.at("a/b");
        fs::create_dir_all(&inside).unwrap();
        let service = script([part("0-9/10", TEN_BYTES).header("content-disposition", disposition)]);
        let receipt = service.client().build().unwrap().download(LINK).to_dir(&inside).await.unwrap();
        let path = receipt.path().unwrap();
        assert_eq!(path.parent(), Some(&*inside), "{disposition}");
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.len() <= 255 && !name.starts_with('.') && !name.ends_with(".part"), "{disposition}: {name}");
        assert!(!name.chars().any(|char| char.is_control() || "/\\:*?\"<>|\u{202e}".contains(char)), "{name:?}");
        assert_eq!((fs::read(path).unwrap().as_slice(), fs::read_dir(&inside).unwrap().count()), (TEN_BYTES, 1));
        assert_eq!((outside.names().len(), fs::read_dir(outside.at("a")).unwrap().count()), (1, 1), "{disposition}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_is_that_of_the_header_else_of_the_link_else_a_plain_one() {
    for (disposition, link, expected) in [
        (Some("attachment; filename=\"Umsatz 2030.csv\""), LINK, "Umsatz 2030.csv"),
        (Some("attachment; filename=a.csv; filename*=UTF-8''%e2%82%ac.csv"), LINK, "\u{20ac}.csv"),
        (Some("attachment"), LINK, "7.parquet"),
        (None, LINK, "7.parquet"),
        (None, "https://store.example.net/a%2Fb.csv?sig=S3CRET", "b.csv"),
        (None, "https://store.example.net/?sig=S3CRET", "download"),
        (None, "https://store.example.net/..%2f?sig=S3CRET", "download"),
    ] {
        let answer = part("0-9/10", TEN_BYTES);
        let answer = disposition.map_or(answer.clone(), |stated| answer.header("content-disposition", stated));
        let folder = Folder::new();
        let receipt = script([answer]).client().build().unwrap().download(link).to_dir(folder.path()).await.unwrap();
        assert_eq!((folder.names(), receipt.bytes()), (vec![expected.to_owned()], 10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_of_an_existing_file_is_kept_on_demand() {
    let folder = Folder::new();
    folder.write("7.parquet", "of yesterday");
    let service = script([part("0-9/10", TEN_BYTES)]);
    let download = service.client().build().unwrap().download(LINK).overwrite(Overwrite::Never);
    assert_eq!(download.to_dir(folder.path()).await.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!((folder.names(), folder.read("7.parquet")), (vec!["7.parquet".to_owned()], b"of yesterday".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_file_in_a_folder_goes_on_where_it_was() {
    let folder = Folder::new();
    let service = script([part("0-9/10", "0123").cut(), reply(404), part_of_ten(0), part_of_ten(4)]);
    let client = service.client().build().unwrap();
    client.download(LINK).to_dir(folder.path()).await.unwrap_err();
    assert_eq!(folder.names(), ["7.parquet.part", "7.parquet.part.json"]);
    let receipt = client.download(LINK).to_dir(folder.path()).await.unwrap();
    assert_eq!((receipt.resumed_at(), folder.read("7.parquet").as_slice()), (4, TEN_BYTES));
    assert_eq!((folder.names(), service.left()), (vec!["7.parquet".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_is_let_go_where_a_part_is_there() {
    let depot = Depot::new(fastrand_bytes(1_000_000), |_, answer| answer.rate(100_000));
    let folder = Folder::new();
    let download = || depot.client().download(LINK).connections(1);
    download().timeout(secs(4)).to_dir(folder.path()).await.unwrap_err();
    assert!(download().to_dir(folder.path()).await.unwrap().resumed_at() > 0);
    assert_eq!(depot.most_open(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_receipts_are_in_the_order_of_the_links_and_no_two_names_are_alike() {
    // The first is the slowest.
    let depot = shelf(|ask, answer| {
        let rate = if ask.target.starts_with("/1/") { 1_000 } else { 100_000 };
        let name = if ask.target.starts_with("/3/") { "PART.csv" } else { "part.csv" };
        answer.rate(rate).set("content-disposition", format!("attachment; filename={name}"))
    });
    let paths = ["/1/a", "/2/b", "/3/c", "/4/d"];
    let folder = Folder::new();
    let receipts = single(outcome(&depot, &paths).await.download_all(folder.path())).await.unwrap();
    assert_eq!(names(&receipts), ["part.csv", "part (2).csv", "PART (3).csv", "part (4).csv"]);
    for (receipt, path) in receipts.iter().zip(paths) {
        let expected: Vec<u8> = path.bytes().cycle().take(100_000).collect();
        assert!(fs::read(receipt.path().unwrap()).unwrap() == expected, "{path}");
    }
    assert_eq!(folder.names().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn so_many_files_at_a_time_and_no_more() {
    let paths: Vec<String> = (0..9).map(|n| format!("/{n}.csv")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    for (at_once, expected) in [(0, 1), (1, 1), (3, 3), (100, 9)] {
        let depot = shelf(|_, answer| answer.rate(10_000));
        let folder = Folder::new();
        let all = single(outcome(&depot, &paths).await.download_all(folder.path())).at_once(at_once);
        assert_eq!(all.await.unwrap().len(), 9);
        assert_eq!(depot.most_open(), expected, "{at_once}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_files_of_a_folder_share_the_connections_of_their_client() {
    let depot = shelf(|_, answer| answer.rate(10_000));
    let files: Vec<_> = (0..6).map(|n| format!("https://store.example.net/{n}?sig=S3CRET")).collect();
    let service = script([accepted(), reply(200).json(json!({"status": "succeeded", "files": files}))]);
    let client = service.client().storage_http(depot.clone()).download_connections(2).build().unwrap();
    let folder = Folder::new();
    let receipts = task_of(&client).await.download_all(folder.path()).await.unwrap();
    assert_eq!((receipts.len(), folder.names().len()), (6, 6));
    assert_eq!(depot.most_open(), 2);
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_second_call_fetches_nothing_again() {
    let depot = shelf(|_, answer| answer);
    let paths = ["/1/part.csv", "/2/part.csv", "/3.csv"];
    let folder = Folder::new();
    let outcome = outcome(&depot, &paths).await;
    let first = outcome.download_all(folder.path()).await.unwrap();
    let sent = depot.sent();
    assert_eq!(sent, 300_000);
    let second = outcome.download_all(folder.path()).await.unwrap();
    assert_eq!((names(&first), depot.sent()), (names(&second), sent));
    assert!(second.iter().all(Receipt::is_unchanged) && !first.iter().any(Receipt::is_unchanged));
    assert_eq!(folder.names(), ["3.csv", "part (2).csv", "part.csv"]);
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_link_that_fails_leaves_the_others_and_comes_alone_next_time() {
    let works = Arc::new(Mutex::new(false));
    let flag = works.clone();
    let depot = shelf(move |ask, answer| {
        let fails = ask.target.starts_with("/1/") && !*flag.lock().unwrap();
        if fails { Answer::of(409, "no") } else { answer }
    });
    let folder = Folder::new();
    let outcome = outcome(&depot, &["/1/part.csv", "/2/part.csv", "/3/part.csv"]).await;
    let each = outcome.download_all(folder.path()).each().await;
    assert_eq!(each[0].as_ref().unwrap_err().kind(), ErrorKind::ResultUnavailable);
    assert!(each[1].is_ok() && each[2].is_ok());
    let error = outcome.download_all(folder.path()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::ResultUnavailable && !shown(&error).contains("S3CRET"), "{error}");
    // The names of the others do not depend on it.
    *works.lock().unwrap() = true;
    let sent = depot.sent();
    let receipts = outcome.download_all(folder.path()).await.unwrap();
    assert_eq!(names(&receipts), ["part.csv", "part (2).csv", "part (3).csv"]);
    assert_eq!(depot.sent() - sent, 100_000);
    assert_eq!(receipts.iter().filter(|receipt| receipt.is_unchanged()).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_progress_is_that_of_all_files() {
    let depot = shelf(|_, answer| answer.rate(10_000));
    let folder = Folder::new();
    let all = single(outcome(&depot, &["/1", "/2", "/3"]).await.download_all(folder.path()));
    let mut watch = all.progress();
    let counting = async {
        let mut seen = Vec::new();
        while let Some(progress) = watch.changed().await {
            seen.push((progress.bytes(), progress.total(), progress.connections()));
        }
        seen
    };
    let (done, seen) = tokio::join!(all.each(), counting);
    assert!(done.iter().all(Result::is_ok));
    assert_eq!(seen.last(), Some(&(300_000, Some(300_000), 0)), "{seen:?}");
    assert!(seen.iter().any(|(_, _, connections)| *connections == 3), "{seen:?}");
    assert!(seen.iter().map(|(bytes, ..)| bytes).is_sorted(), "{seen:?}");
}
