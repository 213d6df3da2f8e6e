//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};
use longhaul::downloads::{Checksum, Overwrite};

pub(crate) const HELP: &str = "\
Downloads a signed or plain link into a file, over up to eight connections.

Usage: download [OPTIONS] URL --out FILE

  --out FILE               the file; until it is whole, FILE.part stands beside it
  --connections N          at most so many connections, 1 to 8 (8)
  --no-resume              begins anew, whatever an earlier run left
  --overwrite WHEN         never, if-different or always (always): what happens
                           to a FILE that is there already
  --sha256 HEX             the checksum that the file must have
  --deadline SECONDS       gives up then; the part is kept
  --help

A transfer that breaks off goes on by itself. After Ctrl-C, an error or a kill, the
same command goes on where it was, also with a fresh link to the same file.

On a terminal, stderr shows a bar. On stdout it prints JSON, a line of progress a
second at most, and one for the end (here on several lines):

  {\"event\":\"progress\",\"bytes\":52428800,\"total\":104857600,\"rate\":20971520,
   \"connections\":4}
  {\"event\":\"outcome\",\"outcome\":\"saved\",\"file\":\"/data/7.parquet\",
   \"bytes\":104857600,\"resumed_at\":0,\"reopened\":0,\"renewed\":0,\"connections\":8,
   \"verified\":[\"length\",\"md5\"],\"warnings\":[],\"error\":null}

`rate` is in bytes a second. `outcome` is `saved` or `error`; then `error` holds
{\"kind\":\"access_denied\",\"message\":\"...\"}. No query of a URL is printed.

Exit code: 0 saved, 1 error, 2 wrong options, 130 after Ctrl-C.
";

pub(crate) struct Options {
    pub(crate) url: String,
    pub(crate) out: PathBuf,
    pub(crate) connections: Option<usize>,
    pub(crate) resume: bool,
    pub(crate) overwrite: Overwrite,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) deadline: Option<Duration>,
}

impl Options {
    pub(crate) fn is_loopback(&self) -> bool {
        let host = url::Url::parse(&self.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        matches!(host.as_deref(), Some("localhost" | "127.0.0.1" | "[::1]"))
    }
}

/// Parses a command line; `None` if it asks for help.
pub(crate) fn parse(mut args: Parser) -> Result<Option<Options>, lexopt::Error> {
    let (mut url, mut out, mut connections, mut checksum, mut deadline) = (None, None, None, None, None);
    let (mut resume, mut overwrite) = (true, Overwrite::Always);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("out") => out = Some(PathBuf::from(args.value()?)),
            Arg::Long("connections") => connections = Some(connections_of(&args.value()?.string()?)?),
            Arg::Long("no-resume") => resume = false,
            Arg::Long("overwrite") => overwrite = overwrite_of(&args.value()?.string()?)?,
            Arg::Long("sha256") => checksum = Some(checksum_of(&args.value()?.string()?)?),
            Arg::Long("deadline") => deadline = Some(seconds(&args.value()?.string()?)?),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(word) if url.is_none() => url = Some(word.string()?),
            Arg::Value(_) => return Err("wanted one URL; put it in quotes, because of its `&`".into()),
            Arg::Short(_) | Arg::Long(_) => return Err(arg.unexpected()),
        }
    }
    let (Some(url), Some(out)) = (url, out) else { return Err("wanted a URL and --out FILE".into()) };
    Ok(Some(Options { url, out, connections, resume, overwrite, checksum, deadline }))
}

fn connections_of(text: &str) -> Result<usize, lexopt::Error> {
    let number = text.parse().ok().filter(|number| (1..=8).contains(number));
    number.ok_or_else(|| format!("--connections {text}: wanted a number from 1 to 8").into())
}

fn overwrite_of(text: &str) -> Result<Overwrite, lexopt::Error> {
    match text {
        "never" => Ok(Overwrite::Never),
        "if-different" => Ok(Overwrite::IfDifferent),
        "always" => Ok(Overwrite::Always),
        other => Err(format!("--overwrite {other}: wanted never, if-different or always").into()),
    }
}

fn checksum_of(text: &str) -> Result<Checksum, lexopt::Error> {
    Checksum::sha256(text).map_err(|error| format!("--sha256: {error}").into())
}

fn seconds(text: &str) -> Result<Duration, lexopt::Error> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| format!("--deadline {text}: wanted a number of seconds").into())
}
