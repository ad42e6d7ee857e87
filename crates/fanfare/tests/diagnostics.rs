//! What the compiler says of the mistakes that are made most often.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

/// What every program here begins with.
const PRELUDE: &str = "
#![allow(unused)]
use std::time::Duration;
use fanfare::middleware::Authenticate;
use fanfare::{Consumer, Frame, Frames, JsonFrame, Outcome, Session, consumer};
#[derive(Clone)]
pub struct Tick;
pub struct Letter;
pub struct Inbox;
";

/// The library as this test was linked with it: what was built last.
fn library(built: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(built)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with("libfanfare-") && name.ends_with(".rlib")) {
            found.push((fs::metadata(&path)?.modified()?, path));
        }
    }
    let newest = found
        .into_iter()
        .max()
        .context("the library is not built")?;
    Ok(newest.1)
}

/// What the compiler says of a program, or that it says nothing.
fn compiled(program: &str) -> Result<String> {
    let test = std::env::current_exe()?;
    let built = test.parent().context("the test has no directory")?;
    let place = tempfile::tempdir()?;
    let source = place.path().join("program.rs");
    fs::write(&source, format!("{PRELUDE}{program}"))?;
    let mut rustc = Command::new("rustc");
    rustc.args([
        "--edition",
        "2024",
        "--crate-type",
        "lib",
        "--emit",
        "metadata",
    ]);
    rustc.arg("--out-dir").arg(place.path());
    rustc
        .arg("-L")
        .arg(format!("dependency={}", built.display()));
    rustc
        .arg("--extern")
        .arg(format!("fanfare={}", library(built)?.display()));
    let told = rustc.arg(&source).output()?.stderr;
    Ok(String::from_utf8(told)?)
}

/// That the compiler says all of this.
fn says(program: &str, expected: &[&str]) -> Result<()> {
    let told = compiled(program)?;
    for text in expected {
        assert!(
            told.contains(text),
            "{text:?} is not in what the compiler says:\n{told}"
        );
    }
    Ok(())
}

#[test]
fn a_program_without_mistakes_compiles() -> Result<()> {
    let program = "
        impl Consumer<Tick> for Inbox {
            type Event = Frames;
            async fn receive(&mut self, session: &mut Session<Tick>, _: Frame) -> Outcome {
                session.every(Duration::from_secs(1), Tick);
                session.after(Duration::from_secs(1), Tick);
                Ok(())
            }
        }
        pub fn routes() {
            let _ = consumer(\"/ws/\", || Inbox);
            let _ = Authenticate::new(async |request| Ok(request.cookie(\"id\").and(None)));
        }";
    assert_eq!(compiled(program)?, "");
    Ok(())
}

#[test]
fn a_message_of_clients_without_json_frame() -> Result<()> {
    let program = "
        impl Consumer<(), Letter> for Inbox {
            type Event = Frames;
            async fn receive(&mut self, _: &mut Session, _: Letter) -> Outcome { Ok(()) }
        }";
    let expected = [
        "`Letter` is not read from a client's message",
        "or a `JsonFrame<Letter>` where clients send JSON",
    ];
    says(program, &expected)
}

#[test]
fn a_timer_in_a_consumer_without_messages() -> Result<()> {
    let program = "
        impl Consumer for Inbox {
            type Event = Frames;
            async fn receive(&mut self, session: &mut Session, _: Frame) -> Outcome {
                session.every(Duration::from_secs(1), Tick);
                Ok(())
            }
        }";
    let expected = [
        "the messages of this session are of the type `()`, not `Tick`",
        "a consumer with messages of the type `Tick` is a `Consumer<Tick>`",
        "take a `&mut Session<Tick>`",
    ];
    says(program, &expected)
}

#[test]
fn a_route_of_something_that_is_no_consumer() -> Result<()> {
    let expected = [
        "`Inbox` is no consumer",
        "a consumer implements `Consumer` for itself",
    ];
    says(
        "pub fn route() { let _ = consumer(\"/ws/\", || Inbox); }",
        &expected,
    )
}

#[test]
fn a_factory_that_is_async() -> Result<()> {
    let program = "
        impl Consumer for Inbox { type Event = Frames; }
        pub fn route() { let _ = consumer(\"/ws/\", || async { Inbox }); }";
    let expected = [
        "is no consumer",
        "its factory is a closure that returns one, without `async`",
    ];
    says(program, &expected)
}

#[test]
fn a_resolver_of_users_that_is_not_async() -> Result<()> {
    // The compiler's own words name what is missing.
    let program = "pub fn gate() { let _ = Authenticate::new(|_request| Ok(None)); }";
    says(program, &["is not a future", "Authenticate::<R>::new"])
}
