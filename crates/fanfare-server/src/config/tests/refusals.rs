//! What is refused, and what is said about it.

use std::time::Duration;

use super::*;

#[test]
fn everything_wrong_is_said_at_once_with_key_value_source_and_reason() {
    let file = "\
colour = 'red'
[http]
bnid = 'x'
[limits]
sessions = 'many'
outbox_bytes = 0
[log]
format = 'xml'
";
    let environment = [
        ("FANFARE__HTTP__WORKERS", "two"),
        ("FANFARE__HTPP__BIND", "x"),
    ];
    let lines = errors(
        file,
        &environment,
        &["ping.timeout_ms=-1", "http.bind=nowhere"],
    );
    let has = |start: &str, end: &str| {
        let found = lines
            .iter()
            .any(|line| line.starts_with(start) && line.contains(end));
        assert!(found, "{start} .. {end} in {lines:#?}");
    };
    has("colour (my.toml:1): unknown key", "known here");
    has(
        "http.bnid (my.toml:3): unknown key",
        "did you mean http.bind?",
    );
    has(
        "limits.sessions = \"many\" (my.toml:5): ",
        "expected an integer, found text",
    );
    has("limits.outbox_bytes = 0 (my.toml:6): ", "from 1 to");
    has(
        "log.format = \"xml\" (my.toml:8): ",
        "one of \"text\", \"json\"",
    );
    has(
        "http.workers = \"two\" (FANFARE__HTTP__WORKERS): ",
        "expected an integer",
    );
    has(
        "htpp (FANFARE__HTPP__BIND): unknown key",
        "did you mean http?",
    );
    has(
        "ping.timeout_ms = -1 (--set ping.timeout_ms): ",
        "from 1 to",
    );
    has(
        "http.bind = \"nowhere\" (--set http.bind): ",
        "ADDRESS:PORT",
    );
    assert_eq!(lines.len(), 9, "{lines:#?}");
}

#[test]
fn broken_toml_is_refused_with_line_and_column() {
    let lines = errors("[http]\nbind = \n", &[], &["log.level=loud"]);
    assert!(lines[0].starts_with("my.toml:2:"), "{lines:?}");
    assert!(
        lines.iter().any(|line| line.starts_with("log.level")),
        "{lines:?}"
    );
}

#[test]
fn more_workers_than_a_node_has_numbers_for_are_refused() {
    assert_eq!(settings("", &[], &["http.workers=64"]).http.workers, 64);
    assert!(refusal(&["http.workers=65"]).contains("must be from 0 to 64"));
}

#[test]
fn a_value_that_is_refused_makes_one_error() {
    let lines = errors("[[routes]]\npath = 3", &[], &[]);
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn a_key_without_its_section_is_told_where_it_belongs() {
    assert!(refusal(&["bind=x"]).contains("did you mean http.bind?"));
    assert!(refusal(&["sessions=3"]).contains("did you mean limits.sessions?"));
}

#[test]
fn values_that_no_key_takes_are_refused() {
    for value in ["1.5", "99999999999999999999", "2024-01-01"] {
        let lines = errors(&format!("[limits]\nsessions = {value}"), &[], &[]);
        assert!(lines[0].contains("expected an integer"), "{lines:?}");
    }
    assert!(refusal(&["limits.sessions=1.5"]).contains("expected an integer"));
    assert!(refusal(&["log.access=yes"]).contains("expected true or false"));
    assert!(refusal(&["http={}x"]).contains("TOML"));
    assert!(refusal(&["http=3"]).contains("expected a table"));
    assert!(refusal(&["routes.0.path=/x"]).contains("[[routes]]"));
    assert!(refusal(&["http.trusted_proxies=[1]"]).contains("http.trusted_proxies[0] = 1"));
}

#[test]
fn bad_addresses_networks_and_origins_are_refused() {
    assert!(refusal(&["http.bind=127.0.0.1"]).contains("127.0.0.1:8000"));
    assert!(refusal(&["http.bind=[]"]).contains("no address"));
    assert!(refusal(&["http.bind=['127.0.0.1:1', 'x']"]).starts_with("http.bind[1] = \"x\""));
    assert!(refusal(&["http.trusted_proxies=10.0.0.0/33"]).contains("10.0.0.0/8"));
    assert!(refusal(&["http.origins=a.com:x"]).contains("not a port"));
    let settings = settings("", &[], &["http.origins=a.com:8080"]);
    assert_eq!(settings.http.origins, Some(vec!["a.com:8080".to_owned()]));
}

#[test]
fn settings_that_can_never_work_are_refused_with_what_would() {
    let list = "entries are a list of 2 texts: [\"..\", \"..\"]";
    for (set, reason) in [
        ("http.origins=['null']", "only \"*\" lets them in"),
        ("http.origins=null", "only \"*\" lets them in"),
        ("http.origins=['a.example,b.example']", list),
        ("http.origins='a.example,b.example'", list),
        (
            "http.origins=bücher.example",
            "xn--bcher-kva.example: write that",
        ),
        ("http.origins=[]", "write \"same-host\""),
        ("http.trusted_proxies=['10.0.0.1,10.0.0.2']", list),
        ("api.keys=['s3cret,other']", list),
        ("http.bind=127.0.0.1:1,127.0.0.1:2", "several are a list"),
        (
            "http.bind=['127.0.0.1:1', '127.0.0.1:1']",
            "stands there twice",
        ),
        ("http.socket_mode=rw", "such as \"0660\""),
        ("http.socket_mode=01777", "such as \"0660\""),
        ("http.socket_mode=+660", "such as \"0660\""),
        ("http.socket_mode=0440", "lets nobody connect"),
        ("http.keep_alive_ms=-1", "from 0 to"),
    ] {
        let line = refusal(&[set]);
        assert!(line.contains(reason) && !line.contains("s3cret"), "{line}");
    }
    let any_port = settings("", &[], &["http.bind=['127.0.0.1:0', '127.0.0.1:0']"]);
    assert_eq!(any_port.http.bind.len(), 2);
}

#[test]
fn the_layer_must_fit_its_hosts() {
    assert!(refusal(&["layer.backend=redis"]).contains("layer.redis.hosts"));
    let both = ["layer.backend=memory", "layer.redis.hosts=redis://h"];
    assert!(refusal(&both).contains("not used"));
    assert!(refusal(&["layer.backend=kafka"]).contains("\"redis\""));
    assert!(refusal(&["layer.prefix=fanfare:x"]).contains("reserved"));
    let host = refusal(&["layer.redis.hosts=http://:s3cret@h"]);
    assert!(
        host.starts_with("layer.redis.hosts[0] = \"http://:***@h\""),
        "{host}"
    );
    assert!(!host.contains("s3cret"), "{host}");
}

#[test]
fn keys_that_cannot_be_sent_or_are_known_to_all_are_refused_and_hidden() {
    assert!(refusal(&["api.keys=['']"]).contains("empty"));
    let line = refusal(&["api.keys=['s3 cret']"]);
    assert!(
        line.contains("visible ASCII") && !line.contains("cret"),
        "{line}"
    );
    let line = refusal(&["api.key=s3cret"]);
    assert!(
        line.contains("did you mean api.keys?") && !line.contains("s3cret"),
        "{line}"
    );
}

#[test]
fn a_level_is_a_word_or_directives() {
    assert_eq!(
        settings("", &[], &["log.level=info,fanfare=debug"])
            .log
            .level,
        "info,fanfare=debug"
    );
    assert!(refusal(&["log.level=debgu"]).contains("\"debug\""));
    assert!(refusal(&["log.level=a=b=c"]).contains("directives"));
}

#[test]
fn names_with_dots_are_no_paths_and_empty_sections_have_a_place() {
    let lines = errors("\"http.bind\" = 'x'\n[Http]\n[htpp]\n", &[], &[]);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for start in [
        "\"http.bind\" (my.toml:1): unknown key",
        "Http (my.toml:2): unknown key; did you mean http?",
        "htpp (my.toml:3): unknown key; did you mean http?",
    ] {
        let found = lines.iter().any(|line| line.starts_with(start));
        assert!(found, "{start} in {lines:#?}");
    }
}

#[test]
fn an_authentication_url_is_one_that_can_be_asked() {
    const SOCKET: &str = "must have the form unix:/run/gunicorn.sock:/fanfare/auth/";
    let long = format!("auth.url=unix:/{}:/auth/", "x".repeat(200));
    for (set, reason) in [
        ("auth.url=/auth/", "http://127.0.0.1:8000"),
        ("auth.url=ftp://h/", "http://127.0.0.1:8000"),
        ("auth.url=unix:/run/app.sock", SOCKET),
        ("auth.url=unix:/run/app.sock:", SOCKET),
        ("auth.url=unix:/run/app.sock:auth/", SOCKET),
        ("auth.url=unix:run/app.sock:/auth/", SOCKET),
        ("auth.url=unix:///run/app.sock:/auth/", SOCKET),
        ("auth.url=http://unix:/run/app.sock:/auth/", SOCKET),
        ("auth.url=http://unix:/run/app.sock", SOCKET),
        ("auth.url=http+unix://%2Frun%2Fapp.sock/auth/", SOCKET),
        ("auth.url=http:///run/app.sock", SOCKET),
        ("auth.url=/run/app.sock", SOCKET),
        (&long, "cannot be the path of a Unix socket"),
        ("auth.url=unix:/run/app.sock:/#a", "no fragment"),
        ("auth.url=http://ann:s3cret@h/", "no user and no password"),
        ("auth.url=http://h/#a", "no fragment"),
        ("auth.timeout_ms=0", "from 1 to"),
        ("auth.concurrency=0", "from 1 to"),
        ("auth.cache_ms=-1", "from 0 to"),
        ("auth.cache_entries=0", "from 1 to"),
        ("auth.ca_file=/ca.pem", "auth.url, which is not set"),
        ("auth.urls=x", "did you mean auth.url?"),
    ] {
        let line = refusal(&[set]);
        assert!(line.contains(reason) && !line.contains("s3cret"), "{line}");
    }
    let line = refusal(&["auth.url=http://h/", "auth.timeout_ms=5000"]);
    assert!(line.contains("less than limits.handshake_ms"), "{line}");
    let line = refusal(&["auth.url=http://h/", "auth.ca_file=/ca.pem"]);
    assert!(line.contains("starts with https://"), "{line}");
    let auth = settings("", &[], &["auth.url=unix:/run/app.sock:/auth/?a=b"]).auth;
    let auth = auth.expect("it is on");
    assert_eq!(auth.url, "http://localhost/auth/?a=b");
    assert_eq!(auth.socket, Some("/run/app.sock".into()));
    settings("", &[], &["limits.handshake_ms=1000"]);
}

#[test]
fn a_line_that_is_longer_than_its_head_is_refused() {
    let line = refusal(&["http.line_bytes=4096", "http.head_bytes=2048"]);
    assert!(line.contains("more than http.head_bytes"), "{line}");
    let http = settings("", &[], &["http.line_bytes=4096"]).http;
    assert_eq!((http.line_bytes, http.head_bytes), (4096, 32_768));
}

#[test]
fn weak_keys_are_refused_or_warned_about_also_in_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    std::fs::write(
        &path,
        "0123456789abcdef\nshort\n0123456789abcdef\nchange-me\n",
    )
    .unwrap();
    let set = format!("api.keys_file={}", path.display());
    let lines = errors("", &[], &[&set]);
    let place = |line: usize| format!("api.keys_file ({}:{line}): ", path.display());
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with(&(place(3) + "is the same key as api.keys_file (")));
    assert!(lines[1].starts_with(&(place(4) + "stands in place of a key")));
    let loaded = load(&sources(
        "",
        &[],
        &["api.keys=['0123456789abcdef', 'short']"],
    ));
    let warnings = loaded.unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("api.keys[1] (--set api.keys): is shorter than 16"));
}

#[test]
fn the_bounds_of_plain_connections_are_read() {
    let sets = ["http.write_ms=500", "limits.http_connections=70"];
    let settings = settings("", &[], &sets);
    assert_eq!(settings.http.write, Duration::from_millis(500));
    assert_eq!(settings.limits.http_connections, 70);
}
