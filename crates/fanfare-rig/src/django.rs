//! The sample Django project (`tests/django/`), run by its own `manage.py`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::deadline::eventually;
use crate::paths::project_root;
use crate::process::Process;

const START: Duration = Duration::from_secs(60);

/// The `CHANNEL_LAYERS` of the sample, as the environment gives them to it.
#[derive(Debug, Clone)]
pub struct DjangoLayer {
    /// The class, such as `channels_redis.pubsub.RedisPubSubChannelLayer`.
    pub backend: String,
    /// `CONFIG`: the keyword arguments of the class.
    pub config: Value,
}

/// A running `manage.py runserver` with a database of its own; dropping it kills it.
#[derive(Debug)]
pub struct DjangoSite {
    process: Process,
    address: SocketAddr,
    project: Project,
}

impl DjangoSite {
    /// Makes the database with these users, whose passwords are `password of <name>`, and serves
    /// the project on a free port. The name `staff` is a member of staff.
    ///
    /// # Errors
    /// When the virtual environment is missing, or a command fails; the text has its output.
    pub async fn start(layer: DjangoLayer, users: &[&str]) -> Result<Self> {
        let project = Project::new(layer)?;
        project.manage(&["migrate", "--verbosity", "0"]).await?;
        let (staff, others): (Vec<&str>, Vec<&str>) =
            users.iter().partition(|name| **name == "staff");
        if !others.is_empty() {
            project
                .manage(&[&["adduser"], &others[..]].concat())
                .await?;
        }
        if !staff.is_empty() {
            project.manage(&["adduser", "--staff", "staff"]).await?;
        }
        let (process, address) = project.serve("127.0.0.1:0").await?;
        Ok(Self {
            process,
            address,
            project,
        })
    }

    /// Ends the server and starts it again, on the same port, with more variables in its
    /// environment.
    ///
    /// # Errors
    /// As [`DjangoSite::start`].
    pub async fn restart_with(&mut self, variables: &[(&str, &str)]) -> Result<()> {
        let more = variables.iter();
        let more = more.map(|&(name, value)| (name.to_owned(), value.to_owned()));
        self.project.environment.extend(more);
        self.process.kill();
        let (process, _) = self.project.serve(&self.address.to_string()).await?;
        self.process = process;
        Ok(())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`, without a slash behind it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests it has logged, and its errors.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// Runs `manage.py` with these arguments to its end, and gives what it printed.
    ///
    /// # Errors
    /// When it fails; the text has its output.
    pub async fn manage(&self, arguments: &[&str]) -> Result<String> {
        self.project.manage(arguments).await
    }

    /// Starts `manage.py` with these arguments beside the server: a worker, for instance.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, arguments: &[&str]) -> Result<Process> {
        let name = arguments.first().copied().unwrap_or("manage.py");
        Process::spawn(name, self.project.command(arguments))
    }
}

/// What every command of one site shares.
#[derive(Debug)]
struct Project {
    python: PathBuf,
    layer: DjangoLayer,
    /// What the layer and the database do not say.
    environment: Vec<(String, String)>,
    /// Holds the database; goes with the site.
    home: TempDir,
}

impl Project {
    fn new(layer: DjangoLayer) -> Result<Self> {
        let python = project_root().join(".venv/bin/python");
        if !python.is_file() {
            bail!("{} is missing: run `cargo xtask setup`", python.display());
        }
        Ok(Self {
            python,
            layer,
            environment: Vec::new(),
            home: tempfile::tempdir().context("a directory for the database")?,
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command
            .arg("manage.py")
            .args(arguments)
            .current_dir(sample())
            .env("SAMPLE_DATABASE", self.home.path().join("db.sqlite3"))
            .env("CHANNEL_BACKEND", &self.layer.backend)
            .env("CHANNEL_CONFIG", self.layer.config.to_string())
            .envs(self.environment.iter().cloned())
            .env("PYTHONUNBUFFERED", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    async fn serve(&self, address: &str) -> Result<(Process, SocketAddr)> {
        let server = ["runserver", "--noreload", address];
        let mut process = Process::spawn("django", self.command(&server))?;
        let address = eventually(START, "the address of Django", async || {
            if let Some(status) = process.try_status()? {
                return Ok(Some(Err((status, process.stderr()))));
            }
            Ok(announced(&process.stdout()).map(Ok))
        })
        .await?;
        match address {
            Ok(address) => Ok((process, address)),
            Err((status, stderr)) => bail!("Django ended at its start: {status}\n{stderr}"),
        }
    }

    async fn manage(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(arguments);
        let output = spawn_blocking(move || command.output()).await??;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !output.status.success() {
            bail!(
                "manage.py {arguments:?}: {}\n{}",
                output.status,
                said(&output.stderr)
            );
        }
        Ok(said(&output.stdout))
    }
}

/// The folder of the sample project, with `fanfare.toml` and `nginx.conf`.
pub fn sample() -> PathBuf {
    project_root().join("tests/django")
}

fn announced(stdout: &str) -> Option<SocketAddr> {
    let (_, rest) = stdout.split_once("server at http://")?;
    let (address, _) = rest.split_once('/')?;
    address.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::announced;

    #[test]
    fn the_address_is_read_from_what_runserver_prints() {
        let text =
            "Django version 5.2\nStarting development server at http://127.0.0.1:4711/\nQuit";
        assert_eq!(announced(text), "127.0.0.1:4711".parse().ok());
        assert_eq!(announced("development server at http://127.0.0.1:47"), None);
    }
}
