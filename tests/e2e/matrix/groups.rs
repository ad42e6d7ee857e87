//! Groups, in which both sides may have members.

use anyhow::Result;

use super::scene::Scene;
use crate::support::{said, say};

pub(super) async fn a_python_group_send_reaches_the_sockets_of_every_node(
    scene: &mut Scene,
) -> Result<()> {
    let sockets = scene.sockets("red").await?;
    let [mut other, _] = scene.sockets("blue").await?;
    scene.python.group_send("red", &say("from Python")).await?;
    scene.python.group_send("blue", &say("other")).await?;
    for mut socket in sockets {
        assert_eq!(socket.text().await?, said("from Python"));
    }
    assert_eq!(other.text().await?, said("other"));
    Ok(())
}

pub(super) async fn a_python_group_send_reaches_everyone_and_one_user(
    scene: &mut Scene,
) -> Result<()> {
    let path = "/g/everyone?user=a.b";
    let mut ann = scene.cluster[0].connect(path).await?;
    let mut also = scene.cluster[1].connect(path).await?;
    let bob = scene.cluster[1].connect("/g/everyone?user=bob").await?;
    let python = &mut scene.python;
    python.group_send("fanfare.user.a.2eb", &say("you")).await?;
    for socket in [&mut ann, &mut also] {
        assert_eq!(socket.text().await?, said("you"));
    }
    // Once that is there: two groups may be on two hosts.
    python.group_send("fanfare.all", &say("all")).await?;
    for mut socket in [ann, also, bob] {
        assert_eq!(socket.text().await?, said("all"));
        socket.close(1000).await?;
    }
    Ok(())
}

pub(super) async fn what_a_socket_says_reaches_sockets_and_python_members_once(
    scene: &mut Scene,
) -> Result<()> {
    let [mut here, mut there] = scene.sockets("mixed").await?;
    let member = scene.python_member("mixed").await?;
    for word in ["grüße", "last"] {
        here.send_text(word).await?;
    }
    for word in ["grüße", "last"] {
        assert_eq!(here.text().await?, said(word));
        assert_eq!(there.text().await?, said(word));
        assert_eq!(scene.python.receive(&member).await?, say(word));
    }
    scene.python.group_discard("mixed", &member).await
}

pub(super) async fn what_python_says_reaches_sockets_and_python_members_once(
    scene: &mut Scene,
) -> Result<()> {
    let [mut here, mut there] = scene.sockets("choir").await?;
    let member = scene.python_member("choir").await?;
    for word in ["first", "last"] {
        scene.python.group_send("choir", &say(word)).await?;
    }
    for word in ["first", "last"] {
        assert_eq!(here.text().await?, said(word));
        assert_eq!(there.text().await?, said(word));
        assert_eq!(scene.python.receive(&member).await?, say(word));
    }
    scene.python.group_discard("choir", &member).await
}
