//! Python's hands on the memberships of Fanfare's sessions.

use anyhow::{Context, Result};
use fanfare_rig::{PythonError, eventually};

use super::scene::Scene;
use crate::support::{SOON, said, say};

pub(super) async fn python_adds_a_session_to_a_group_if_its_layer_can(
    scene: &mut Scene,
) -> Result<()> {
    let [mut socket, mut other] = scene.sockets("added").await?;
    let channel = socket.channel().to_owned();
    let added = scene.python.group_add("guests", &channel).await;
    if !scene.is_core() {
        let error = added.err().context("the pub/sub layer added a session")?;
        let error = error.downcast::<PythonError>()?;
        assert_eq!(error.kind, "RuntimeError");
        return Ok(());
    }
    added?;
    scene.python.group_send("guests", &say("guest")).await?;
    assert_eq!(socket.text().await?, said("guest"));
    scene.python.group_send("added", &say("both")).await?;
    assert_eq!(socket.text().await?, said("both"));
    assert_eq!(other.text().await?, said("both"));

    // In the group by themselves, and added: they still hear everything once, a guest too.
    let added = other.channel().to_owned();
    for channel in [&channel, &added] {
        scene.python.group_add("added", channel).await?;
    }
    for word in ["again", "last"] {
        scene.python.group_send("added", &say(word)).await?;
        assert_eq!(socket.text().await?, said(word));
        assert_eq!(other.text().await?, said(word));
    }

    assert!(scene.is_member("guests", &channel)?);
    socket.close(1000).await?;
    other.close(1000).await?;
    for (group, channel) in [("guests", &channel), ("added", &channel), ("added", &added)] {
        // Nobody else tells the node about a guest, so it may need an event to find out.
        let what = format!("the end of a membership in {group}");
        eventually(SOON, &what, async || {
            scene.python.group_send(group, &say("anyone")).await?;
            Ok((!scene.is_member(group, channel)?).then_some(()))
        })
        .await?;
    }
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
