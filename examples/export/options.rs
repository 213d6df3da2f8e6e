//! The user's options: arguments, and secrets from the environment.

use std::env;
use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lexopt::prelude::{Long, Short, ValueExt};
use longhaul::{Credential, Profile};
use serde_json::Value;

use crate::Failure;

const HELP: &str = "\
Submits exports, waits for them, downloads and checks their results.

cargo run --example export -- [OPTIONS]

  --tasks N        how many exports (8)
  --limit N        at most so many requests in any second (15)
  --size BYTES     the size of a simulated result (4194304)
  --out DIR        where the files go (a fresh folder for temporary files; with
                   --resume, the one of FILE)
  --json           on stdout one JSON object for each task, and one of totals
  --resume FILE    go on with the tasks that an earlier run has saved

A real service, in place of a simulated one in this process:
  --url BASE       its base URL
  --path PATH      where to submit, relative to it (exports)
  --profile WHAT   how it speaks of tasks: a name such as smag_task, auto or
                   azure, or a file with a profile as JSON, or as TOML if its
                   name ends in .toml (smag_task)

  LONGHAUL_BEARER           its bearer token
  LONGHAUL_API_KEY_HEADER   another secret header, as 'Name: value'
  LONGHAUL_BODY             the JSON body of each submit ({}); the simulated
                            service knows size, duration_ms, format and fail
  RUST_LOG                  what to log on stderr, such as longhaul=debug

  --serve          only run the simulated service, until stdin ends; it prints
                   what to set, so that others can be run against it by --url,
                   killed, and resumed
  --help           this text

Ctrl-C saves the tokens of unfinished tasks, and prints how to go on. Exit
codes: 0 when all is well, 1 when a task or its download failed, 2 for wrong
options, 130 after Ctrl-C.
";

pub(crate) struct Options {
    pub(crate) tasks: u32,
    pub(crate) limit: u32,
    pub(crate) size: u64,
    pub(crate) out: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) resume: Option<PathBuf>,
    pub(crate) url: Option<String>,
    pub(crate) path: String,
    pub(crate) profile: Profile,
    profile_name: String,
    pub(crate) serve: bool,
    pub(crate) credential: Credential,
    pub(crate) body: Option<Value>,
}

impl Options {
    /// Reads the options; `None` if the user asked for help, and got it.
    pub(crate) fn read() -> Result<Option<Self>, Failure> {
        let mut options = Self {
            tasks: 8,
            limit: 15,
            size: 4 << 20,
            out: None,
            json: false,
            resume: None,
            url: None,
            path: "exports".into(),
            profile: Profile::smag_task(),
            profile_name: "smag_task".into(),
            serve: false,
            credential: credential()?,
            body: body()?,
        };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("tasks") => options.tasks = arguments.value()?.parse::<NonZeroU32>()?.get(),
                Long("limit") => options.limit = arguments.value()?.parse::<NonZeroU32>()?.get(),
                Long("size") => options.size = arguments.value()?.parse()?,
                Long("out") => options.out = Some(arguments.value()?.into()),
                Long("json") => options.json = true,
                Long("resume") => options.resume = Some(arguments.value()?.into()),
                Long("url") => options.url = Some(arguments.value()?.string()?),
                Long("path") => options.path = arguments.value()?.string()?,
                Long("profile") => options.profile_name = arguments.value()?.string()?,
                Long("serve") => options.serve = true,
                Short('h') | Long("help") => {
                    print!("{HELP}");
                    return Ok(None);
                }
                _ => return Err(argument.unexpected().into()),
            }
        }
        let name = &options.profile_name;
        options.profile = match Profile::by_name(name) {
            Some(profile) => profile,
            None => profile(name).map_err(|error| format!("--profile {name}: {error}"))?,
        };
        Ok(Some(options))
    }

    /// Returns the folder of the results, and creates it if necessary.
    pub(crate) fn folder(&self) -> io::Result<PathBuf> {
        if let Some(folder) = &self.out {
            fs::create_dir_all(folder)?;
            return Ok(folder.clone());
        }
        if let Some(folder) = self.resume.as_deref().and_then(Path::parent) {
            return Ok(Path::new(".").join(folder));
        }
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let folder = env::temp_dir().join(format!("longhaul-{}-{millis}", std::process::id()));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        Ok(folder)
    }

    /// Returns the command that resumes the saved tasks.
    pub(crate) fn how_to_go_on(&self, file: &Path) -> String {
        let Some(url) = &self.url else {
            return "the simulated service ends with this process: to go on later, start one with --serve".into();
        };
        let (profile, file) = (&self.profile_name, file.display());
        format!("go on with: cargo run --example export -- --url '{url}' --profile '{profile}' --resume '{file}'")
    }
}

fn profile(file: &str) -> Result<Profile, Failure> {
    let text = fs::read_to_string(file)?;
    let is_toml = Path::new(file).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    if is_toml { Ok(toml::from_str(&text)?) } else { Ok(serde_json::from_str(&text)?) }
}

fn credential() -> Result<Credential, Failure> {
    let mut credential = Credential::none();
    if let Ok(token) = env::var("LONGHAUL_BEARER") {
        credential = credential.and(Credential::bearer(token));
    }
    if let Ok(header) = env::var("LONGHAUL_API_KEY_HEADER") {
        let (name, value) = header.split_once(':').ok_or("LONGHAUL_API_KEY_HEADER: it is not 'Name: value'")?;
        credential = credential.and(Credential::api_key_header(name.trim(), value.trim()));
    }
    Ok(credential)
}

fn body() -> Result<Option<Value>, Failure> {
    let Ok(text) = env::var("LONGHAUL_BODY") else { return Ok(None) };
    Ok(Some(serde_json::from_str(&text).map_err(|error| format!("LONGHAUL_BODY is not JSON: {error}"))?))
}
