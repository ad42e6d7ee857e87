//! What is sent to whom, to the byte.

use fanfare_protocol::{CloseCode, GroupName};
use fanfare_rig::{PythonLayer, PythonOptions};

use super::*;

/// `{"type": "receive", "x": 1`, as msgpack writes it in a map of three.
const ENTRIES: &[u8] = b"\x83\xa4type\xa7receive\xa1x\x01";
const KEY: &[u8] = b"\xb0__asgi_channel__";

fn event() -> Event {
    Event::new("receive").with("x", 1_i64)
}

#[tokio::test]
async fn copies_are_byte_for_byte_those_of_channels_redis() -> Result<()> {
    let site = Site::start(1).await?;
    let [first, second] = ["specific.ab!3d16", "specific.ab!2361"];
    site.join("notifications", &[first, second, "jobs"])?;
    site.send(group("notifications"), event()).await??;
    let both = [
        ENTRIES,
        KEY,
        b"\x92\xb0",
        first.as_bytes(),
        b"\xb0",
        second.as_bytes(),
    ]
    .concat();
    assert_eq!(site.waiting(0, "specific.ab!")?, [both]);
    let listed = [ENTRIES, KEY, b"\x91\xa4jobs"].concat();
    assert_eq!(site.waiting(0, "jobs")?, [listed]);
    site.send(channel("specific.cd!3d16"), event()).await??;
    let one = [ENTRIES, KEY, b"\xb0specific.cd!3d16"].concat();
    assert_eq!(site.waiting(0, "specific.cd!")?, [one]);
    site.send(channel("thumbnails"), event()).await??;
    assert_eq!(
        site.waiting(0, "thumbnails")?,
        [b"\x82\xa4type\xa7receive\xa1x\x01"]
    );
    let life = site.cli(&["TTL", "asgispecific.cd!"])?;
    assert!(matches!(life, Value::Int(59..=60)), "{life:?}");
    Ok(())
}

#[tokio::test]
async fn python_receives_what_is_sent_to_its_channels_and_groups_in_order() -> Result<()> {
    let site = Site::start(3).await?;
    let urls = site.servers.iter().map(RedisServer::url);
    let mut python = PythonLayer::with(&PythonOptions::core(urls)).await?;
    let (alone, left_out) = (python.new_channel().await?, python.join("room").await?);
    let member = python.join("room").await?;
    for number in 0..20 {
        let to = if number % 2 == 0 {
            channel(&alone)
        } else {
            group("room")
        };
        let mut envelope = Envelope::new(numbered(number));
        if number == 1 {
            envelope.exclude = vec![Naming::plain("asgi").channel(&left_out)?];
        }
        drop(site.publish(to, &envelope));
    }
    for number in 0..20 {
        let of_group = number % 2 == 1;
        let from = if of_group { &member } else { &alone };
        assert_eq!(python.receive(from).await?["number"], number);
        if of_group && number != 1 {
            assert_eq!(python.receive(&left_out).await?["number"], number);
        }
    }
    site.send(channel("thumbnails"), numbered(20)).await??;
    assert_eq!(python.receive("thumbnails").await?["number"], 20);
    Ok(())
}

#[tokio::test]
async fn what_nodes_tell_each_other_reaches_nodes_only() -> Result<()> {
    let site = Site::start(1).await?;
    let lane = site.keys.member(&GroupName::parse("room")?);
    site.join("room", &["specific.ab!1", &lane])?;
    let naming = Naming::plain("asgi");
    let excluding = Envelope::excluding(event(), vec![naming.channel("specific.ab!9")?]);
    site.publish(group("room"), &excluding).confirmed().await?;
    let closing = Envelope::closing(CloseCode(4000), "enough")?;
    site.publish(group("room"), &closing).confirmed().await?;
    let python = channel("specific.ab!1");
    site.publish(python, &closing).confirmed().await?;
    let session = format!("specific.{NODE}!0000000100000001");
    site.publish(channel(&session), &closing)
        .confirmed()
        .await?;
    let plain = [ENTRIES, KEY, b"\x91\xadspecific.ab!1"].concat();
    assert_eq!(site.waiting(0, "specific.ab!")?, [plain]);
    let told = [site.waiting(0, &lane)?, site.waiting(0, &session)?].concat();
    let told: Vec<_> = told
        .iter()
        .map(|body| String::from_utf8_lossy(body).contains("__fanfare__"))
        .collect();
    assert_eq!(told, [true, true, true]);
    Ok(())
}

#[tokio::test]
async fn many_processes_on_many_hosts_get_one_copy_each_where_they_read() -> Result<()> {
    let site = Site::start(3).await?;
    let members: Vec<_> = (0..500).map(|at| format!("specific.p{at}!m")).collect();
    let names: Vec<_> = members.iter().map(String::as_str).collect();
    site.join("room", &names)?;
    // More than a round takes.
    let large = event().with("text", "x".repeat(4000));
    site.send(group("room"), large).await??;
    for member in names {
        let process = member.strip_suffix('m').unwrap();
        assert_eq!(
            site.waiting(site.host(process), process)?.len(),
            1,
            "{member}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_group_without_members_takes_an_event_and_unreadable_members_are_counted() -> Result<()> {
    let site = Site::start(1).await?;
    site.send(group("empty"), event()).await??;
    let client = redis::Client::open(site.servers[0].url())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut add = redis::cmd("ZADD");
    add.arg("asgi:group:odd").arg("+inf").arg(b"p!\xff");
    add.exec_async(&mut connection).await?;
    site.join("odd", &["p!1"])?;
    site.send(group("odd"), event()).await??;
    assert_eq!(site.waiting(0, "p!")?.len(), 1);
    assert_eq!(site.metrics.dropped.bad_name.get(), 1);
    Ok(())
}
