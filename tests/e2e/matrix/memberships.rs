//! Python's hands on the memberships of Fanfare's sessions.

use anyhow::{Context, Result};
use fanfare_rig::PythonError;

use super::scene::Scene;
use crate::support::{said, say};

pub(super) async fn python_adds_a_session_to_a_group_if_its_layer_can(
    scene: &mut Scene,
) -> Result<()> {
    let [mut socket, mut other] = scene.sockets("added").await?;
    let channel = socket.channel().to_owned();
    let added = scene.python.group_add("others", &channel).await;
    if !scene.is_core() {
        let error = added.err().context("the pub/sub layer added a session")?;
        let error = error.downcast::<PythonError>()?;
        assert_eq!(error.kind, "RuntimeError");
        return Ok(());
    }
    added?;
    scene.python.group_send("others", &say("added")).await?;
    assert_eq!(socket.text().await?, said("added"));
    scene.python.group_send("added", &say("both")).await?;
    assert_eq!(socket.text().await?, said("both"));
    assert_eq!(other.text().await?, said("both"));
    Ok(())
}

/// Where the node is the member of the group, the session is in it a second time.
pub(super) async fn a_session_that_joined_and_was_added_too_hears_its_group_twice(
    scene: &mut Scene,
) -> Result<()> {
    if !scene.is_core() {
        return Ok(());
    }
    let [mut socket, mut other] = scene.sockets("doubled").await?;
    let channel = socket.channel().to_owned();
    scene.python.group_add("doubled", &channel).await?;
    scene.python.group_send("doubled", &say("hello")).await?;
    for _ in 0..2 {
        assert_eq!(socket.text().await?, said("hello"));
    }
    assert_eq!(other.text().await?, said("hello"));
    assert!(scene.is_member("doubled", &channel)?);
    scene.python.group_discard("doubled", &channel).await?;
    scene.python.group_send("doubled", &say("last")).await?;
    assert_eq!(socket.text().await?, said("last"));
    assert_eq!(other.text().await?, said("last"));
    Ok(())
}

pub(super) async fn a_python_group_discard_leaves_a_session_in_its_groups(
    scene: &mut Scene,
) -> Result<()> {
    let [mut socket, _other] = scene.sockets("kept").await?;
    let channel = socket.channel().to_owned();
    scene.python.group_discard("kept", &channel).await?;
    scene.python.group_send("kept", &say("still here")).await?;
    assert_eq!(socket.text().await?, said("still here"));
    Ok(())
}

pub(super) async fn a_python_group_discard_takes_a_session_out_of_its_group(
    scene: &mut Scene,
) -> Result<()> {
    let [mut socket, mut other] = scene.sockets("left").await?;
    let channel = socket.channel().to_owned();
    scene.python.group_discard("left", &channel).await?;
    scene.python.group_send("left", &say("too late")).await?;
    assert_eq!(other.text().await?, said("too late"));
    scene.python.send(&channel, &say("for you alone")).await?;
    assert_eq!(socket.text().await?, said("for you alone"));
    Ok(())
}
