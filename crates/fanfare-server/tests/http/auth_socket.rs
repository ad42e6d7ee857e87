//! An application behind gunicorn on a Unix socket.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use fanfare_rig::{Process, eventually, project_root};
use serde_json::json;

use crate::auth::connect;
use crate::handshake::{expect, refused};
use crate::node;

const START: Duration = Duration::from_secs(60);

/// Whoever has a cookie that names a user is that user. Django refuses hosts that it does not know.
const APPLICATION: &str = r#"
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponseForbidden, JsonResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["localhost"], ROOT_URLCONF=__name__, SECRET_KEY="test")


def auth(request):
    user = request.COOKIES.get("user")
    if user is None or request.GET.get("from") != "fanfare":
        return HttpResponseForbidden()
    return JsonResponse({"user": user})


urlpatterns = [path("fanfare/auth/", auth)]
application = get_wsgi_application()
"#;

async fn gunicorn(home: &Path) -> Result<Process> {
    fs::write(home.join("site_of_test.py"), APPLICATION)?;
    let socket = home.join("gunicorn.sock");
    let python = project_root().join(".venv/bin/python");
    ensure!(python.is_file(), "run `cargo xtask setup`");
    let mut command = Command::new(python);
    command
        .args(["-m", "gunicorn", "--workers", "1", "--bind"])
        .arg(format!("unix:{}", socket.display()))
        .arg("site_of_test:application")
        .current_dir(home);
    let mut process = Process::spawn("gunicorn", command)?;
    eventually(START, "gunicorn", async || {
        if let Some(status) = process.try_status()? {
            return Ok(Some(Err(anyhow::anyhow!("{status}: {}", process.stderr()))));
        }
        Ok(UnixStream::connect(&socket).ok().map(|_| Ok(())))
    })
    .await??;
    Ok(process)
}

#[tokio::test]
async fn an_application_on_a_unix_socket_is_asked_also_after_its_restart() -> Result<()> {
    let home = tempfile::tempdir()?;
    let socket = home.path().join("gunicorn.sock");
    let url = format!(
        "auth.url=unix:{}:/fanfare/auth/?from=fanfare",
        socket.display()
    );
    let node = node(&[&url, "auth.cache_ms=0"]).await?;
    let response = refused(&node, "/ws/notifications", "").await?;
    expect(&response, 503, "auth_unavailable")?;
    for _ in 0..2 {
        let mut application = gunicorn(home.path()).await?;
        let response = refused(&node, "/ws/notifications", "").await?;
        expect(&response, 403, "access_denied")?;
        let mut ann = connect(&node, "/ws/notifications", "user=ann").await?;
        ann.text().await?;
        let event = json!({ "type": "note", "text": "for ann" });
        node.api().publish("/users/ann/events", &event).await?;
        ensure!(ann.text().await?.contains("for ann"));
        application.terminate()?;
        application.exit_status(START).await?;
    }
    Ok(())
}
