use super::*;

/// A name and a size.
struct Piece(String, usize);

impl Work for Piece {
    fn bytes(&self) -> usize {
        self.1
    }
}

fn outgoing(publishes: usize) -> Arc<Outgoing<Piece>> {
    let bytes = 1000;
    let room = Room { publishes, bytes };
    let metrics = LayerMetrics::new(&prometheus::Registry::new()).unwrap();
    let budget = MemoryBudget::unlimited();
    let outgoing = Outgoing::new(room, PublishError::Down("not yet".into()), &budget, metrics);
    outgoing.open();
    Arc::new(outgoing)
}

fn publish(outgoing: &Arc<Outgoing<Piece>>, name: &str) -> Publish {
    outgoing.publish(Piece(name.into(), 0))
}

async fn write_one(outgoing: &Arc<Outgoing<Piece>>) -> String {
    let batch = outgoing.next_batch().await;
    assert_eq!(batch.len(), 1);
    let name = batch.jobs[0].work.0.clone();
    batch.answered([Reply::Taken]);
    name
}

#[tokio::test]
async fn those_who_wait_are_served_in_their_order_and_not_overtaken() {
    let outgoing = outgoing(1);
    let first = publish(&outgoing, "1");
    assert!(matches!(first, Publish::Sent(_)));
    let second = publish(&outgoing, "2");
    let given_up = publish(&outgoing, "3");
    let fourth = publish(&outgoing, "4");
    assert!(matches!(second, Publish::Full(_)));
    drop(given_up);
    assert_eq!(write_one(&outgoing).await, "1");
    let fifth = publish(&outgoing, "5");
    for name in ["2", "4", "5"] {
        assert_eq!(write_one(&outgoing).await, name);
    }
    for publish in [first, second, fourth, fifth] {
        assert_eq!(publish.confirmed().await, Ok(()));
    }
    assert_eq!(outgoing.metrics.failures.abandoned.get(), 1);
    assert_eq!(outgoing.metrics.published.get(), 4);
}

#[tokio::test]
async fn a_lost_host_fails_the_written_the_queued_and_the_waiting() {
    let outgoing = outgoing(2);
    let written = publish(&outgoing, "1");
    let batch = outgoing.next_batch().await;
    let queued = publish(&outgoing, "2");
    let waiting = publish(&outgoing, "3");
    assert!(matches!(waiting, Publish::Full(_)));
    drop(batch);
    outgoing.refuse(PublishError::Down("gone".into()));
    assert!(matches!(
        written.confirmed().await,
        Err(PublishError::Unanswered(_))
    ));
    for publish in [queued, waiting] {
        assert_eq!(
            publish.confirmed().await,
            Err(PublishError::Down("gone".into()))
        );
    }
    outgoing.open();
    assert!(matches!(publish(&outgoing, "4"), Publish::Sent(_)));
    assert!(matches!(publish(&outgoing, "5"), Publish::Sent(_)));
}

#[tokio::test]
async fn an_error_of_the_server_reaches_its_publisher_only() {
    let outgoing = outgoing(2);
    let (refused, taken) = (publish(&outgoing, "1"), publish(&outgoing, "2"));
    let replies = [Reply::Refused("NOPERM not you".into()), Reply::Taken];
    outgoing.next_batch().await.answered(replies);
    assert!(matches!(
        refused.confirmed().await,
        Err(PublishError::Down(_))
    ));
    assert_eq!(taken.confirmed().await, Ok(()));
    assert_eq!(outgoing.metrics.failures.refused.get(), 1);
}

#[tokio::test]
async fn large_bodies_fill_the_pipe_before_their_number_does() {
    let outgoing = outgoing(100);
    let large = |name: &str| outgoing.publish(Piece(name.into(), 600));
    let taken = [large("1"), large("2")];
    assert!(taken.iter().all(|step| matches!(step, Publish::Sent(_))));
    let waiting = large("3");
    assert!(matches!(waiting, Publish::Full(_)));
    let batch = outgoing.next_batch().await;
    batch.answered([Reply::Taken, Reply::Taken]);
    assert_eq!(write_one(&outgoing).await, "3");
    assert_eq!(waiting.confirmed().await, Ok(()));
    assert!(matches!(large("4"), Publish::Sent(_)));
    outgoing.refuse(PublishError::Down("gone".into()));
    assert_eq!(outgoing.state.lock().bytes, 0, "everything was given back");
}
