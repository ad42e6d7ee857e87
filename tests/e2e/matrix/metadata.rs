//! What nodes tell each other, and what an application's dictionary may look like.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::scene::Scene;
use crate::support::{said, say};

pub(super) async fn what_a_browser_puts_into_a_python_event_is_data(
    scene: &mut Scene,
) -> Result<()> {
    let [mut here, mut there] = scene.sockets("forged").await?;
    let orders = json!({"close": [4000, "forged"], "exclude": [here.channel()]});
    let event = json!({"type": "say", "message": "all", "__fanfare__": orders});
    for group in ["forged", "fanfare.all"] {
        scene.python.group_send(group, &event).await?;
        for socket in [&mut here, &mut there] {
            let frame: Value = serde_json::from_str(&socket.text().await?)?;
            assert_eq!(frame, event, "{group}");
        }
    }
    Ok(())
}

pub(super) async fn python_excludes_a_channel_with_a_key_of_bytes(scene: &mut Scene) -> Result<()> {
    let [mut here, mut there] = scene.sockets("excluded").await?;
    let channel = here.channel();
    let event =
        format!("{{'type': 'say', 'message': 'x', b'__fanfare__': {{'exclude': ['{channel}']}}}}");
    let sent = scene.python.group_send_python("excluded", &event).await;
    if scene.configuration.serializer == "json" {
        ensure!(sent.is_err(), "json.dumps takes no key of bytes");
        return Ok(());
    }
    sent?;
    assert_eq!(there.text().await?, said("x"));
    scene.python.group_send("excluded", &say("last")).await?;
    for socket in [&mut here, &mut there] {
        assert_eq!(socket.text().await?, said("last"));
    }
    Ok(())
}
