use std::time::Instant;

use bytes::Bytes;
use fanfare_protocol::serializer::{Notation, Recipients};
use fanfare_protocol::{Envelope, Event, NodeId};

use super::*;

const NODE: &str = "0123456789abcdef0123456789abcdef";

fn bodies() -> Bodies {
    Bodies {
        keys: Arc::new(Keys::new("asgi", NodeId::parse(NODE).unwrap())),
        serializer: serializer(),
        close_events: CloseEvents::Honoured,
    }
}

fn serializer() -> Serializer {
    let expiry = std::time::Duration::from_secs(60);
    Serializer::core(Notation::Msgpack, &[], 12, expiry)
}

fn session(number: usize) -> String {
    format!("specific.{NODE}!00000001{number:08x}")
}

fn member(group: &str) -> String {
    format!("specific.{NODE}.g3!{group}")
}

fn message(to: Recipients<'_>) -> Message<Source> {
    let draft = serializer()
        .draft(&Envelope::new(Event::new("test")))
        .unwrap();
    Message {
        source: Source::Lane,
        body: serializer().finish(&draft, to, false).unwrap(),
        arrived: Instant::now(),
    }
}

/// The targets, or why there is none.
fn unpacked(bodies: &Bodies, to: Recipients<'_>) -> Result<Vec<String>, String> {
    let mut into = Vec::new();
    let done = bodies.unpack(&message(to), &mut into);
    for two in into.windows(2) {
        assert!(Arc::ptr_eq(&two[0].envelope, &two[1].envelope));
    }
    match done {
        Ok(()) => Ok(into.iter().map(spelled).collect()),
        Err(Refused::Name(reason)) => Err(format!("name: {reason}")),
        Err(Refused::Body(error)) => Err(error.to_string()),
        Err(Refused::Close(reason)) => Err(format!("close: {reason}")),
        Err(Refused::Expired) => Err("expired".into()),
    }
}

fn spelled(delivery: &Delivery) -> String {
    match &delivery.target {
        Target::Group(group) => format!("group {group}"),
        Target::Channel(channel) => channel.to_string(),
    }
}

#[test]
fn a_message_for_one_session_is_delivered_to_it() {
    let one = session(1);
    assert_eq!(
        unpacked(&bodies(), Recipients::One(&one)),
        Ok(vec![one.clone()])
    );
    let group = unpacked(&bodies(), Recipients::One(&member("room")));
    assert_eq!(
        group,
        Ok(vec!["group room".into()]),
        "as read from the group's members"
    );
}

#[test]
fn every_group_and_session_of_a_list_gets_one_delivery() {
    let (one, two) = (session(1), session(2));
    let rooms = [
        member("room"),
        format!("specific.{NODE}.g2!room"),
        member("hall"),
    ];
    let names = [&one, &rooms[0], &two, &one, &rooms[1], &rooms[2]].map(String::as_str);
    let expected = ["group room", "group hall", &one, &two].map(String::from);
    assert_eq!(
        unpacked(&bodies(), Recipients::Many(&names)),
        Ok(expected.into())
    );
}

#[test]
fn names_of_others_are_passed_over_and_a_message_for_nobody_is_refused() {
    let bodies = bodies();
    let other = format!("specific.{}!0000000100000001", "f".repeat(32));
    let one = session(1);
    let both = unpacked(&bodies, Recipients::Many(&[&other, &one]));
    assert_eq!(both, Ok(vec![one]));
    let illegal = member("no such group!");
    for (to, reason) in [
        (Recipients::None, "__asgi_channel__"),
        (Recipients::Many(&[]), "no receiver"),
        (Recipients::One(&other), &other),
        (Recipients::Many(&[&other, "mail"]), "2 receivers"),
        (Recipients::One(&illegal), "none is here"),
    ] {
        let refused = unpacked(&bodies, to).unwrap_err();
        assert!(
            refused.starts_with("name: ") && refused.contains(reason),
            "{refused}"
        );
    }
}

#[test]
fn a_message_of_a_normal_channel_is_passed_on_and_what_cannot_be_read_is_refused() {
    let bodies = bodies();
    let delivery = Delivery {
        target: Target::Group(GroupName::parse("room").unwrap()),
        envelope: Arc::new(Envelope::new(Event::new("test"))),
        arrived: Instant::now(),
    };
    let envelope = delivery.envelope.clone();
    let mut message = message(Recipients::None);
    message.source = Source::Channel(delivery);
    assert_eq!(bodies.spelled(&message.source), "room");
    let mut into = Vec::new();
    assert!(bodies.unpack(&message, &mut into).is_ok());
    assert!(Arc::ptr_eq(&into[0].envelope, &envelope));
    message.source = Source::Lane;
    message.body = Bytes::from_static(b"short");
    let refused = bodies.unpack(&message, &mut into);
    assert!(matches!(refused, Err(Refused::Body(_))));
}
