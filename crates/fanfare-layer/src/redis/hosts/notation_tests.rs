use super::*;

fn json(toml: &str) -> Value {
    let table: toml::Table = toml::from_str(toml).expect(toml);
    serde_json::to_value(table).expect(toml)
}

fn table(toml: &str) -> Result<Host, String> {
    Host::from_json(&json(toml)).map_err(|error| error.reason)
}

fn url(url: &str) -> Result<Host, String> {
    Ok(Host::parse(url).expect(url))
}

#[test]
fn a_table_means_the_same_as_a_url() {
    assert_eq!(table(""), url("redis://localhost:6379/0"));
    assert_eq!(
        table("host = '::1'\nport = 7\ndb = 2\nssl = true\npassword = 'p@/w'"),
        url("rediss://:p%40%2Fw@[::1]:7/2")
    );
    assert_eq!(table("path = '/run/r.sock'"), url("unix:///run/r.sock"));
    assert_eq!(
        table("unix_socket_path = '/r'\nusername = 'u'\npassword = 'p'"),
        url("unix://u:p@/r")
    );
    assert_eq!(
        table("host = 'h'\nssl = true\nssl_cert_reqs = 'none'\nssl_ca_certs = '/ca.pem'"),
        url("rediss://h?ssl_cert_reqs=none&ssl_ca_certs=/ca.pem")
    );
    assert_eq!(
        table(
            "host = 'h'\nssl = true\nssl_check_hostname = false\n\
             ssl_certfile = '/c'\nssl_keyfile = '/k'"
        ),
        url("rediss://h?ssl_check_hostname=false&ssl_certfile=/c&ssl_keyfile=/k")
    );
    assert_eq!(
        table("host = 'h'\nsocket_connect_timeout = 1.5"),
        url("redis://h?socket_connect_timeout=1.5")
    );
}

#[test]
fn an_address_stands_beside_other_arguments() {
    assert_eq!(
        table("address = 'redis://h/1'\npassword = 'p w'"),
        url("redis://:p%20w@h/1")
    );
    assert_eq!(
        table("address = 'rediss://h'\nssl_cert_reqs = 'none'"),
        url("rediss://h?ssl_cert_reqs=none")
    );
}

#[test]
fn arguments_without_effect_may_be_anything_that_python_takes() {
    let host = table("host = 'h'\nretry_on_error = ['x']\nsocket_keepalive_options = { a = 1 }");
    let host = host.expect("valid");
    assert_eq!(
        host.ignored_options(),
        ["retry_on_error", "socket_keepalive_options"]
    );
}

#[test]
fn a_pair_is_host_and_port() {
    let pair = |toml| Host::from_json(&json(toml)["x"]).map_err(|error| error.reason);
    assert_eq!(pair("x = ['::1', 7]"), url("redis://[::1]:7"));
    assert_eq!(pair("x = ['h', '7']"), url("redis://h:7"));
    for bad in [
        "x = ['h']",
        "x = [7, 'h']",
        "x = ['h', 7, 0]",
        "x = ['h', 70000]",
    ] {
        assert!(pair(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_master_of_sentinel_is_named_with_its_sentinels() {
    let host = table(
        "sentinels = [['a', 26379], ['::1', '7']]\nmaster_name = 'mymaster'\n\
         sentinel_kwargs = { password = 's', socket_keepalive_options = { a = 1 } }\n\
         db = 2\nusername = 'u'\npassword = 'p'\nssl = true\nsocket_timeout = 5",
    )
    .expect("valid");
    assert_eq!(
        host.to_string(),
        "sentinels://u:***@a:26379,[::1]:7/mymaster/2"
    );
    assert_eq!(
        host.ignored_options(),
        ["socket_timeout", "sentinel_kwargs.socket_keepalive_options"]
    );
}

#[test]
fn what_is_wrong_with_a_sentinel_is_named_by_its_key() {
    let given = "master_name = 'm'\nsentinels = [['h', 1]]\n";
    for (bad, reason) in [
        ("sentinels = [['h', 1]]", "master_name is missing"),
        ("master_name = 'm'", "sentinels is missing"),
        ("sentinel_kwargs = {}", "sentinels is missing"),
        ("master_name = 'm'\nsentinels = []", "sentinels is empty"),
        (
            "master_name = 'm'\nsentinels = 'h:1'",
            "sentinels: expected",
        ),
        (
            "master_name = 'm'\nsentinels = [['h', 1], 'h:1']",
            "sentinels[1]: expected",
        ),
        (
            "master_name = 'm'\nsentinels = [['h', 70000]]",
            "sentinels[0]: expected",
        ),
        (
            "master_name = 7\nsentinels = [['h', 1]]",
            "master_name: expected text",
        ),
        (
            &format!("{given}sentinel_kwargs = 1"),
            "sentinel_kwargs: expected a table",
        ),
        (
            &format!("{given}sentinel_kwargs = {{ db = [1] }}"),
            "sentinel_kwargs: the value of \"db\"",
        ),
        (
            &format!("{given}sentinel_kwargs = {{ password = ['x'] }}"),
            "sentinel_kwargs: password: expected",
        ),
        (&format!("{given}password = ['x']"), "password: expected"),
        (
            &format!("{given}address = 'redis://h'"),
            "address does not go together",
        ),
    ] {
        let error = table(bad).expect_err(bad);
        assert!(error.starts_with(reason), "{bad}: {error}");
    }
}

#[test]
fn what_a_table_cannot_say_is_refused() {
    for (bad, reason) in [
        ("prot = 1", "unknown option \"prot\""),
        ("port = 'x'", "no number"),
        ("host = ['h']", "host: expected text"),
        ("ssl_cert_reqs = 'maybe'", "none, optional or required"),
        ("address = 'http://h'", "redis://"),
    ] {
        let error = table(bad).expect_err(bad);
        assert!(error.contains(reason), "{bad}: {error}");
    }
}
