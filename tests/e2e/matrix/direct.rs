//! One receiver, by its channel.

use anyhow::Result;

use super::scene::Scene;
use crate::support::{said, say};

pub(super) async fn a_python_send_reaches_one_socket(scene: &mut Scene) -> Result<()> {
    let sockets = scene.sockets("alone").await?;
    for socket in &sockets {
        let channel = socket.channel();
        scene.python.send(channel, &say(channel)).await?;
    }
    for mut socket in sockets {
        assert_eq!(socket.text().await?, said(socket.channel()));
        // Nothing else came before this.
        scene.python.send(socket.channel(), &say("last")).await?;
        assert_eq!(socket.text().await?, said("last"));
    }
    Ok(())
}

pub(super) async fn a_message_reaches_one_python_channel(scene: &mut Scene) -> Result<()> {
    let (one, other) = (
        scene.python.new_channel().await?,
        scene.python.new_channel().await?,
    );
    for (index, channel) in [&one, &other].into_iter().enumerate() {
        scene.listened_to(channel, 1).await?;
        let api = scene.cluster[index].api();
        api.publish_channel(channel, &say(channel)).await?;
        api.publish_channel(channel, &say("last")).await?;
    }
    for channel in [&one, &other] {
        assert_eq!(scene.python.receive(channel).await?, say(channel));
        assert_eq!(scene.python.receive(channel).await?, say("last"));
    }
    Ok(())
}
