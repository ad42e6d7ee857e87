//! A private nginx in front of others.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::deadline::eventually;
use crate::ports::ReservedPort;
use crate::process::Process;

const START: Duration = Duration::from_secs(20);

/// The port that a site's file listens on; replaced by a free one.
const LISTEN: &str = "listen 8080;";

/// A running nginx with one site; dropping it kills it.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    address: SocketAddr,
    _port: ReservedPort,
    /// Holds the configuration and what nginx keeps on disk.
    _home: TempDir,
}

impl Nginx {
    /// Serves the site of a file that has `listen 8080;`, on a free port instead, and waits until it
    /// takes connections. In its text each first of the pairs, which must be there, becomes the
    /// second: the addresses behind it.
    ///
    /// # Errors
    /// When nginx is not installed or does not come up, or the file lacks what is to be replaced.
    pub async fn start(site: &Path, replace: &[(&str, String)]) -> Result<Self> {
        let port = ReservedPort::reserve()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port.number()));
        let mut text =
            fs::read_to_string(site).with_context(|| format!("reading {}", site.display()))?;
        let listen = (LISTEN, format!("listen {address};"));
        for (old, new) in [&listen].into_iter().chain(replace) {
            ensure!(text.contains(old), "`{old}` in {}", site.display());
            text = text.replace(old, new);
        }
        let home = tempfile::tempdir().context("a directory for nginx")?;
        fs::write(home.path().join("site.conf"), text)?;
        fs::write(home.path().join("nginx.conf"), wrapper(home.path()))?;
        let program = Path::new("/usr/sbin/nginx");
        let mut command = Command::new(if program.is_file() {
            program
        } else {
            Path::new("nginx")
        });
        command.arg("-p").arg(home.path());
        command.args(["-c", "nginx.conf", "-e", "stderr"]);
        let mut process = Process::spawn("nginx", command)
            .context("is nginx missing? `cargo xtask setup` installs it")?;
        let up = eventually(START, "nginx taking connections", async || {
            if let Some(status) = process.try_status()? {
                return Ok(Some(Err((status, process.stderr()))));
            }
            TcpStream::connect(address).await?;
            Ok(Some(Ok(())))
        });
        if let Err((status, stderr)) = up.await? {
            bail!("nginx ended at its start: {status}\n{stderr}");
        }
        Ok(Self {
            process,
            address,
            _port: port,
            _home: home,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`, without a slash behind it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its errors, and the requests.
    pub fn log(&self) -> String {
        self.process.stderr()
    }
}

/// What Debian's `nginx.conf` is to a site, for one process that keeps to its directory.
fn wrapper(home: &Path) -> String {
    let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let folders = folders.map(|name| format!("    {name}_temp_path {}/{name};", home.display()));
    format!(
        "daemon off;\nmaster_process off;\npid {home}/nginx.pid;\nerror_log stderr info;\n\
         events {{ worker_connections 512; }}\nhttp {{\n    access_log /dev/stderr;\n{}\n    \
         include {home}/site.conf;\n}}\n",
        folders.join("\n"),
        home = home.display(),
    )
}
