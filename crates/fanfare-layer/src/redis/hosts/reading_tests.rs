use super::*;

fn parse(url: &str) -> Host {
    Host::parse(url).unwrap()
}

fn place(host: &Host) -> (String, u16, bool) {
    match &host.address {
        Address::Tcp { host, port, tls } => (host.clone(), *port, tls.is_some()),
        Address::Unix(path) => (path.display().to_string(), 0, false),
        Address::Master(_) => panic!("{host}"),
    }
}

fn tls(host: Host) -> Tls {
    match host.address {
        Address::Tcp { tls: Some(tls), .. } => tls,
        _ => panic!("no TLS in {host}"),
    }
}

fn table(options: &[(&str, &str)]) -> Result<Host, HostError> {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), (*value).into());
    Host::from_json(&serde_json::Value::Object(
        options.iter().map(owned).collect(),
    ))
}

#[test]
fn a_url_without_details_has_the_defaults_of_redis() {
    let host = parse("redis://");
    assert_eq!(place(&host), ("localhost".into(), 6379, false));
    assert_eq!((host.db, host.username, host.password), (0, None, None));
    assert_eq!(
        place(&parse("redis://Cache.Local:7000/3")),
        ("cache.local".into(), 7000, false)
    );
    assert_eq!(place(&parse("rediss://h")), ("h".into(), 6379, true));
}

#[test]
fn every_part_is_percent_decoded() {
    let host = parse("redis://us%3Aer:p%40ss%2Fw%23@h%65re:1/%32");
    assert_eq!(host.username.as_deref(), Some("us:er"));
    assert_eq!(host.password.as_deref(), Some("p@ss/w#"));
    assert_eq!(place(&host).0, "here");
    assert_eq!(host.db, 2);
}

#[test]
fn a_password_needs_no_user_and_may_hold_colons_and_ats() {
    let host = parse("redis://:a:b@c@h");
    assert_eq!(
        (host.username.as_deref(), host.password.as_deref()),
        (None, Some("a:b@c"))
    );
}

#[test]
fn a_unix_url_keeps_its_password_path_and_database() {
    let host = parse("unix://user:sesame@/run/my%20redis.sock?db=4");
    assert_eq!(place(&host).0, "/run/my redis.sock");
    assert_eq!(host.username.as_deref(), Some("user"));
    assert_eq!((host.password.as_deref(), host.db), (Some("sesame"), 4));
}

#[test]
fn options_of_the_query_are_applied_and_the_database_there_beats_the_path() {
    let host = parse("redis://h/1?db=2&password=p%2520w&username=u&socket_connect_timeout=1.5");
    assert_eq!((host.db, host.username.as_deref()), (2, Some("u")));
    assert_eq!(host.password.as_deref(), Some("p%20w"));
    assert_eq!(host.connect_timeout, Some(Duration::from_millis(1500)));
}

#[test]
fn the_user_and_password_in_front_beat_those_of_the_query() {
    let host = parse("redis://a:b@h?username=c&password=d");
    assert_eq!(
        (host.username.as_deref(), host.password.as_deref()),
        (Some("a"), Some("b"))
    );
}

#[test]
fn a_path_that_is_no_number_is_no_database() {
    assert_eq!(parse("redis://h/cache").db, 0);
    assert_eq!(parse("redis://h/1/2").db, 12, "python drops the slashes");
}

#[test]
fn an_ipv6_host_stands_in_brackets() {
    assert_eq!(
        place(&parse("redis://[::1]:7000")),
        ("::1".into(), 7000, false)
    );
    assert_eq!(place(&parse("redis://[::1]")), ("::1".into(), 6379, false));
    assert_eq!(parse("redis://[::1]").to_string(), "redis://[::1]:6379/0");
}

#[test]
fn certificates_are_checked_unless_the_url_says_otherwise() {
    let strict = tls(parse(
        "rediss://h?ssl_ca_certs=/ca.pem&ssl_ca_path=/cas&ssl_certfile=/c&ssl_keyfile=/k",
    ));
    assert!(strict.verify && strict.check_hostname);
    assert_eq!(strict.authorities, Some("/ca.pem".into()));
    assert_eq!(strict.authority_directory, Some("/cas".into()));
    assert_eq!(
        (strict.certificate, strict.key),
        (Some("/c".into()), Some("/k".into()))
    );
    assert!(!tls(parse("rediss://h?ssl_cert_reqs=none")).verify);
    assert!(tls(parse("rediss://h?ssl_cert_reqs=optional")).verify);
    assert!(!tls(parse("rediss://h?ssl_check_hostname=False")).check_hostname);
    assert!(Host::parse("rediss://h?ssl_cert_reqs=maybe").is_err());
}

#[test]
fn options_without_effect_are_named() {
    let host = parse("redis://h?socket_timeout=5&protocol=3&db=1&max_connections=");
    assert_eq!(host.ignored_options(), ["socket_timeout", "protocol"]);
    let host = table(&[
        ("socket_timeout", "5"),
        ("address", "redis://h?socket_timeout=5"),
    ]);
    assert_eq!(host.unwrap().ignored_options(), ["socket_timeout"]);
}

#[test]
fn a_table_says_the_same_as_a_url() {
    let host = table(&[
        ("host", "h"),
        ("port", "7000"),
        ("db", "2"),
        ("password", "p"),
    ])
    .unwrap();
    assert_eq!(host, parse("redis://:p@h:7000/2"));
    let host = table(&[("unix_socket_path", "/s"), ("password", "p")]).unwrap();
    assert_eq!(host, parse("unix://:p@/s"));
    let host = table(&[
        ("address", "rediss://h/1"),
        ("db", "7"),
        ("ssl_cert_reqs", "none"),
    ]);
    let host = host.unwrap();
    assert_eq!(host.db, 1, "what the address says wins, as in redis-py");
    assert!(!tls(host).verify);
    assert!(tls(table(&[("ssl", "true")]).unwrap()).verify);
}

#[test]
fn a_table_with_an_unknown_key_is_refused_by_its_name() {
    let error = table(&[("host", "h"), ("hots", "x")]).unwrap_err();
    assert_eq!(error.to_string(), "redis://h: unknown option \"hots\"");
    let error = table(&[("sentinel", "x")]).unwrap_err();
    assert!(error.reason.contains("\"sentinel\""), "{error}");
}

#[test]
fn no_text_shows_a_password() {
    let secret = "s3cret";
    for url in [
        format!("redis://u:{secret}@h"),
        format!("redis://h?password={secret}"),
        format!("unix://:{secret}@/s"),
    ] {
        let host = parse(&url);
        assert!(!format!("{host} {host:?}").contains(secret), "{host}");
        assert!(format!("{host}").contains(":***@"), "{host}");
    }
    for url in [
        format!("http://u:{secret}@h"),
        format!("u:{secret}@h"),
        format!("redis://u:{secret}@h:notaport"),
        format!("redis://h:notaport?password={secret}"),
        format!("redis://u:{secret}:p@h:1x"),
        format!("redis://u:a?b{secret}@h:1"),
        format!("redis://u:a?{secret}=b@h:1"),
        format!("redis://u:a?{secret}=b&c=d@h:1"),
    ] {
        let shown = Host::parse(&url).unwrap_err().to_string();
        assert!(!shown.contains(secret), "{shown}");
    }
}
