//! The guide's project from an empty folder: the files and commands of docs/DJANGO.md, as they stand
//! there, but for what a machine decides (ports, and where Python and the program are).

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fanfare_rig::{
    DjangoLayer, DjangoSite, Node, Process, RedisServer, Turn, Visitor, eventually, project_root,
    sample, server_binary,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::support::SOON;

const START: Duration = Duration::from_secs(60);
const ROOM: &str = "/chat/lobby/";

/// A block of code: its language and its text.
struct Block {
    language: String,
    text: String,
}

/// The blocks of a section of the guide.
fn blocks(section: &str) -> Result<Vec<Block>> {
    let guide = fs::read_to_string(project_root().join("docs/DJANGO.md"))?;
    let (_, rest) = guide
        .split_once(&format!("\n## {section}\n"))
        .with_context(|| section.to_owned())?;
    let text = rest.split("\n## ").next().unwrap_or_default();
    let blocks = text.split("```").skip(1).step_by(2);
    let blocks = blocks.map(|block| {
        let (language, text) = block.split_once('\n').context("a language")?;
        Ok(Block {
            language: language.to_owned(),
            text: text.to_owned(),
        })
    });
    blocks.collect()
}

/// The project in a folder of its own.
struct Walk {
    home: TempDir,
    redis: RedisServer,
    commands: Vec<String>,
}

impl Walk {
    /// Reads the guide's commands, which wait, and its files, which are written once Django is there.
    fn new() -> Result<(Self, Vec<(String, String)>)> {
        let home = tempfile::tempdir()?;
        symlink(project_root().join(".venv"), home.path().join(".venv"))?;
        symlink(server_binary()?, home.path().join("fanfare"))?;
        let mut walk = Self {
            home,
            redis: RedisServer::start()?,
            commands: Vec::new(),
        };
        let mut files = Vec::new();
        for block in blocks("From an empty folder")? {
            if block.language == "sh" {
                walk.commands.extend(block.text.lines().map(str::to_owned));
                continue;
            }
            let (first, text) = block.text.split_once('\n').context("a name of a file")?;
            let name = first.trim_matches(['#', '<', '>', '!', '-', ' ']);
            let redis = "redis://127.0.0.1:6379/0";
            files.push((name.to_owned(), text.replace(redis, &walk.redis.url())));
        }
        Ok((walk, files))
    }

    /// Runs the commands up to the first that starts with `last`, which is not run.
    async fn run_until(&mut self, last: &str) -> Result<String> {
        let at = self.commands.iter().position(|line| line.starts_with(last));
        let rest = self
            .commands
            .split_off(at.with_context(|| last.to_owned())?);
        for line in std::mem::replace(&mut self.commands, rest) {
            // The environment of the tests has what these two would make.
            if !line.starts_with("python3 -m venv") && !line.contains("pip install") {
                self.run(&line).await?;
            }
        }
        Ok(self.commands.remove(0))
    }

    async fn run(&self, line: &str) -> Result<()> {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(self.home.path());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let programs = std::env::var("PATH")?;
        let programs = format!("{}:{programs}", self.home.path().display());
        command.env("PATH", programs);
        let output = spawn_blocking(move || command.output()).await??;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{line}: {}\n{said}", output.status);
        Ok(())
    }

    fn write(&self, (name, text): &(String, String)) -> Result<()> {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        // The settings grow: what `startproject` wrote stays in front.
        let before = match name.as_str() {
            "mysite/settings.py" => fs::read_to_string(&path)?,
            _ => String::new(),
        };
        fs::write(&path, before + text).with_context(|| name.clone())
    }

    async fn serve(&self, line: &str) -> Result<(Process, SocketAddr)> {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("exec {line} --noreload 127.0.0.1:0")])
            .current_dir(self.home.path())
            .env("PYTHONUNBUFFERED", "1");
        let mut process = Process::spawn("runserver", command)?;
        let address = eventually(START, "the address of Django", async || {
            if let Some(status) = process.try_status()? {
                bail!("Django ended: {status}\n{}", process.stderr());
            }
            let text = process.stdout();
            let address = text.split_once("server at http://");
            let address = address.and_then(|(_, rest)| rest.split_once('/'));
            Ok(address.and_then(|(address, _)| address.parse().ok()))
        })
        .await?;
        Ok((process, address))
    }

    /// Starts the program, as the guide writes it.
    async fn start(&self, line: &str) -> Result<Node> {
        let arguments = line.strip_prefix("fanfare ").context("the program")?;
        let mut command = Command::new(server_binary()?);
        command.args(arguments.split(' '));
        command.current_dir(self.home.path());
        let node = Node::run("fanfare", command).await?;
        node.ready_is(200, SOON).await.with_context(|| node.log())?;
        Ok(node)
    }
}

/// Whom the guide makes, at the login of Django's admin site.
async fn logged_in(address: SocketAddr) -> Result<Visitor> {
    let mut visitor = Visitor::new(address)?;
    let answer = visitor.get(ROOM).await?;
    let login = answer.header("location").context("the way to the login")?;
    let login = login.to_owned();
    visitor.get(&login).await?;
    let fields = [("username", "ann"), ("password", "a long password")];
    let answer = visitor.post(&login, &fields).await?;
    ensure!(answer.header("location") == Some(ROOM), "{answer:?}");
    Ok(visitor)
}

/// The path that the guide's page opens in the room.
fn opened_by(page: &str) -> Result<String> {
    let (_, rest) = page.split_once(":8001").context("a WebSocket")?;
    let path = rest.split('`').next().unwrap_or_default();
    Ok(path.replace("${room}", "lobby"))
}

#[tokio::test]
async fn the_guides_project_works_from_an_empty_folder() -> Result<()> {
    let _turn = Turn::shared().await;
    let (mut walk, files) = Walk::new()?;
    let migrate = walk.run_until(".venv/bin/python manage.py migrate").await?;
    for file in &files {
        walk.write(file)?;
    }
    walk.run(&migrate).await?;
    let serve = walk
        .run_until(".venv/bin/python manage.py runserver")
        .await?;
    let (_django, address) = walk.serve(&serve).await?;

    let config = files.iter().find(|(name, _)| name == "fanfare.toml");
    let (name, config) = config.context("the configuration")?;
    ensure!(config.contains("bind = \"127.0.0.1:8001\""), "{config}");
    let config = config.replace("127.0.0.1:8001", "127.0.0.1:0");
    let config = config.replace("127.0.0.1:8000", &address.to_string());
    walk.write(&(name.clone(), config))?;
    let start = walk.run_until("fanfare --config").await?;
    let fanfare = walk.start(&start).await?;

    let mut ann = logged_in(address).await?;
    let page = ann.get(ROOM).await?;
    ensure!(page.status == 200, "{page:?}");
    let path = opened_by(&page.body)?;
    let mut socket = ann.open(fanfare.address(), &path).await?;
    socket.send_text("from the page").await?;
    let heard = |text: &str| json!({"type": "chat.message", "message": text});
    assert_eq!(socket.json().await?, heard("from the page"));
    let [publish] = &walk.commands[..] else {
        bail!("the guide has more commands: {:?}", walk.commands);
    };
    walk.run(publish).await?;
    assert_eq!(socket.json().await?, heard("hello from Django"));

    let stranger = Visitor::new(address)?;
    let refused = stranger.open(fanfare.address(), &path).await.err();
    let refused = refused.map(|error| format!("{error:#}"));
    ensure!(refused.is_some_and(|text| text.contains("403")));
    Ok(())
}

#[tokio::test]
async fn the_guides_unit_tests_are_those_of_the_sample_and_pass() -> Result<()> {
    let own = fs::read_to_string(sample().join("chat/tests.py"))?;
    let shown = blocks("Tests of your project")?;
    ensure!(shown.iter().any(|block| block.text == own), "another file");
    // Nothing listens there: the tests need no Redis.
    let layer = DjangoLayer {
        backend: "channels_redis.pubsub.RedisPubSubChannelLayer".to_owned(),
        config: json!({ "hosts": ["redis://127.0.0.1:1/0"] }),
    };
    let django = DjangoSite::start(layer, &[]).await?;
    django.manage(&["test", "--verbosity", "0"]).await?;
    Ok(())
}
