use fanfare_protocol::GroupName;
use fanfare_rig::RedisServer;

use super::process::{LONG, Process};
use crate::Subscription;
use crate::redis::connection::subscriptions::Subscriptions;
use crate::redis::core::membership::store::{MembershipStore, Write};

#[tokio::test]
async fn a_renewal_does_not_bring_back_what_is_taken_out_meanwhile() -> anyhow::Result<()> {
    let server = RedisServer::start()?;
    let process = Process::start(&[&server], 1, LONG).await?;
    let (shared, connection) = (&*process.shared, &process.shared.servers[0]);
    let group = |number| GroupName::parse(&format!("g{number}"));
    // Several pipelines of them.
    let groups = (0..2500).map(|number| group(number).map(Subscription::Group));
    let groups: Vec<_> = groups.collect::<Result<_, _>>()?;
    let wanted = Subscriptions::new(shared.metrics.clone());
    drop(wanted.add(groups.clone()));
    let memberships = MembershipStore::default();
    let joined = wanted.connected();
    let written = memberships.apply(shared, connection, &joined).await;
    assert_eq!(written, Ok(()));
    wanted.acknowledged(joined);
    drop(wanted.remove(groups));
    let left = wanted.next().await;
    let renewed = memberships.renew(shared, connection, Write::Kept);
    let taken_out = memberships.apply(shared, connection, &left);
    assert_eq!(tokio::join!(renewed, taken_out), (Ok(()), Ok(())));
    let keys: Vec<String> = redis::from_redis_value(server.cli(&["KEYS", "*"])?)?;
    assert_eq!(keys, [""; 0]);
    Ok(())
}
