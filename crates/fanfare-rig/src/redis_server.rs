//! A private redis-server: its own process, port, socket and password, gone with its value.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use redis::{ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

const START_LIMIT: Duration = Duration::from_secs(10);

/// How a [`RedisServer`] differs from the plain one: no password, no TLS, any free port.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    /// `requirepass`.
    pub password: Option<String>,
    /// TLS on the port, with a certificate of its own for `localhost` and `127.0.0.1`; the Unix
    /// socket stays plain.
    pub tls: bool,
    /// A fixed port, for a server that is to appear where clients already knock.
    pub port: Option<u16>,
    /// More command line, such as `["--maxclients", "10"]`.
    pub arguments: Vec<String>,
}

/// A running redis-server without persistence; killed on drop.
#[derive(Debug)]
pub struct RedisServer {
    options: RedisOptions,
    port: u16,
    /// Holds the socket and the certificates; removed after the process.
    home: TempDir,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts a plain server and waits until it takes connections.
    ///
    /// # Errors
    /// When redis-server is not installed or does not come up.
    pub fn start() -> anyhow::Result<Self> {
        Self::with(RedisOptions::default())
    }

    /// Starts a server with options and waits until it takes connections.
    ///
    /// # Errors
    /// When redis-server is not installed or does not come up; the text has its log.
    pub fn with(options: RedisOptions) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new()
            .prefix("fanfare-redis-")
            .tempdir()?;
        if options.tls {
            write_certificates(&home)?;
        }
        let port = match options.port {
            Some(port) => port,
            None => free_port()?,
        };
        let mut server = Self {
            options,
            port,
            home,
            child: None,
        };
        server.restart()?;
        Ok(server)
    }

    /// The TCP port, the same after every restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Its URL as redis-py takes it, with the password.
    pub fn url(&self) -> String {
        let user = self
            .options
            .password
            .as_ref()
            .map(|word| format!(":{word}@"));
        let user = user.unwrap_or_default();
        if self.options.tls {
            let authority = self.certificate().display().to_string();
            format!(
                "rediss://{user}localhost:{}/0?ssl_ca_certs={authority}",
                self.port
            )
        } else {
            format!("redis://{user}127.0.0.1:{}/0", self.port)
        }
    }

    /// The URL of its Unix socket as redis-py takes it, with the password.
    pub fn unix_url(&self) -> String {
        let user = self
            .options
            .password
            .as_ref()
            .map(|word| format!(":{word}@"));
        format!(
            "unix://{}{}?db=0",
            user.unwrap_or_default(),
            self.socket().display()
        )
    }

    /// Where its Unix socket is.
    pub fn socket(&self) -> PathBuf {
        self.home.path().join("redis.sock")
    }

    /// Where the certificate is, which is its own authority; only with TLS.
    pub fn certificate(&self) -> PathBuf {
        self.home.path().join("certificate.pem")
    }

    /// Where the certificate's key is; only with TLS.
    pub fn key(&self) -> PathBuf {
        self.home.path().join("key.pem")
    }

    /// Ends it with SIGKILL: connections break, nothing is said to anyone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only when the process is gone, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Kills it if it runs, and starts it on the same port and socket.
    ///
    /// # Errors
    /// As [`RedisServer::with`].
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        let mut child = self.command().spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow::anyhow!(
                "redis-server is not on the PATH; install it: apt-get install redis-server"
            ),
            _ => anyhow::Error::new(error).context("redis-server does not start"),
        })?;
        let log = child
            .stdout
            .take()
            .context("redis-server has no standard output")?;
        self.child = Some(child);
        await_ready(log).with_context(|| format!("redis-server on port {}", self.port))
    }

    /// Stops the process without ending it (SIGSTOP): connections stay open and nobody answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> anyhow::Result<()> {
        let pid = self.running()?;
        kill_process(pid, Signal::STOP)?;
        // The signal is delivered later than the call returns; wait for the stop itself.
        waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED)?;
        Ok(())
    }

    /// Lets a paused process go on (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> anyhow::Result<()> {
        Ok(kill_process(self.running()?, Signal::CONT)?)
    }

    /// Runs one command over the Unix socket and blocks for its answer.
    ///
    /// # Errors
    /// When it cannot be reached or refuses the command.
    pub fn cli(&self, words: &[&str]) -> anyhow::Result<redis::Value> {
        let mut settings = RedisConnectionInfo::default();
        if let Some(password) = &self.options.password {
            settings = settings.set_password(password);
        }
        let info = ConnectionAddr::Unix(self.socket()).into_connection_info()?;
        let client = redis::Client::open(info.set_redis_settings(settings))?;
        let mut connection = client.get_connection_with_timeout(START_LIMIT)?;
        connection.set_read_timeout(Some(START_LIMIT))?;
        let (name, arguments) = words.split_first().context("no command")?;
        Ok(redis::cmd(name).arg(arguments).query(&mut connection)?)
    }

    fn running(&self) -> anyhow::Result<Pid> {
        let child = self.child.as_ref().context("redis-server does not run")?;
        Ok(Pid::from_child(child))
    }

    fn command(&self) -> Command {
        let mut command = Command::new("redis-server");
        // "-" reads the configuration from standard input: none, and not the system's.
        command
            .arg("-")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(self.home.path());
        command.arg("--unixsocket").arg(self.socket());
        let port = self.port.to_string();
        if self.options.tls {
            command.args([
                "--port",
                "0",
                "--tls-port",
                &port,
                "--tls-auth-clients",
                "no",
            ]);
            command.arg("--tls-cert-file").arg(self.certificate());
            command.arg("--tls-key-file").arg(self.key());
            command.arg("--tls-ca-cert-file").arg(self.certificate());
        } else {
            command.args(["--port", &port]);
        }
        if let Some(password) = &self.options.password {
            command.args(["--requirepass", password]);
        }
        command.args(&self.options.arguments);
        command
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn write_certificates(home: &TempDir) -> anyhow::Result<()> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)?;
    fs::write(home.path().join("certificate.pem"), made.cert.pem())?;
    fs::write(
        home.path().join("key.pem"),
        made.signing_key.serialize_pem(),
    )?;
    Ok(())
}

/// Reads the log until the server says that it is ready; the rest is drained in a thread, because
/// a full pipe would stop the server.
fn await_ready(log: ChildStdout) -> anyhow::Result<()> {
    let (lines, seen) = mpsc::sync_channel(64);
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            // Nobody listens any more once the server is ready.
            let _ = lines.try_send(line);
        }
    });
    let deadline = Instant::now() + START_LIMIT;
    let mut said = String::new();
    loop {
        match seen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line.to_lowercase().contains("ready to accept connections") => {
                return Ok(());
            }
            Ok(line) => {
                said.push_str(&line);
                said.push('\n');
            }
            Err(RecvTimeoutError::Disconnected) => bail!("it ended at once, saying:\n{said}"),
            Err(RecvTimeoutError::Timeout) => {
                bail!("not ready after {START_LIMIT:?}, saying:\n{said}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_and_comes_back_on_its_port() {
        let mut server = RedisServer::start().unwrap();
        let port = server.port();
        assert_eq!(
            server.cli(&["PING"]).unwrap(),
            redis::Value::SimpleString("PONG".into())
        );
        server.kill();
        assert!(server.cli(&["PING"]).is_err());
        server.restart().unwrap();
        assert_eq!(server.port(), port);
        assert!(server.cli(&["PING"]).is_ok());
    }

    #[test]
    fn a_taken_port_is_an_error_with_the_log() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let options = RedisOptions {
            port: Some(port),
            ..RedisOptions::default()
        };
        let error = format!("{:#}", RedisServer::with(options).unwrap_err());
        assert!(error.contains(&port.to_string()), "{error}");
        assert!(error.contains("bind"), "{error}");
    }

    #[test]
    fn a_password_is_asked_for() {
        let options = RedisOptions {
            password: Some("sesame".into()),
            ..RedisOptions::default()
        };
        let server = RedisServer::with(options).unwrap();
        assert!(server.cli(&["PING"]).is_ok());
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port())).unwrap();
        let mut connection = client.get_connection().unwrap();
        assert!(redis::cmd("PING").query::<()>(&mut connection).is_err());
    }
}
