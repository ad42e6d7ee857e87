use std::time::Duration;

use fanfare_rig::RedisServer;
use futures_util::FutureExt as _;
use redis::Pipeline;
use redis::aio::MultiplexedConnection;

use crate::PublishError;
use crate::redis::core::host::commands::CommandConnection;

async fn connect(server: &RedisServer) -> anyhow::Result<MultiplexedConnection> {
    let client = redis::Client::open(server.url())?;
    Ok(client.get_multiplexed_async_connection().await?)
}

#[tokio::test]
async fn what_a_connection_that_is_over_did_not_answer_does_not_end_the_next() -> anyhow::Result<()>
{
    let servers = [RedisServer::start()?, RedisServer::start()?];
    let limit = Duration::from_millis(200);
    let server = CommandConnection::new(limit, PublishError::Down("not yet".into()));
    server.prepare(connect(&servers[0]).await?);
    servers[0].pause()?;
    let mut ping = Pipeline::new();
    ping.cmd("PING");
    let mut asked = Box::pin(server.ask(&ping));
    assert!(asked.as_mut().now_or_never().is_none());
    server.prepare(connect(&servers[1]).await?);
    server.accept();
    let late = asked.await;
    assert!(matches!(late, Err(PublishError::Unanswered(_))), "{late:?}");
    assert_eq!(server.check(), Ok(()));
    Ok(())
}
