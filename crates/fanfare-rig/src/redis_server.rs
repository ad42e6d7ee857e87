//! A private redis-server: its own process, port, socket and password, gone with its value.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo};
use tempfile::TempDir;

use crate::ports::ReservedPort;
use crate::redis_process::{Program, RedisProcess, ask};

/// How a [`RedisServer`] differs from the plain one: no password, no TLS, a port of its own.
#[derive(Debug, Default)]
pub struct RedisOptions {
    /// Redis or Valkey.
    pub program: Program,
    /// `requirepass`.
    pub password: Option<String>,
    /// TLS on the port, with a certificate of its own for `localhost` and `127.0.0.1`; the Unix
    /// socket stays plain.
    pub tls: bool,
    /// The port, for a server that is to appear where clients already knock.
    pub port: Option<ReservedPort>,
    /// More command line, such as `["--maxclients", "10"]`.
    pub arguments: Vec<String>,
}

/// A running redis-server, or valkey-server, without persistence; killed on drop.
#[derive(Debug)]
pub struct RedisServer {
    options: RedisOptions,
    port: ReservedPort,
    process: Option<RedisProcess>,
    /// Holds the socket and the certificates; removed after the process.
    home: TempDir,
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
    pub fn with(mut options: RedisOptions) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new()
            .prefix("fanfare-redis-")
            .tempdir()?;
        if options.tls {
            write_certificates(&home)?;
        }
        let port = match options.port.take() {
            Some(port) => port,
            None => ReservedPort::reserve()?,
        };
        let mut server = Self {
            options,
            port,
            home,
            process: None,
        };
        server.restart()?;
        Ok(server)
    }

    /// The TCP port, the same after every restart.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(RedisProcess::id)
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
                self.port()
            )
        } else {
            format!("redis://{user}127.0.0.1:{}/0", self.port())
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

    /// Its URL for a user of an ACL.
    pub fn user_url(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{}/0", self.port())
    }

    /// Makes a user that may do exactly what the rules say, such as `["+publish", "&asgi*"]`.
    ///
    /// # Errors
    /// As [`RedisServer::cli`].
    pub fn add_user(&self, user: &str, password: &str, rules: &[&str]) -> anyhow::Result<()> {
        let password = format!(">{password}");
        let user = ["ACL", "SETUSER", user, "reset", "on", &password];
        self.cli(&[&user[..], rules].concat()).map(|_| ())
    }

    /// What users were denied since the start: the entries of `ACL LOG`, as text.
    ///
    /// # Errors
    /// As [`RedisServer::cli`].
    pub fn denials(&self) -> anyhow::Result<Vec<String>> {
        match self.cli(&["ACL", "LOG"])? {
            redis::Value::Array(entries) => {
                Ok(entries.iter().map(|entry| format!("{entry:?}")).collect())
            }
            other => anyhow::bail!("ACL LOG said {other:?}"),
        }
    }

    /// Ends it with SIGKILL: connections break, nothing is said to anyone.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Kills it if it runs, and starts it on the same port and socket.
    ///
    /// # Errors
    /// As [`RedisServer::with`].
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        let started = (self.options.program).start(self.command(), "ready to accept connections");
        self.process = Some(started.with_context(|| format!("on port {}", self.port()))?);
        Ok(())
    }

    /// The password from the next start on.
    pub fn change_password(&mut self, password: Option<&str>) {
        self.options.password = password.map(str::to_owned);
    }

    /// Stops the process without ending it (SIGSTOP): connections stay open and nobody answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.running()?.pause()
    }

    /// Lets a paused process go on (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.running()?.resume()
    }

    /// Runs one command over the Unix socket and blocks for its answer.
    ///
    /// # Errors
    /// When it cannot be reached or refuses the command.
    pub fn cli(&self, words: &[&str]) -> anyhow::Result<redis::Value> {
        ask(self.info()?, words)
    }

    fn info(&self) -> anyhow::Result<ConnectionInfo> {
        let mut settings = RedisConnectionInfo::default();
        if let Some(password) = &self.options.password {
            settings = settings.set_password(password);
        }
        let info = ConnectionAddr::Unix(self.socket()).into_connection_info()?;
        Ok(info.set_redis_settings(settings))
    }

    fn running(&self) -> anyhow::Result<&RedisProcess> {
        self.process.as_ref().context("the server does not run")
    }

    fn command(&self) -> Command {
        let mut command = self.options.program.command();
        // "-" reads the configuration from standard input: none, and not the system's.
        command.arg("-");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(self.home.path());
        command.arg("--unixsocket").arg(self.socket());
        let port = self.port().to_string();
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

#[cfg(test)]
mod with_redis {
    use std::net::TcpListener;

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
        let reserved = ReservedPort::reserve().unwrap();
        let port = reserved.number();
        let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let options = RedisOptions {
            port: Some(reserved),
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
