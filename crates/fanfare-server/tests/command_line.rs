//! The real binary: what it says and how it ends.

use std::fs::OpenOptions;
use std::io::{Write as _, pipe};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use fanfare_rig::ReservedPort;

/// What a run of the binary left behind.
struct Ran {
    status: i32,
    out: String,
    err: String,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn ran(output: Output) -> Ran {
    Ran {
        status: output.status.code().expect("ended by itself"),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

fn run(arguments: &[&str]) -> Ran {
    ran(command(arguments).output().expect("the binary runs"))
}

/// A configuration file that is gone with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fanfare-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("a file in the temporary directory");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).expect("the file is still there");
    }
}

/// A port where nothing listens.
fn closed_port() -> ReservedPort {
    ReservedPort::reserve().expect("a free port")
}

#[test]
fn check_accepts_the_defaults() {
    let ran = run(&["check"]);
    assert_eq!(
        (ran.status, ran.out.as_str()),
        (0, "the configuration is valid\n"),
        "{}",
        ran.err
    );
}

#[test]
fn check_lists_every_error_of_every_source() {
    let file = File::new(
        "errors.toml",
        "[limits]\nsessions = 'x'\n[http]\nbnid = 'y'\n",
    );
    let mut command = command(&["check", "--config", file.path(), "--set", "log.format=xml"]);
    command.env("FANFARE__PING__TIMEOUT_MS", "soon");
    let ran = ran(command.output().expect("the binary runs"));
    assert_eq!(ran.status, 78);
    assert!(
        ran.err.starts_with("the configuration has 4 errors:\n"),
        "{}",
        ran.err
    );
    for part in [
        format!("limits.sessions = \"x\" ({}:2)", file.path()),
        "did you mean http.bind?".to_owned(),
        "log.format = \"xml\" (--set log.format)".to_owned(),
        "ping.timeout_ms = \"soon\" (FANFARE__PING__TIMEOUT_MS)".to_owned(),
    ] {
        assert!(ran.err.contains(&part), "{part} in {}", ran.err);
    }
}

#[test]
fn check_refuses_an_authentication_url_that_cannot_be_asked() {
    let sets = ["auth.url=localhost", "auth.concurrency=0"];
    let ran = run(&["check", "--set", sets[0], "--set", sets[1]]);
    assert_eq!(ran.status, 78);
    for part in [
        "auth.url = \"localhost\" (--set auth.url): must be a URL such as",
        "auth.concurrency = 0 (--set auth.concurrency): must be from 1 to",
    ] {
        assert!(ran.err.contains(part), "{part} in {}", ran.err);
    }
    let ran = run(&["check", "--set", "auth.url=https://example.com/auth/"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
}

#[test]
fn every_command_refuses_a_wrong_configuration() {
    for arguments in [
        &["--set", "http.bind=x"][..],
        &["serve", "--set", "http.bind=x"],
        &["health", "--set", "http.bind=x"],
        &["nodes", "--set", "http.bind=x"],
        &["tail", "--group", "g", "--set", "http.bind=x"],
        &[
            "publish",
            "--all",
            "{\"type\":\"a\"}",
            "--set",
            "http.bind=x",
        ],
    ] {
        let ran = run(arguments);
        assert_eq!(ran.status, 78, "{arguments:?}: {}", ran.err);
        assert!(
            ran.err.contains("http.bind = \"x\""),
            "{arguments:?}: {}",
            ran.err
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_a_configuration_error() {
    let ran = run(&["check", "--config", "/nowhere/fanfare.toml"]);
    assert_eq!(ran.status, 78);
    assert!(ran.err.contains("/nowhere/fanfare.toml"), "{}", ran.err);
}

#[test]
fn the_last_set_wins_before_or_after_the_command() {
    let arguments = [
        "--set",
        "http.workers=1",
        "--set",
        "http.workers=2",
        "check",
        "--print",
    ];
    assert!(run(&arguments).out.contains("workers = 2\n"));
    let arguments = [
        "--set",
        "http.workers=1",
        "check",
        "--print",
        "--set",
        "http.workers=3",
    ];
    assert!(run(&arguments).out.contains("workers = 3\n"));
    let mut command = command(&["check", "--print", "--set", "http.workers=4"]);
    command
        .env("FANFARE__HTTP__WORKERS", "9")
        .env("FANFARE__LAYER__JOIN_MS", "77");
    let ran = ran(command.output().expect("the binary runs"));
    assert!(
        ran.out.contains("workers = 4\n") && ran.out.contains("join_ms = 77\n"),
        "{}",
        ran.out
    );
}

#[test]
fn check_print_masks_secrets() {
    let ran = run(&[
        "check",
        "--print",
        "--set",
        "api.keys=['s3cret']",
        "--set",
        "layer.redis.hosts=redis://:pa55@h",
        "--set",
        "layer.symmetric_encryption_keys=['s3cret1', 's3cret2']",
    ]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("keys = [\"***\"]"), "{}", ran.out);
    let keys = "symmetric_encryption_keys = [\"***\", \"***\"]";
    assert!(ran.out.contains(keys), "{}", ran.out);
    assert!(ran.out.contains("redis://:***@h"), "{}", ran.out);
    assert!(
        !ran.out.contains("s3cret") && !ran.out.contains("pa55"),
        "{}",
        ran.out
    );
}

#[test]
fn what_check_prints_is_a_configuration() {
    let file = File::new("printed.toml", &run(&["check", "--print"]).out);
    assert_eq!(run(&["check", "--config", file.path()]).status, 0);
}

#[test]
fn a_wrong_command_line_is_usage() {
    for arguments in [
        &["--no-such-flag"][..],
        &["no-such-command"],
        &["check", "--set", "no-value"],
        &["tail"],
        &["publish", "{}"],
        &["publish", "--all", "--group", "g", "{}"],
        &["nodes", "--url", "https://h"],
        &["tail", "--group", "no\tcontrols"],
    ] {
        let ran = run(arguments);
        assert_eq!(ran.status, 64, "{arguments:?}: {}", ran.err);
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    let help = run(&["--help"]);
    assert_eq!(help.status, 0);
    for word in [
        "serve", "check", "health", "publish", "tail", "nodes", "64", "69", "78",
    ] {
        assert!(help.out.contains(word), "{word} in {}", help.out);
    }
    let version = run(&["--version"]);
    assert_eq!(version.status, 0);
    assert_eq!(
        version.out,
        format!("fanfare {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn tail_on_the_memory_layer_is_unavailable_and_says_why() {
    let ran = run(&["tail", "--group", "g"]);
    assert_eq!(ran.status, 69);
    assert!(
        ran.err.contains("memory layer") && ran.err.contains("Redis"),
        "{}",
        ran.err
    );
}

#[test]
fn a_wrong_event_is_usage_and_says_what_is_wrong() {
    for (json, reason) in [
        ("{\"type\":\n  oops}", "line 2, column 3"),
        ("[]", "object"),
        ("{}", "type"),
        ("{\"type\":\"\"}", "empty"),
        ("{\"type\":\"websocket.send\"}", "websocket."),
        ("{\"type\":\"_a\"}", "must not start"),
        ("{\"type\":\"a\",\"__fanfare__\":{}}", "reserved"),
    ] {
        let ran = run(&["publish", "--all", json]);
        assert_eq!(ran.status, 64, "{json}: {}", ran.err);
        assert!(ran.err.contains(reason), "{json}: {}", ran.err);
    }
}

#[test]
fn an_event_may_come_from_standard_input() {
    let mut child = command(&["publish", "--all", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin
        .write_all(b"{\"type\": \"_from_stdin\"}")
        .expect("read to its end");
    drop(stdin);
    let ran = ran(child.wait_with_output().expect("ends"));
    assert_eq!(ran.status, 64);
    assert!(ran.err.contains("must not start"), "{}", ran.err);
}

#[test]
fn a_server_that_is_not_there_is_unavailable_but_for_health_just_not_ready() {
    let (remote, local) = (closed_port(), closed_port());
    let url = format!("http://127.0.0.1:{}", remote.number());
    let bind = format!("http.bind=127.0.0.1:{}", local.number());
    for arguments in [
        &["nodes", "--url", &url][..],
        &["nodes", "--url", "unix:/nowhere/fanfare.sock"],
        &["nodes", "--set", &bind],
        &["publish", "--all", "--url", &url, "{\"type\":\"a\"}"],
        &[
            "publish",
            "--group",
            "g",
            "--set",
            &bind,
            "{\"type\":\"a\"}",
        ],
    ] {
        let ran = run(arguments);
        assert_eq!(ran.status, 69, "{arguments:?}: {}", ran.err);
        assert!(
            ran.err.contains("no answer from"),
            "{arguments:?}: {}",
            ran.err
        );
    }
    let ran = run(&["health", "--url", &url]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("not ready"), "{}", ran.err);
}

#[test]
fn redis_that_is_not_there_is_unavailable_without_its_password() {
    let port = closed_port();
    let hosts = format!(
        "layer.redis.hosts=redis://:pa55@127.0.0.1:{}",
        port.number()
    );
    for arguments in [
        &["tail", "--group", "g", "--set", &hosts][..],
        &["publish", "--all", "--set", &hosts, "{\"type\":\"a\"}"],
    ] {
        let ran = run(arguments);
        assert_eq!(ran.status, 69, "{arguments:?}: {}", ran.err);
        assert!(
            ran.err.contains("no answer from redis://:***@"),
            "{arguments:?}: {}",
            ran.err
        );
        assert!(!ran.err.contains("pa55"), "{}", ran.err);
    }
}

#[test]
fn names_are_checked_before_anything_is_published() {
    let port = closed_port();
    let hosts = format!("layer.redis.hosts=redis://127.0.0.1:{}", port.number());
    for target in [
        ["--group", "no\tcontrols"],
        ["--channel", "fanfare:x"],
        ["--user", ""],
    ] {
        for layer in [hosts.as_str(), "layer.backend=memory"] {
            let mut arguments = vec!["publish", "--set", layer, "{\"type\":\"a\"}"];
            arguments.extend(target);
            let ran = run(&arguments);
            assert_eq!(ran.status, 64, "{arguments:?}: {}", ran.err);
        }
    }
}

#[test]
fn a_reader_that_has_gone_changes_no_status_and_a_full_disk_is_a_failure() {
    for (arguments, status) in [
        (&["check"][..], 0),
        (&["check", "--print"], 0),
        (&["--help"], 0),
        (&["--version"], 0),
        (&["check", "--set", "no-value"], 64),
        (&["check", "--set", "http.bind=x"], 78),
    ] {
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        let gone = || Stdio::from(writer.try_clone().expect("a copy"));
        let mut with_gone = command(arguments);
        let ended = with_gone.stdout(gone()).stderr(gone()).status();
        let ended = ended.expect("the binary runs");
        assert_eq!(ended.code(), Some(status), "{arguments:?}");
        let full = || OpenOptions::new().write(true).open("/dev/full");
        let mut with_full = command(arguments);
        let with_full = with_full.stdout(full().expect("/dev/full"));
        let ran = ran(with_full.output().expect("the binary runs"));
        // The status says that the answer was lost, where there was one.
        let due = if status == 0 { 1 } else { status };
        assert_eq!(ran.status, due, "{arguments:?}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{arguments:?}: {}", ran.err);
        let mut silent = command(arguments);
        let silent = silent.stderr(full().expect("/dev/full")).output();
        let silent = silent.expect("the binary runs");
        assert_eq!(silent.status.code(), Some(status), "{arguments:?}");
    }
}

#[test]
fn why_it_ends_keeps_no_process_when_nobody_reads() {
    let (_reader, mut writer) = pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&writer, true).expect("non-blocking");
    while writer.write(&[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).expect("blocking");
    let mut command = command(&["check", "--set", "http.bind=x"]);
    let ended = command.stderr(writer).status().expect("the binary runs");
    assert_eq!(ended.code(), Some(78));
}
