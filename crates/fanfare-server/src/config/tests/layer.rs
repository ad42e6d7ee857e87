//! `[layer]`: the wire format, its options, and the layer that they mean nothing to.

use std::time::Duration;

use fanfare_consumer::{CoreFormat, MembershipMode, Notation, RedisFormat, RedisPace};

use super::*;

const HOSTS: &str = "layer.redis.hosts=redis://h";
const CORE: &str = "layer.format=core";

/// The one error of `--set`s beside a host and the core format.
fn core_refusal(set: &str) -> String {
    refusal(&[HOSTS, CORE, set])
}

#[test]
fn the_defaults_are_those_of_the_library_and_of_channels_redis() {
    let redis = settings("", &[], &[HOSTS]).layer.redis;
    assert_eq!(redis.serializer, Notation::Msgpack);
    assert_eq!(redis.format, RedisFormat::PubSub);
    assert!(redis.symmetric_encryption_keys.is_empty());
    assert_eq!(redis.pace, RedisPace::default());
    let redis = settings("", &[], &[HOSTS, CORE]).layer.redis;
    assert_eq!(redis.format, RedisFormat::Core(CoreFormat::default()));
}

#[test]
fn the_pace_of_redis_arrives_and_is_refused_on_the_memory_layer() {
    let pace = ["layer.redis.probe_ms=500", "layer.redis.timeout_ms=9000"];
    let redis = settings("", &[], &[HOSTS, pace[0], pace[1]]).layer.redis;
    let expected = RedisPace {
        probe: Duration::from_millis(500),
        timeout: Duration::from_secs(9),
    };
    assert_eq!(redis.pace, expected);
    for set in pace {
        let line = refusal(&[set]);
        assert!(
            line.contains("has no meaning on the memory layer"),
            "{line}"
        );
    }
}

#[test]
fn every_option_of_the_core_format_arrives() {
    let file = "\
[layer]
format = 'core'
serializer = 'json'
symmetric_encryption_keys = ['one', 'two']
redis.hosts = ['redis://h']
[layer.core]
capacity = 7
channel_capacity = [['specific.*', 1000], ['h?*', 2], ['*', 3]]
node_capacity = 8
expiry_ms = 10_000
group_expiry_ms = 691_200_000
random_prefix_length = 0
members = 'session'
";
    let redis = settings(file, &[], &[]).layer.redis;
    assert_eq!(redis.serializer, Notation::Json);
    assert_eq!(redis.symmetric_encryption_keys, ["one", "two"]);
    let patterns = [("specific.*", 1000), ("h?*", 2), ("*", 3)];
    let expected = CoreFormat {
        capacity: 7,
        channel_capacity: patterns.map(|(name, most)| (name.to_owned(), most)).into(),
        node_capacity: 8,
        expiry: Duration::from_secs(10),
        group_expiry: Duration::from_secs(8 * 86_400),
        random_prefix_length: 0,
        members: MembershipMode::PerSession,
    };
    assert_eq!(redis.format, RedisFormat::Core(expected));
    redis.wire_format().expect("what is loaded can be spoken");
}

#[test]
fn options_of_the_core_format_are_refused_with_pubsub() {
    for set in [
        "layer.core.capacity=1000",
        "layer.core.channel_capacity=[['a', 1]]",
        "layer.core.node_capacity=1",
        "layer.core.expiry_ms=1000",
        "layer.core.group_expiry_ms=1000",
        "layer.core.random_prefix_length=0",
        "layer.core.members=session",
    ] {
        let line = refusal(&[HOSTS, set]);
        let (key, _) = set.split_once('=').expect(set);
        assert!(line.starts_with(key), "{line}");
        assert!(
            line.contains("is used with layer.format = \"core\" only"),
            "{line}"
        );
    }
    settings("", &[], &[HOSTS, "layer.core.capacity=100"]);
}

#[test]
fn what_redis_alone_has_is_refused_on_the_memory_layer() {
    for set in [
        CORE,
        "layer.serializer=json",
        "layer.symmetric_encryption_keys=['s3cret']",
    ] {
        for backend in ["layer.backend=auto", "layer.backend=memory"] {
            let line = refusal(&[backend, set]);
            assert!(line.contains("no meaning on the memory layer"), "{line}");
            assert!(!line.contains("s3cret"), "{line}");
        }
    }
    settings("", &[], &["layer.backend=memory", "layer.format=pubsub"]);
}

#[test]
fn words_that_no_format_has_are_refused() {
    assert!(refusal(&[HOSTS, "layer.format=streams"]).contains("\"pubsub\", \"core\""));
    assert!(refusal(&[HOSTS, "layer.serializer=pickle"]).contains("\"msgpack\", \"json\""));
    assert!(core_refusal("layer.core.members=all").contains("\"node\", \"session\""));
}

#[test]
fn keys_of_encryption_are_checked_and_never_shown() {
    let line = refusal(&[HOSTS, "layer.symmetric_encryption_keys=['s3cret', '']"]);
    assert!(
        line.starts_with("layer.symmetric_encryption_keys[1] (--set "),
        "{line}"
    );
    assert!(
        line.contains("is empty") && !line.contains("s3cret"),
        "{line}"
    );
    let file = "[layer]\nredis.hosts = ['redis://h']\nsymmetric_encryption_keys = 's3cret'";
    let lines = errors(file, &[], &[]);
    assert!(
        lines[0].contains("a list of texts") && !lines[0].contains("s3cret"),
        "{lines:?}"
    );
    for misspelt in [
        "layer.symmetric_encryption_key",
        "layer.keys",
        "layer.core.key",
    ] {
        let line = refusal(&[HOSTS, &format!("{misspelt}=s3cret")]);
        assert!(
            line.contains("unknown key") && !line.contains("s3cret"),
            "{line}"
        );
    }
    let keys = "layer.symmetric_encryption_keys=['s3cret', 'an older']";
    let loaded = load(&sources("", &[], &[HOSTS, keys])).expect("valid");
    let shown = loaded.to_toml().expect("TOML");
    assert!(
        shown.contains("symmetric_encryption_keys = [\"***\", \"***\"]"),
        "{shown}"
    );
    assert!(
        !shown.contains("s3cret") && !shown.contains("older"),
        "{shown}"
    );
    let debug = format!("{:?} {:?}", loaded.settings, loaded.settings.layer.redis);
    assert!(
        !debug.contains("s3cret") && !debug.contains("older"),
        "{debug}"
    );
}

#[test]
fn numbers_of_the_core_format_have_bounds() {
    for (set, reason) in [
        ("layer.core.capacity=0", "from 1 to"),
        ("layer.core.expiry_ms=999", "from 1000 to"),
        ("layer.core.expiry_ms=1500", "whole seconds"),
        ("layer.core.group_expiry_ms=0", "from 1000 to"),
        ("layer.core.group_expiry_ms=1001", "whole seconds"),
        ("layer.core.random_prefix_length=256", "from 0 to 255"),
        ("layer.core.random_prefix_length=-1", "from 0 to 255"),
    ] {
        let line = core_refusal(set);
        assert!(line.contains(reason), "{line}");
    }
}

#[test]
fn an_entry_of_channel_capacity_that_is_no_pair_is_named() {
    for (value, place, reason) in [
        ("specific.*", "[0]", "a pair such as [\"specific.*\", 1000]"),
        ("[['a', 1], 'b']", "[1]", "a pair such as"),
        ("[['a', 1], ['b']]", "[1]", "a pair such as"),
        ("[['a', 1, 2]]", "[0]", "a pair such as"),
        ("[[1, 'a']]", "[0]", "a pattern and a number"),
        ("[['a', 0]]", "[0]", "from 1 to"),
        (
            "[['jobs[12]', 1]]",
            "[0]",
            "the pattern \"jobs[12]\" cannot be used: it has a \"[\"",
        ),
    ] {
        let line = core_refusal(&format!("layer.core.channel_capacity={value}"));
        let start = format!("layer.core.channel_capacity{place} = ");
        assert!(line.starts_with(&start) && line.contains(reason), "{line}");
    }
    let line = core_refusal("layer.core.channel_capacity={ a = 1 }");
    assert!(line.contains("expected a list of pairs"), "{line}");
}

#[test]
fn a_printed_configuration_of_the_core_format_says_the_same_again() {
    let sets = [
        HOSTS,
        CORE,
        "layer.core.channel_capacity=[['a*', 2], ['b', 3]]",
    ];
    let shown = load(&sources("", &[], &sets)).expect("valid").to_toml();
    let shown = shown.expect("TOML");
    let again = settings(&shown, &[], &[]).layer.redis;
    assert_eq!(again.format, settings("", &[], &sets).layer.redis.format);
}
