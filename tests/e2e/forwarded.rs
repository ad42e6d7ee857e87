//! The shipped configurations of proxies: nothing that a client says about forwarding gets through.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use fanfare_rig::{Nginx, Process, RawConnection, ReservedPort, eventually, project_root};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::support::SOON;

/// What a client forges; each value can be told from one of a proxy.
const FORGED: &str = "X-Forwarded-For: 66.6.6.6, 66.6.6.7\r\nX-Forwarded-For: 66.6.6.8\r\n\
    X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: evil\r\nX-Forwarded-Port: 666\r\n\
    X-Real-IP: 66.6.6.9\r\nForwarded: for=66.6.6.6;host=evil.example;proto=evil\r\n";

/// A server that keeps the heads of its requests.
struct Upstream {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&kept)));
            }
        });
        Ok(Self { address, heads })
    }

    /// The lines of the one request for this path, in lower case.
    async fn request(&self, path: &str) -> Result<Vec<String>> {
        let heads = self.heads.lock().await;
        let line = format!("GET {path} HTTP/1.");
        let mut of_path = heads.iter().filter(|head| head.starts_with(&line));
        let (Some(head), None) = (of_path.next(), of_path.next()) else {
            bail!("one request for {path} in {heads:?}");
        };
        Ok(head.to_lowercase().lines().map(str::to_owned).collect())
    }
}

async fn answer(mut stream: TcpStream, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_ended) => return,
        }
    }
    heads
        .lock()
        .await
        .push(String::from_utf8_lossy(&head).into_owned());
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    // The proxy may have gone; what it asked is kept.
    let _ = stream.write_all(response).await;
}

/// Asks for a path with forged headers, and insists on what the proxy says instead.
async fn forge(proxy: SocketAddr, upstream: &Upstream, path: &str) -> Result<()> {
    let mut raw = RawConnection::open(proxy).await?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {proxy}\r\nConnection: close\r\n{FORGED}\r\n");
    raw.write(request.as_bytes()).await?;
    let response = raw.response().await?;
    ensure!(response.status == 200, "{response:?}");
    let head = upstream.request(path).await?;
    let is_forged = |line: &String| line.contains("evil") || line.contains("66.6.6");
    ensure!(!head.iter().any(is_forged), "{head:#?}");
    let port = proxy.port();
    for line in [
        "x-forwarded-for: 127.0.0.1".to_owned(),
        "x-real-ip: 127.0.0.1".to_owned(),
        "x-forwarded-proto: http".to_owned(),
        format!("x-forwarded-host: 127.0.0.1:{port}"),
        format!("x-forwarded-port: {port}"),
        format!("host: 127.0.0.1:{port}"),
    ] {
        let name = line.split(": ").next().unwrap_or_default();
        let of_name = head
            .iter()
            .filter(|other| other.starts_with(&format!("{name}: ")));
        ensure!(of_name.eq([&line]), "{line} in {head:#?}");
    }
    ensure!(
        !head.iter().any(|line| line.starts_with("forwarded:")),
        "{head:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn nginx_overwrites_what_clients_say_about_forwarding() -> Result<()> {
    let upstream = Upstream::start().await?;
    let server = |port: u16| {
        let listed = format!("server 127.0.0.1:{port};");
        (listed, format!("server {};", upstream.address))
    };
    let servers = [8000, 8001, 8002].map(server);
    let replace = servers.each_ref();
    let replace = replace.map(|(old, new)| (old.as_str(), new.clone()));
    let site = project_root().join("tests/django/nginx.conf");
    let nginx = Nginx::start(&site, &replace).await?;
    forge(nginx.address(), &upstream, "/page").await?;
    forge(nginx.address(), &upstream, "/ws/chat/lobby/").await
}

#[tokio::test]
async fn haproxy_overwrites_what_clients_say_about_forwarding() -> Result<()> {
    let upstream = Upstream::start().await?;
    let port = ReservedPort::reserve()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port.number()));
    let debian = Path::new("/usr/sbin/haproxy");
    let program = if debian.is_file() {
        debian
    } else {
        "haproxy".as_ref()
    };
    let mut command = Command::new(program);
    command.arg("-db").arg("-f");
    command.arg(project_root().join("docker/haproxy.cfg"));
    command.env("HAPROXY_BIND", address.to_string());
    for number in 1..=3 {
        command.env(format!("NODE{number}_ADDR"), upstream.address.to_string());
    }
    let mut haproxy = Process::spawn("haproxy", command)?;
    eventually(SOON, "HAProxy taking connections", async || {
        if let Some(status) = haproxy.try_status()? {
            return Ok(Some(Err((status, haproxy.stderr()))));
        }
        TcpStream::connect(address).await?;
        Ok(Some(Ok(())))
    })
    .await?
    .or_else(|(status, stderr)| bail!("HAProxy ended: {status}\n{stderr}"))?;
    forge(address, &upstream, "/ws/chat/lobby/").await
}
