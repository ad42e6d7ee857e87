//! The rules of names.

use fanfare_protocol::{GroupName, NameError, Naming, NodeId, SessionId};

const SESSION: SessionId = SessionId {
    worker: 3,
    slot: 0x00AB_CDEF,
    generation: 0x0102_0304,
};

fn node() -> NodeId {
    NodeId::parse("0123456789abcdef0123456789abcdef").expect("32 hex digits")
}

#[test]
fn a_group_name_is_any_text_of_1_to_255_bytes_without_control_characters() {
    let longest = "é".repeat(127) + "g";
    for name in [
        "a",
        "chat_room-1.x",
        "-",
        "...",
        "fanfare.all",
        "user:42",
        "café",
        "ann@example.com",
        "a b",
        " ",
        "%41",
        "a/b?c#d",
        "a!b*{c}\"\\",
        "٣",
        "\u{2028}\u{202e}\u{feff}",
        &longest,
    ] {
        assert_eq!(GroupName::parse(name).unwrap().as_str(), name);
    }
}

#[test]
fn illegal_group_names_are_refused_with_the_name_and_the_reason() {
    let long = "é".repeat(128);
    for (name, reason) in [
        ("", "it has 0 bytes"),
        (long.as_str(), "it has 256 bytes"),
        ("a\n", "U+000A"),
        ("\0", "U+0000"),
        ("a\u{1f}b", "U+001F"),
        ("\u{7f}", "U+007F"),
        ("a\u{80}", "U+0080"),
        ("\u{9f}a", "U+009F"),
    ] {
        let error = GroupName::parse(name).unwrap_err();
        assert_eq!(error, NameError::Group { name: name.into() });
        let told = error.to_string();
        assert!(told.contains(&format!("{name:?}")), "{told}");
        assert!(told.contains(reason), "{told}");
    }
}

#[test]
fn a_portable_name_is_one_that_channels_takes() {
    let (longest, long) = ("g".repeat(99), "g".repeat(100));
    for name in ["a", "A.Z", "a-b_c.9", "fanfare.all", &longest] {
        assert!(GroupName::parse(name).unwrap().is_portable(), "{name}");
    }
    for name in ["user:42", "é", "٣", "a b", "a!b", "%41", &long] {
        assert!(!GroupName::parse(name).unwrap().is_portable(), "{name}");
    }
}

#[test]
fn channel_names_follow_the_models_table() {
    let naming = Naming::plain("asgi");
    let longest = format!("a!{}", "b".repeat(97));
    for name in [
        "thumbnails-generate",
        "a!",
        "a!b",
        "specific..inmemory!abcDEF",
        &longest,
    ] {
        assert_eq!(naming.channel(name).unwrap().as_str(), name);
    }
    let long = format!("a!{}", "b".repeat(98));
    for name in [
        "", "!", "!b", "a!b!c", "a!b!", "a?b", "a:b", "a/b", "a*", "a!é", "a\n", &long,
    ] {
        let error = naming.channel(name).unwrap_err();
        assert_eq!(error, NameError::Channel { name: name.into() });
    }
}

#[test]
fn names_of_the_layer_itself_are_reserved() {
    for naming in [Naming::plain("asgi"), Naming::pubsub("asgi")] {
        for name in ["asgi__group__chat", "fanfare:asgi:node:00"] {
            let reserved = NameError::Reserved {
                kind: "channel",
                name: name.into(),
            };
            assert_eq!(naming.channel(name), Err(reserved));
        }
        assert!(
            naming.channel("other__group__chat").is_ok(),
            "of another layer"
        );
    }
}

#[test]
fn a_session_name_says_where_the_session_lives() {
    let plain = Naming::plain("asgi").session(node(), SESSION);
    let id = plain
        .as_str()
        .strip_prefix("specific.0123456789abcdef0123456789abcdef!");
    let id = id.expect("the node in the name");
    assert_eq!(id.len(), 16);
    assert!(
        id.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    );
    let pubsub = Naming::pubsub("asgi").session(node(), SESSION);
    assert_eq!(pubsub.as_str(), format!("asgi{plain}"));
    for (naming, name) in [
        (Naming::plain("asgi"), plain),
        (Naming::pubsub("asgi"), pubsub),
    ] {
        assert_eq!(naming.locate(name.as_str()), Some((node(), SESSION)));
        assert_eq!(naming.channel(name.as_str()), Ok(name.clone()));
        assert!(name.as_str().starts_with(&naming.node_prefix(node())));
    }
}

#[test]
fn a_prefix_of_any_characters_stands_in_front_of_session_names_only() {
    let naming = Naming::pubsub("my app:*");
    let name = naming.session(node(), SESSION);
    assert_eq!(naming.channel(name.as_str()), Ok(name.clone()));
    assert_eq!(naming.locate(name.as_str()), Some((node(), SESSION)));
    assert!(naming.channel("my app:*other").is_err());
    let long = Naming::pubsub(&"p".repeat(90));
    let name = long.session(node(), SESSION);
    assert_eq!(
        long.channel(name.as_str()),
        Ok(name),
        "the prefix does not count"
    );
}

#[test]
fn what_is_no_session_of_ours_is_not_located() {
    let naming = Naming::pubsub("asgi");
    let id = node();
    let names = [
        "thumbnails".to_owned(),
        format!("specific.{id}!03abcdef01020304"),
        format!("asgispecific.{id}"),
        format!("asgispecific.{id}!03abcdef0102030"),
        format!("asgispecific.{id}!03ABCDEF01020304"),
        format!("asgispecific.{id}!+3abcdef01020304"),
        "asgispecific.0123!03abcdef01020304".to_owned(),
        format!(
            "asgispecific.{}!03abcdef01020304",
            id.to_string().to_uppercase()
        ),
    ];
    for name in names {
        assert_eq!(naming.locate(&name), None, "{name}");
    }
}

#[test]
fn ids_survive_their_text() {
    let random = NodeId::random().unwrap();
    assert_eq!(NodeId::parse(&random.to_string()), Some(random));
    assert_ne!(NodeId::random().unwrap(), random);
}

#[test]
fn a_users_group_escapes_what_names_cannot_have() {
    let group = |id: &str| GroupName::user(id).map(|group| group.as_str().to_owned());
    assert_eq!(group("anna_B-7").unwrap(), "fanfare.user.anna_B-7");
    assert_eq!(group("a.b@c").unwrap(), "fanfare.user.a.2eb.40c");
    assert_eq!(group("é").unwrap(), "fanfare.user..c3.a9");
    // 13 characters are the prefix.
    assert_eq!(group(&"u".repeat(86)).unwrap().len(), 99);
    for id in [String::new(), "u".repeat(87), "@".repeat(29)] {
        assert_eq!(group(&id), Err(NameError::User { id }));
    }
    assert_eq!(GroupName::everyone().as_str(), "fanfare.all");
}

#[test]
fn only_a_name_that_is_a_users_group_has_a_user() {
    for name in [
        "fanfare.all",
        "fanfare.user.",
        "fanfare.user.a.b",
        "fanfare.user.a.4",
        "fanfare.user.a.C3",
        "fanfare.user.a.61",
        "fanfare.user..ff",
        "fanfare.users.a",
        "chat",
    ] {
        assert_eq!(GroupName::parse(name).unwrap().user_id(), None, "{name}");
    }
}

#[test]
fn different_users_never_share_a_group() {
    bolero::check!()
        .with_iterations(5_000)
        .with_type::<(String, String)>()
        .for_each(|(a, b)| {
            if let (Ok(first), Ok(second)) = (GroupName::user(a), GroupName::user(b)) {
                assert_eq!(first == second, a == b);
                assert!(GroupName::parse(first.as_str()).is_ok());
                assert_eq!(first.user_id().as_ref(), Some(a));
            }
        });
}
