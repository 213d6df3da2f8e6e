//! Raw: the least that a download needs: a blocking socket, a buffer of 1 MiB, and a file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write, sink};
use std::net::TcpStream;
use std::path::Path;

use crate::Failure;

pub(super) fn fetch(url: &str, target: Option<&Path>) -> Result<(), Failure> {
    let rest = url.strip_prefix("http://").ok_or("not http")?;
    let (host, path) = rest.split_once('/').ok_or("no path")?;
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    // For the head alone, and small, so that most of the body goes past it.
    let mut reader = BufReader::with_capacity(1024, &stream);
    let mut left = length(&mut reader)?;
    let mut to: Box<dyn Write> = match target {
        Some(target) => Box::new(File::create(target)?),
        None => Box::new(sink()),
    };
    let head = reader.buffer();
    to.write_all(head)?;
    left -= head.len() as u64;
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        let read = (&stream).read(&mut buffer)?;
        if read == 0 {
            return Err(format!("{left} bytes are missing").into());
        }
        to.write_all(buffer.get(..read).unwrap_or_default())?;
        left = left.checked_sub(read as u64).ok_or("more than was told")?;
    }
    Ok(())
}

/// Reads the head, and returns the length of the body.
fn length(reader: &mut impl BufRead) -> Result<u64, Failure> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err("no answer".into());
        }
    }
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(format!("answered {}", head.lines().next().unwrap_or_default()).into());
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse())
    });
    Ok(length.ok_or("no length")??)
}
