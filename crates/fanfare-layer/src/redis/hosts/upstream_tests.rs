//! URLs, read here and by the redis-py that channels_redis uses.

use fanfare_rig::python_hosts;
use serde_json::{Value, json};

use super::host::{Address, Host};

/// Forms that people write, and forms that they had better not.
const URLS: &[&str] = &[
    // Places.
    "redis://",
    "redis://h",
    "redis://h/",
    "redis://h:7000",
    "redis://h:7000/3",
    "redis://h:0",
    "redis://h:",
    "redis://:7000",
    "redis://Cache.Local/1",
    "redis://h%65RE",
    "redis://b\u{fc}cher:1",
    "redis://[::1]",
    "redis://[::1]:7000/2",
    "redis://[FE80::1%25eth0]:1",
    "redis://[v1.x]:1",
    "rediss://h",
    "rediss://h:6380/5",
    "REDIS://h:1",
    "Rediss://H",
    "  redis://h",
    "redis:h/1",
    "redis:/1",
    "redis://h#fragment/2",
    "redis://h/1#fragment?db=2",
    // Users and passwords.
    "redis://:secret@h",
    "redis://user:secret@h",
    "redis://user@h",
    "redis://user:@h",
    "redis://@h",
    "redis://:@h",
    "redis://:a:b@c@h",
    "redis://us%3Aer:p%40ss%2Fw%23@h",
    "redis://:100%@h",
    "redis://:p%2520w@h",
    "redis://:a+b@h",
    "redis://:caf\u{e9}@h",
    "redis://:caf%C3%A9@h",
    "redis://:p?w@h",
    "redis://:p#w@h",
    "redis://:p/w@h",
    "redis://:p[w@h",
    "redis://:p%5Bw@h",
    // Databases.
    "redis://h/%32",
    "redis://h/cache",
    "redis://h/1/2",
    "redis://h//3",
    "redis://h/1_0",
    "redis://h/+4",
    "redis://h/ 5 ",
    "redis://h/1?db=2",
    "redis://h?db=2&db=3",
    "redis://h/1?db=",
    "redis://h?db=x",
    "redis://h?db=1_1",
    // Options.
    "redis://h?password=p%2520w&username=u",
    "redis://h?password=a+b%2Bc",
    "redis://a:b@h?username=c&password=d",
    "redis://?host=Other&port=7000",
    "redis://h?host=other",
    "redis://h:1?port=2",
    "redis://h?port=x",
    "redis://h?novelty=1",
    "redis://h?ssl=true",
    "redis://h?ssl_cert_reqs=none",
    "rediss://h?ssl_cert_reqs=none&ssl_check_hostname=False",
    "rediss://h?ssl_cert_reqs=maybe",
    "redis://h?path=/r.sock",
    "redis://h?socket_timeout=5&socket_keepalive=yes&max_connections=9&client_name=me",
    "redis://h?socket_timeout=soon",
    "redis://h?max_connections=-1",
    "redis://h?timeout=5",
    "redis://h?socket_connect_timeout=1e-1;db=4",
    // Sockets.
    "unix:///run/r.sock",
    "unix:///run/my%20redis.sock?db=4",
    "unix://user:secret@/r.sock",
    "unix://:secret@/r.sock?password=other",
    "unix://?path=/r.sock",
    "unix:///a?path=/b",
    "unix:/r.sock",
    "UNIX:///r.sock",
    "unix://r.sock",
    "unix://",
    "unix:///r.sock?host=h",
    // No URLs of Redis.
    "http://h",
    "localhost:6379",
    "h",
    "",
    "//h:1",
    "redis://h:port",
    "redis://h:70000",
    "redis://[::1",
    "redis://[127.0.0.1]",
    "redis://h\u{ff0f}1",
];

/// What a host says, as `tests/python/hosts.py` says it.
fn told(host: &Host) -> Value {
    let (name, port, path, ssl) = match &host.address {
        Address::Tcp { host, port, tls } => (Some(host), Some(port), None, tls.is_some()),
        Address::Unix(path) => (None, None, Some(path), false),
        Address::Master(_) => panic!("{host}"),
    };
    json!({
        "host": name,
        "port": port,
        "path": path,
        "ssl": ssl,
        "db": host.db,
        "username": host.username.as_deref().unwrap_or_default(),
        "password": host.password.as_deref().unwrap_or_default(),
    })
}

#[tokio::test]
async fn urls_are_read_as_redis_py_reads_them_or_refused_by_both() {
    let answers = python_hosts(URLS).await.unwrap();
    assert_eq!((answers.len(), URLS.len() >= 70), (URLS.len(), true));
    let mut differences = Vec::new();
    let mut refused = 0;
    for (url, theirs) in URLS.iter().zip(answers) {
        let ours = Host::parse(url).map(|host| told(&host));
        refused += usize::from(theirs.is_err());
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) if ours == theirs => {}
            (Err(_), Err(_)) => {}
            _ => differences.push(format!("{url:?}: here {ours:?}, in Python {theirs:?}")),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    // A table of which redis-py refuses all, or nothing, would show little.
    assert!((10..60).contains(&refused), "{refused} refused");
}
