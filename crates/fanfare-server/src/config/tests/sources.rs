//! What each source says, and which one wins.

use std::time::Duration;

use fanfare_gateway::Bind;
use fanfare_web::TrustedProxies;

use super::*;

fn tcp(address: &str) -> Bind {
    Bind::Tcp(address.parse().unwrap())
}

fn bound(settings: &Settings) -> String {
    format!("{:?}", settings.http.bind)
}

#[test]
fn the_embedded_file_alone_is_a_valid_configuration() {
    let settings = settings("", &[], &[]);
    assert_eq!(bound(&settings), format!("{:?}", [tcp("127.0.0.1:8000")]));
    assert_eq!(settings.http.origins, None);
    assert_eq!(settings.layer.backend, Backend::Memory);
    assert_eq!(settings.layer.join, Duration::from_secs(2));
    assert_eq!(settings.limits.sessions, 100_000);
    assert_eq!(settings.health.layer_grace, Duration::from_secs(10));
    assert_eq!(settings.node.name, "host");
    assert!(settings.api.keys.is_empty() && !settings.development);
}

#[test]
fn later_sources_cover_earlier_ones() {
    let file = "[http]\nbind = '127.0.0.1:1'\nworkers = 1\n[limits]\nsessions = 1";
    let environment = [
        ("FANFARE__HTTP__BIND", "127.0.0.1:2"),
        ("FANFARE__HTTP__WORKERS", "2"),
    ];
    let sets = ["http.bind=127.0.0.1:3", "http.bind=127.0.0.1:4"];
    let settings = settings(file, &environment, &sets);
    assert_eq!(bound(&settings), format!("{:?}", [tcp("127.0.0.1:4")]));
    assert_eq!(settings.http.workers, 2);
    assert_eq!(settings.limits.sessions, 1);
}

#[test]
fn text_becomes_the_type_of_the_default() {
    let environment = [
        ("FANFARE__LIMITS__SESSIONS", "1_000"),
        ("FANFARE__LOG__ACCESS", "false"),
        ("FANFARE__NODE__NAME", "42"),
        ("FANFARE__LAYER__PREFIX", "true"),
        ("FANFARE__API__KEYS", "one"),
        ("FANFARE__HTTP__ORIGINS", "https://a.com"),
        ("FANFARE__DEVELOPMENT", "true"),
        ("OTHER__KEY", "ignored"),
        ("FANFARE_API_KEY", "ignored"),
    ];
    let settings = settings("", &environment, &[]);
    assert_eq!(settings.limits.sessions, 1000);
    assert!(!settings.log.access && settings.development);
    assert_eq!(settings.node.name, "42");
    assert_eq!(settings.layer.prefix, "true");
    assert_eq!(settings.api.keys, ["one"]);
    assert_eq!(
        settings.http.origins,
        Some(vec!["https://a.com".to_owned()])
    );
}

#[test]
fn lists_in_the_environment_may_have_commas_where_no_entry_can() {
    let environment = [
        ("FANFARE__API__KEYS", "one, two"),
        ("FANFARE__HTTP__ORIGINS", "https://a.com,.b.com"),
        ("FANFARE__HTTP__TRUSTED_PROXIES", "10.0.0.1, 10.0.0.2"),
        ("FANFARE__HTTP__KEEP_ALIVE_MS", "5_000"),
        ("FANFARE__HTTP__SOCKET_MODE", "0600"),
    ];
    let settings = settings("", &environment, &[]);
    assert_eq!(settings.api.keys, ["one", "two"]);
    let origins = ["https://a.com", ".b.com"].map(str::to_owned);
    assert_eq!(settings.http.origins, Some(origins.into()));
    let proxies = TrustedProxies::new(["10.0.0.1", "10.0.0.2"]).unwrap();
    assert_eq!(settings.http.trusted_proxies, proxies);
    assert_eq!(settings.http.keep_alive, Duration::from_secs(5));
    assert_eq!(settings.http.socket_mode, 0o600);
    let same_host = [("FANFARE__HTTP__ORIGINS", "same-host")];
    assert_eq!(super::settings("", &same_host, &[]).http.origins, None);
}

#[test]
fn text_that_starts_like_toml_is_toml() {
    let sets = [
        "api.keys=['a', \"b\"]",
        "node.name='quoted'",
        "http.bind=[\"127.0.0.1:1\", \"unix:/run/f\"]",
        "ping={ interval_ms = 5 }",
    ];
    let settings = settings("", &[], &sets);
    assert_eq!(settings.api.keys, ["a", "b"]);
    assert_eq!(settings.node.name, "quoted");
    assert_eq!(settings.http.bind.len(), 2);
    assert_eq!(settings.ping.interval, Duration::from_millis(5));
    assert_eq!(settings.ping.timeout, Duration::from_secs(30));
}

#[test]
fn a_value_that_starts_like_toml_and_is_none_is_refused_without_showing_it() {
    let line = refusal(&["api.keys=[\"s3cret"]);
    assert!(line.starts_with("api.keys (--set api.keys): "), "{line}");
    assert!(
        line.contains("column") && !line.contains("s3cret"),
        "{line}"
    );
}

#[test]
fn redis_hosts_make_the_layer_redis() {
    let settings = settings(
        "",
        &[("FANFARE__LAYER__REDIS__HOSTS", "redis://:pw@h:1/2")],
        &[],
    );
    assert_eq!(settings.layer.backend, Backend::Redis);
    assert_eq!(settings.layer.redis.hosts.len(), 1);
    assert_eq!(settings.layer.host_labels, ["redis://:***@h:1/2"]);
    assert!(!format!("{settings:?}").contains("pw"), "{settings:?}");
}

#[test]
fn hosts_may_be_tables_and_pairs() {
    let file = "[layer.redis]\nhosts = [['h', 1], { host = 'h', password = 'pw' }, 'redis://h']";
    let settings = settings(file, &[], &[]);
    let labels = ["redis://h:1/0", "redis://:***@h:6379/0", "redis://h:6379/0"];
    assert_eq!(settings.layer.host_labels, labels);
}

#[test]
fn the_merged_configuration_is_shown_without_secrets_and_can_be_loaded_again() {
    let sets = [
        "api.keys=['s3cret']",
        "layer.redis.hosts=redis://:pw@h",
        "http.workers=3",
    ];
    let shown = load(&sources("", &[], &sets)).unwrap().to_toml().unwrap();
    assert!(
        !shown.contains("s3cret") && !shown.contains("pw@"),
        "{shown}"
    );
    assert!(
        shown.contains("workers = 3") && shown.contains("redis://:***@h"),
        "{shown}"
    );
    let again = load(&sources(&shown, &[], &[])).unwrap();
    assert_eq!(again.to_toml().unwrap(), shown);
    assert_eq!(
        again.settings.routes,
        load(&sources("", &[], &[])).unwrap().settings.routes
    );
}

#[test]
fn lists_and_sections_are_covered_each_in_its_way() {
    let file = "[http]\ntrusted_proxies = ['10.0.0.1', '10.0.0.2']\n[ping]\ninterval_ms = 5";
    let environment = [
        ("FANFARE__PING__TIMEOUT_MS", "7"),
        ("FANFARE__PING", "{ timeout_ms = 6 }"),
    ];
    let settings = settings(file, &environment, &["http.trusted_proxies=10.0.0.3"]);
    let proxies = TrustedProxies::new(["10.0.0.3"]).unwrap();
    assert_eq!(settings.http.trusted_proxies, proxies);
    assert_eq!(settings.ping.interval, Duration::from_millis(5));
    assert_eq!(settings.ping.timeout, Duration::from_millis(7));
}

#[test]
fn a_number_that_somebody_chose_is_told_from_the_default() {
    assert!(!settings("", &[], &[]).limits.sessions_given);
    let same = settings("[limits]\nsessions = 100_000", &[], &[]);
    assert!(same.limits.sessions_given);
    assert!(
        settings("", &[], &["limits.sessions=5"])
            .limits
            .sessions_given
    );
}
