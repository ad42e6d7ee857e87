//! No output of the binary shows a secret, wherever somebody put it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fanfare_rig::{Node, Process, eventually, server_binary};
use tempfile::TempDir;

/// It stands in every place below, alone or between other characters.
const SECRET: &str = "Zk7qPlanted4vWx";

const LIMIT: Duration = Duration::from_secs(20);

struct Ran {
    status: Option<i32>,
    out: String,
    err: String,
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Ran> {
    let mut command = Command::new(server_binary()?);
    command.args(arguments).env_clear().stdin(Stdio::null());
    let output = command.envs(environment.iter().copied()).output()?;
    Ok(Ran {
        status: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

/// Refused, and the secret is nowhere.
fn refused(arguments: &[&str], environment: &[(&str, &str)], status: i32) -> Result<String> {
    let ran = run(arguments, environment)?;
    let shown = arguments.join(" ");
    ensure!(
        ran.status == Some(status),
        "{shown}: {:?} {}",
        ran.status,
        ran.err
    );
    ensure!(
        !ran.err.contains(SECRET) && !ran.out.contains(SECRET),
        "{shown}: {}",
        ran.err
    );
    ensure!(!ran.err.contains("Planted"), "{shown}: a part: {}", ran.err);
    Ok(ran.err)
}

fn file(directory: &TempDir, name: &str, text: &str, mode: u32) -> Result<PathBuf> {
    let path = directory.path().join(name);
    fs::write(&path, text)?;
    fs::set_permissions(&path, Permissions::from_mode(mode))?;
    Ok(path)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("UTF-8")
}

#[test]
fn a_refused_key_shows_no_secret_whatever_was_written_and_where() -> Result<()> {
    let places = [
        ("api_key", "{}"),
        ("api.kyes", "{}"),
        ("api.keys.first", "{}"),
        ("api", "{}"),
        ("api", "['{}']"),
        ("pass", "{}"),
        ("http", "{}"),
        ("http.pass", "{}"),
        ("apii", "{ keys = ['{}'] }"),
        ("redis", "redis://:{}@h"),
        ("api.keys", "['a', '{} b']"),
        ("api.keys", "[['{}']]"),
        ("api.keys", "{ key = '{}' }"),
        ("api.keys", "'{},b'"),
        ("api.keys", "['{}"),
        ("api.keys", "[{}]"),
        ("api.keys", "{{}}"),
        ("api.keys", "\"{}\\x\""),
        ("http.bind", "{ a = '{}' }"),
        ("http.bind", "http://x:{}@h"),
        ("http.origins", "https://x:{}@a.com/"),
        ("http.trusted_proxies", "http://a/?k={}"),
        ("routes", "[{ path = '/a', pass = '{}' }]"),
        ("routes", "['{}']"),
        ("auth.url", "http://{}@h/"),
        ("auth.url", "http://x:{}@h/"),
        ("auth.url", "ftp://h/?key={}"),
        ("auth.url", "http://h/#{}"),
        ("auth.url", "unix:x.sock:/a?{}"),
        ("auth.url", "h?k={}"),
        ("auth.token", "{}"),
        ("layer.symmetric_encryption_keys", "['{}', '']"),
        ("layer.symmetric_encryption_keys", "['{}']"),
        ("layer.redis.password", "{}"),
        ("layer.redis.hosts", "http://:{}@h"),
        ("layer.redis.hosts", "redis://:a?{}=b@h"),
        ("layer.redis.hosts", "redis://u:{}@h:port"),
        ("layer.redis.hosts", "ann:{}@h:1"),
        ("layer.redis.hosts", "redis://h?pass={}"),
        ("layer.redis.hosts", "[{ host = 'h', pass = '{}' }]"),
        ("layer.redis.hosts", "[{ host = 'h', password = ['{}'] }]"),
        (
            "layer.redis.hosts",
            "[{ address = 'redis://:{}@h', port = 'x' }]",
        ),
        (
            "layer.redis.hosts",
            "[{ sentinels = [['h', 1]], sentinel_kwargs = { password = '{}', x = 1 } }]",
        ),
    ];
    let directory = tempfile::tempdir()?;
    for (key, value) in places {
        let value = value.replace("{}", SECRET);
        let name = key.split(['.', '[']).next().unwrap_or(key);
        let set = format!("{key}={value}");
        let error = refused(&["check", "--set", &set], &[], 78)?;
        ensure!(error.contains(name), "{set} names no key: {error}");
        let variable = format!("FANFARE__{}", key.replace('.', "__").to_uppercase());
        refused(&["check", "--print"], &[(&variable, &value)], 78)?;
        refused(&["serve"], &[(&variable, &value)], 78)?;
        // As TOML, or as what somebody took for it.
        for toml in [format!("{key} = {value}\n"), format!("{key} = '{value}'\n")] {
            let config = file(&directory, "my.toml", &toml, 0o600)?;
            let ran = run(&["check", "--print", "--config", text(&config)?], &[])?;
            ensure!(!ran.err.contains(SECRET), "{toml}: {}", ran.err);
            let shown = ran.status == Some(0) && ran.out.contains(SECRET);
            ensure!(!shown, "{toml}: {}", ran.out);
        }
    }
    Ok(())
}

#[test]
fn a_command_line_that_is_wrong_shows_no_secret() -> Result<()> {
    let arguments: [&[&str]; 4] = [
        &["check", "--set", SECRET],
        &["--set", &format!("={SECRET}"), "check"],
        &["nodes", "--url", &format!("https://x:{SECRET}@h")],
        &["nodes", "--url", &format!("ftp://h/?key={SECRET}")],
    ];
    for arguments in arguments {
        refused(arguments, &[], 64)?;
    }
    let url = format!("http://x:{SECRET}@127.0.0.1:1");
    refused(&["nodes", "--url", &url, "--key", SECRET], &[], 69)?;
    Ok(())
}

/// Secrets of every kind in a configuration that is right.
fn right(directory: &TempDir) -> Result<String> {
    let keys = format!("{SECRET}-in-file\n");
    let keys = file(directory, "keys", &keys, 0o600)?;
    let password = file(directory, "password", SECRET, 0o600)?;
    Ok(format!(
        "[api]\nkeys_file = {keys:?}\n\
         [auth]\nurl = 'http://127.0.0.1:1/a?key={SECRET}'\n\
         [layer]\nsymmetric_encryption_keys = ['{SECRET}']\n\
         [layer.redis]\nhosts = ['redis://u:{SECRET}@127.0.0.1:1', 'redis://{SECRET}@127.0.0.1:1', \
         {{ host = '127.0.0.1', port = 1, password_file = {password:?} }}]\n"
    ))
}

#[test]
fn a_right_configuration_is_printed_without_its_secrets() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let config = file(&directory, "my.toml", &right(&directory)?, 0o600)?;
    let ran = run(&["check", "--print", "--config", text(&config)?], &[])?;
    ensure!(ran.status == Some(0), "{}", ran.err);
    ensure!(
        !ran.out.contains(SECRET) && ran.err.is_empty(),
        "{}{}",
        ran.out,
        ran.err
    );
    for part in [
        "?key=***",
        "[\"***\"]",
        "password_file",
        "keys_file",
        "redis://***@",
    ] {
        ensure!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let unreachable = run(&["tail", "--group", "g", "--config", text(&config)?], &[])?;
    ensure!(!unreachable.err.contains(SECRET), "{}", unreachable.err);
    Ok(())
}

#[tokio::test]
async fn a_server_that_starts_and_serves_shows_no_secret() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let sets = ["http.bind=127.0.0.1:0", "log.level=debug"];
    let mut node = Node::start_in("node", &right(&directory)?, &sets, &[]).await?;
    for (key, due) in [("in-file", 200), ("wrong", 401)] {
        let request = node.api().anonymous(reqwest::Method::GET, "/api/v1/nodes");
        let request = request.bearer_auth(format!("{SECRET}-{key}"));
        let status = node.api().send(request).await?.status;
        ensure!(status == due, "{key}: {status}");
    }
    node.terminate()?;
    node.exit_status(LIMIT).await?;
    let said = format!("{}{}", node.log(), node.process().stdout());
    ensure!(said.contains("listening"), "{said}");
    ensure!(!said.contains(SECRET), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_log_of_json_shows_no_secret() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let config = file(&directory, "my.toml", &right(&directory)?, 0o600)?;
    let mut command = Command::new(server_binary()?);
    command.args(["serve", "--config", text(&config)?]);
    let sets = [
        "http.bind=127.0.0.1:0",
        "log.format=json",
        "log.level=debug",
    ];
    command.args(sets.iter().flat_map(|set| ["--set", set]));
    let mut process = Process::spawn("node", command)?;
    let listens = async || Ok(process.stderr().contains("\"listening\"").then_some(()));
    eventually(LIMIT, "a server that listens", listens).await?;
    process.terminate()?;
    process.exit_status(LIMIT).await?;
    let said = format!("{}{}", process.stderr(), process.stdout());
    ensure!(!said.contains(SECRET), "{said}");
    Ok(())
}

#[test]
fn the_file_of_a_secret_is_named_with_its_key_and_what_is_wrong() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let good = file(&directory, "good", &format!("{SECRET}{SECRET}\n"), 0o600)?;
    let good = text(&good)?;
    let open = file(&directory, "open", SECRET, 0o666)?;
    let empty = file(&directory, "empty", "\n", 0o600)?;
    let second = file(&directory, "second", &format!("{SECRET}\n\n"), 0o600)?;
    let spaced = file(&directory, "spaced", &format!("{SECRET} x\n"), 0o600)?;
    let missing = directory.path().join("missing");
    for (path, says) in [
        (&missing, "cannot be read: No such file"),
        (
            &open,
            "can be changed by every user of this machine (mode 0666)",
        ),
        (&empty, "empty:1): is empty"),
        (&second, "second:2): is empty"),
        (&spaced, "visible ASCII characters"),
        (&directory.path().to_owned(), "is a directory"),
    ] {
        let error = refused(
            &[
                "check",
                "--set",
                &format!("api.keys_file={}", path.display()),
            ],
            &[],
            78,
        )?;
        ensure!(
            error.contains("api.keys_file (") && error.contains(says),
            "{says}: {error}"
        );
        ensure!(error.contains(text(path)?), "{error}");
    }
    let both = [
        "check",
        "--set",
        &format!("api.keys_file={good}"),
        "--set",
        "api.keys=abcdefghijklmnopq",
    ];
    ensure!(refused(&both, &[], 78)?.contains("only one of the two"));
    let layer = format!("layer.symmetric_encryption_keys_file={}", missing.display());
    let hosts = "layer.redis.hosts=redis://h";
    let error = refused(&["check", "--set", &layer, "--set", hosts], &[], 78)?;
    ensure!(
        error.contains("symmetric_encryption_keys_file (--set"),
        "{error}"
    );
    for host in [
        format!("{{ host = 'h', password_file = {missing:?} }}"),
        format!("{{ host = 'h', password = '{SECRET}', password_file = {good:?} }}"),
        format!("{{ address = 'redis://u:{SECRET}@h', password_file = {good:?} }}"),
        format!(
            "{{ master_name = 'm', sentinels = [['h', 1]], sentinel_kwargs = {{ password_file = {missing:?} }} }}"
        ),
    ] {
        let set = format!("layer.redis.hosts=[{host}]");
        let error = refused(&["check", "--set", &set], &[], 78)?;
        ensure!(error.contains("password_file (--set"), "{error}");
    }
    Ok(())
}

#[test]
fn an_authentication_url_with_a_secret_may_stand_in_a_file() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let empty = file(&directory, "empty", "\n", 0o600)?;
    let spaced = file(&directory, "spaced", &format!("{SECRET} x\n"), 0o600)?;
    let missing = directory.path().join("missing");
    let set = |path: &Path| format!("auth.url_file={}", path.display());
    for (path, says) in [
        (&missing, "cannot be read"),
        (&empty, "is empty"),
        (&spaced, "must be a URL"),
    ] {
        let error = refused(&["check", "--set", &set(path)], &[], 78)?;
        ensure!(
            error.contains("auth.url_file") && error.contains(says),
            "{says}: {error}"
        );
    }
    let url = file(
        &directory,
        "url",
        &format!("http://h/a?key={SECRET}\n"),
        0o600,
    )?;
    let ran = run(&["check", "--print", "--set", &set(&url)], &[])?;
    ensure!(
        ran.status == Some(0) && !ran.out.contains(SECRET),
        "{}{}",
        ran.out,
        ran.err
    );
    let both = ["check", "--set", &set(&url), "--set", "auth.url=http://h/"];
    ensure!(refused(&both, &[], 78)?.contains("only one of the two"));
    Ok(())
}

#[test]
fn a_file_that_everybody_can_read_is_taken_with_a_warning() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = file(
        &directory,
        "keys",
        &format!("{SECRET}1\r\n{SECRET}2\n"),
        0o644,
    )?;
    let ran = run(&["check"], &[("FANFARE__API__KEYS_FILE", text(&path)?)])?;
    ensure!(ran.status == Some(0), "{}", ran.err);
    let says = format!(
        "{} can be read by every user of this machine (mode 0644)",
        path.display()
    );
    ensure!(
        ran.err
            .starts_with("warning: api.keys_file (FANFARE__API__KEYS_FILE): "),
        "{}",
        ran.err
    );
    ensure!(
        ran.err.contains(&says) && !ran.err.contains(SECRET),
        "{}",
        ran.err
    );
    Ok(())
}
