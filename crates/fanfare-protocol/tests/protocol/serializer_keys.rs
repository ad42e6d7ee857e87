//! Encryption as in channels_redis: Fernet with rotated keys.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use fanfare_protocol::msgpack::DecodeError;
use fanfare_protocol::serializer::{Notation, Recipients};
use fanfare_protocol::{Envelope, Event, Serializer};
use fernet::Fernet;

use crate::serializer::written;

/// Made by Python's `cryptography` of the key `sekrit` at 1700000000.
const TOKEN: &str = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0ODxzCLdu6zeAQjnFpuNbxAmZ8E5LDA9DlbTsBS0q8HDscyX_nouidwPKm3LDQTPXbD_xqXj20w54SgK_l34KGoe0=";
const MADE: u64 = 1_700_000_000;
const BOTH: [Notation; 2] = [Notation::Msgpack, Notation::Json];

fn pubsub(notation: Notation, keys: &[&str]) -> Serializer {
    Serializer::pubsub(notation, &owned(keys))
}

fn core(notation: Notation, keys: &[&str], prefix: usize) -> Serializer {
    Serializer::core(notation, &owned(keys), prefix, Duration::from_secs(60))
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().copied().map(str::to_owned).collect()
}

fn receive() -> Envelope {
    Event::new("receive").with("x", 1_i64).into()
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is after 1970").as_secs()
}

#[test]
fn the_token_of_python_is_read_where_time_does_not_count() {
    let received =
        pubsub(Notation::Msgpack, &["sekrit"]).read(&Bytes::from_static(TOKEN.as_bytes()));
    assert_eq!(received.unwrap().envelope, receive());
}

#[test]
fn the_token_of_python_is_too_old_for_the_core_layer() {
    let earliest = now() - MADE;
    let wire = [b"0123456789ab", TOKEN.as_bytes()].concat().into();
    let error = core(Notation::Msgpack, &["sekrit"], 12).read(&wire);
    let Err(DecodeError::Expired { age, most: 70 }) = error else {
        panic!("it is older than 70 s: {error:?}")
    };
    assert!((earliest..=now() - MADE).contains(&age));
}

#[test]
fn a_token_from_the_future_is_refused_by_the_core_layer_alone() {
    let plain = receive().to_msgpack();
    // The key that channels_redis makes of `sekrit`.
    let key = b"\x7e\x35\xaa\xae\xa6\xb8\x3a\xb4\x3c\x92\x71\x73\x70\x60\xce\x48\x5d\xc2\x85\x83\x7d\x9b\x4b\x98\xb6\x45\x84\x08\x88\x6a\xc7\xb1";
    let key = Fernet::new(&URL_SAFE.encode(key)).unwrap();
    let wire = Bytes::from(key.encrypt_at_time(&plain, now() + 3_600));
    let error = core(Notation::Msgpack, &["sekrit"], 0).read(&wire);
    assert!(
        matches!(
            error,
            Err(DecodeError::Ahead {
                ahead: 3_590..=3_600
            })
        ),
        "{error:?}"
    );
    let received = pubsub(Notation::Msgpack, &["sekrit"]).read(&wire);
    assert_eq!(received.unwrap().envelope, receive());
}

#[test]
fn a_message_is_a_token_behind_its_prefix() {
    for notation in BOTH {
        for prefix in [0, 8, 12] {
            let wire = written(
                &core(notation, &["a"], prefix),
                &receive(),
                Recipients::None,
            );
            let token = URL_SAFE.decode(&wire.unwrap()[prefix..]).unwrap();
            assert_eq!(token[0], 0x80);
            // Version, time, IV, one or two blocks, HMAC.
            let blocks = token.len() - (1 + 8 + 16 + 32);
            assert!(blocks == 16 || blocks == 32);
        }
    }
}

#[test]
fn every_token_is_another_one() {
    for prefix in [0, 12] {
        let serializer = core(Notation::Msgpack, &["a"], prefix);
        let draft = serializer.draft(&receive()).unwrap();
        let token = || serializer.finish(&draft, Recipients::None, false).unwrap();
        assert_ne!(token()[prefix + 40..], token()[prefix + 40..]);
    }
}

#[test]
fn what_an_earlier_key_encrypted_is_still_read() {
    for notation in BOTH {
        for prefix in [0, 8, 12] {
            let old = written(
                &core(notation, &["a"], prefix),
                &receive(),
                Recipients::One("c"),
            );
            let rotated = core(notation, &["b", "a"], prefix);
            assert_eq!(rotated.read(&old.unwrap()).unwrap().envelope, receive());
            let new = written(&rotated, &receive(), Recipients::One("c")).unwrap();
            let by = |keys| {
                core(notation, keys, prefix)
                    .read(&new)
                    .map(|it| it.envelope)
            };
            assert_eq!(by(&["b"]), Ok(receive()), "the first key encrypts");
            assert_eq!(by(&["a"]), Err(DecodeError::Undecryptable));
        }
    }
}

#[test]
fn damage_anywhere_is_found() {
    let serializer = pubsub(Notation::Msgpack, &["a"]);
    let token = written(&serializer, &receive(), Recipients::None).unwrap();
    let padding = token.iter().filter(|byte| **byte == b'=').count();
    for at in 0..token.len() - padding {
        let mut damaged = token.to_vec();
        damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
        let damaged = serializer.read(&damaged.into());
        assert_eq!(damaged, Err(DecodeError::Undecryptable), "at {at}");
        let cut = serializer.read(&token.slice(..at));
        assert_eq!(cut, Err(DecodeError::Undecryptable), "cut at {at}");
    }
}

#[test]
fn what_is_no_token_is_refused_where_there_are_keys() {
    let plain = receive().to_msgpack();
    let error = pubsub(Notation::Msgpack, &["a"]).read(&plain);
    assert_eq!(error, Err(DecodeError::Undecryptable));
    let token = Bytes::from_static(TOKEN.as_bytes());
    let error = pubsub(Notation::Msgpack, &[]).read(&token);
    assert!(matches!(error, Err(DecodeError::NotAMap { .. })));
    let error = pubsub(Notation::Json, &[]).read(&token);
    assert!(matches!(error, Err(DecodeError::Json { at: 0, .. })));
}

#[test]
fn keys_do_not_appear_in_the_debug_output() {
    let serializer = core(Notation::Msgpack, &["sekrit", "other"], 12);
    let shown = format!("{serializer:?}");
    assert!(shown.contains("2 secret"), "{shown}");
    for secret in ["sekrit", "other", "126", "7e", "53, 170"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn any_bytes_are_refused_and_never_taken_for_a_token() {
    let serializer = core(Notation::Msgpack, &["a"], 0);
    bolero::check!()
        .with_iterations(5_000)
        .with_type::<Vec<u8>>()
        .for_each(|bytes| {
            let encoded = URL_SAFE.encode([b"\x80", &bytes[..]].concat());
            for wire in [Bytes::from(bytes.clone()), encoded.into()] {
                assert_eq!(serializer.read(&wire), Err(DecodeError::Undecryptable));
            }
        });
}
